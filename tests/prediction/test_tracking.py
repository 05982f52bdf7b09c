"""`predict --track`: ids in JSON, files about tracks, colours that stay."""

import csv
import json
from pathlib import Path

import pytest

from mobileseg.cli import main
from mobileseg.errors import ConfigError, RuntimeEngineError
from mobileseg.prediction.predict import PredictionWriter
from mobileseg.prediction.sources import Source
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.runtime.video import VideoWriter
from mobileseg.tracking.options import TrackingOptions
from tests.runtime.artefacts import artefact
from tests.runtime.instance_artefacts import CELL, blocks, instance_artefact

CELLS = [((0, 1, 0), (3, 0, 1)), ((0, 2, 0), (3, 1, 1)), ((0, 3, 0), (3, 2, 1)), ((0, 4, 0), (3, 2, 1), (2, 5, 2))]
"""Two objects that move by their width, and one that comes."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    instance_artefact(tmp_path / "model")
    return tmp_path / "model"


def clip(path: Path) -> str:
    with VideoWriter(path, 10.0) as writer:
        for cells in CELLS:
            writer.write(blocks(*cells, scale=4))
    return str(path)


def silent(text: str) -> None:
    pass


def test_ids_stay_with_the_objects(folder: Path) -> None:
    stream = Segmenter(folder).stream(track=True)
    seen: dict[int, set[int]] = {}
    for cells in CELLS:
        result = stream.step(blocks(*cells, scale=4))
        assert len(result) == len(cells)
        for number, kind in zip(result.track_ids.tolist(), result.classes.tolist(), strict=True):
            seen.setdefault(kind, set()).add(number)
    assert sorted(len(ids) for ids in seen.values()) == [1, 1, 1]
    assert set().union(*seen.values()) == {0, 1, 2}


def test_images_and_other_streams_have_no_ids(folder: Path) -> None:
    segmenter = Segmenter(folder)
    tracked = segmenter.stream(track=True)
    image = blocks(*CELLS[0])
    assert tracked.step(image).track_ids is not None
    assert segmenter(image).track_ids is None
    assert segmenter.stream().step(image).track_ids is None
    assert segmenter.stream(track=False).step(image).track_ids is None
    tracked.reset()
    assert sorted(tracked.step(image).track_ids.tolist()) == [0, 1]


def test_a_stream_goes_on_from_its_state(folder: Path) -> None:
    segmenter = Segmenter(folder)
    stream = segmenter.stream(track=True)
    for cells in CELLS[:2]:
        stream.step(blocks(*cells))
    state = stream.state()
    other = segmenter.stream(state, track=True)
    for cells in CELLS[2:]:
        frame = blocks(*cells)
        assert stream.step(frame).track_ids.tolist() == other.step(frame).track_ids.tolist()
    third = segmenter.stream(state, track=True)  # the state is still that of the second frame
    third.step(blocks(*CELLS[2]))
    with pytest.raises(RuntimeEngineError, match="those before it were"):
        third.step(blocks(*CELLS[3], scale=2))


def test_options_reach_the_tracker(folder: Path) -> None:
    stream = Segmenter(folder).stream(track={"min_hits": 2})
    stream.step(blocks())
    assert len(stream.step(blocks(*CELLS[0]))) == 0
    assert len(stream.step(blocks(*CELLS[0]))) == 2
    with pytest.raises(ConfigError, match="no option age"):
        Segmenter(folder).stream(track={"age": 1})


def test_a_model_without_objects_cannot_track(tmp_path: Path) -> None:
    artefact(tmp_path, dynamic=True)
    segmenter = Segmenter(tmp_path)
    with pytest.raises(RuntimeEngineError, match="no objects that could be tracked"):
        segmenter.stream(track=True)
    segmenter.stream(track=False)
    with pytest.raises(ConfigError, match="no objects that could be tracked"):
        PredictionWriter(segmenter, tmp_path / "out", tracking=TrackingOptions())


def test_a_video_gives_ids_in_json_and_files_about_tracks(folder: Path, tmp_path: Path) -> None:
    video = clip(tmp_path / "clip.avi")
    out = tmp_path / "out"
    command = ["predict", video, "--model", str(folder), "--output", str(out), "--track"]
    assert main([*command, "--save_tracks", "csv", "mots", "ytvis"]) == 0
    lines = [json.loads(line) for line in (out / "json" / "clip.jsonl").read_text().splitlines()]
    assert [sorted(one["track_id"] for one in line["results"]) for line in lines] == [[0, 1], [0, 1], [0, 1], [0, 1, 2]]
    ids = {one["track_id"]: one["category"] for line in lines for one in line["results"]}
    assert len(set(ids.values())) == 3
    with open(out / "tracks" / "clip.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["track_id"]): row["class"] for row in rows} == ids
    assert [int(row["frames"]) for row in rows] == [4, 4, 1]
    assert len((out / "tracks" / "clip.txt").read_text().splitlines()) == 9
    assert len(json.loads((out / "ytvis_results.json").read_text())) == 3


def test_the_minimum_score_is_where_tracks_begin(folder: Path, tmp_path: Path) -> None:
    source = Source("video", clip(tmp_path / "clip.avi"), "clip")
    for score, count in ((0.5, 9), (1.0, 0)):
        out = tmp_path / str(score)
        writer = PredictionWriter(
            Segmenter(folder), out, outputs=("json",), min_score=score, tracking=TrackingOptions(), say=silent
        )
        writer.run([source])
        lines = [json.loads(line) for line in (out / "json" / "clip.jsonl").read_text().splitlines()]
        assert sum(len(line["results"]) for line in lines) == count


def test_colours_stay_with_the_ids(folder: Path) -> None:
    from mobileseg.instance.visualize import visualizer
    from mobileseg.viz.task import ModelFacts

    segmenter = Segmenter(folder)
    facts = ModelFacts(segmenter.name, segmenter.task, segmenter.classes, segmenter.palette)
    show = visualizer(facts, opacity=1.0)
    stream = segmenter.stream(track=True)
    colours = []
    for cells in CELLS[:3]:
        image = blocks(*cells, scale=4)
        shown = show.example(image, stream.step(image), names=False)
        row, column, _ = cells[1]
        colours.append(tuple(shown[row * 4 * CELL + 16, column * 4 * CELL + 16]))
    assert len(set(colours)) == 1


def test_files_of_tracks_need_tracking(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["predict", "x.mp4", "--model", str(folder), "--save_tracks", "csv"]
    assert main(command) == 2
    assert "add --track" in capsys.readouterr().err
