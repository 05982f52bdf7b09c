import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mobileseg.data.io import read_image, read_label, write_png
from mobileseg.errors import ConfigError
from mobileseg.instance.visualize import InstanceVisualizer
from mobileseg.prediction.predict import MARKER, PredictionWriter
from mobileseg.prediction.sources import Source, find_sources
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.runtime.video import VideoReader, VideoWriter
from mobileseg.structures import InstanceMasks, InstanceResult
from mobileseg.tasks import stage
from mobileseg.viz.task import Visualizer
from tests.runtime.artefacts import artefact
from tests.runtime.instance_artefacts import blocks, instance_artefact

CELLS = ((0, 1, 0), (2, 4, 2), (3, 0, 1))


def visualizer(segmenter: Segmenter, **options: float) -> Visualizer:
    return stage(segmenter, "visualize").visualizer(segmenter, **options)


@pytest.fixture
def segmenter(tmp_path: Path) -> Segmenter:
    instance_artefact(tmp_path / "model", category_ids=(5, 7, 9))
    return Segmenter(tmp_path / "model")


def test_an_image_gives_overlay_mask_json_and_coco_results(tmp_path: Path, segmenter: Segmenter) -> None:
    image = blocks(*CELLS, scale=4)
    (tmp_path / "in").mkdir()
    write_png(tmp_path / "in/000000000042.png", image)
    write_png(tmp_path / "in/empty.png", blocks(scale=2))
    said: list[str] = []
    summary = PredictionWriter(segmenter, tmp_path / "out", say=said.append, suffix=".png").run(
        find_sources([str(tmp_path / "in")])
    )
    assert (summary.images, summary.errors) == (2, [])
    assert sorted(said[0].split(": ")[1].split(", ")) == ["1 blue", "1 green", "1 red"]
    assert said[1].endswith(": nothing")
    drawn = read_image(tmp_path / "out/overlay/000000000042.png")
    assert drawn.shape == image.shape
    assert (drawn != image).any()
    facts = json.loads((tmp_path / "out/json/000000000042.json").read_text())
    assert (facts["height"], facts["width"], facts["model"], facts["engine"]) == (128, 192, "blocks", "onnxruntime")
    assert set(facts["times_ms"]) == {"decode", "preprocess", "inference", "postprocess"}
    assert {(entry["category"], entry["category_id"], entry["image_id"]) for entry in facts["results"]} == {
        ("red", 5, 42),
        ("green", 7, 42),
        ("blue", 9, 42),
    }
    index = read_label(tmp_path / "out/labels/000000000042.png")
    for number, entry in enumerate(facts["results"], start=1):
        x, y, wide, tall = entry["bbox"]
        assert index[round(y + tall / 2), round(x + wide / 2)] == number
    assert index[60, 60] == 0
    assert json.loads((tmp_path / "out/coco_results.json").read_text()) == facts["results"]
    assert json.loads((tmp_path / "out/json/empty.json").read_text())["results"] == []


def test_only_what_was_asked_for_is_written(tmp_path: Path, segmenter: Segmenter) -> None:
    write_png(tmp_path / "a.png", blocks(*CELLS))
    sources = [Source("image", str(tmp_path / "a.png"), "a")]
    PredictionWriter(segmenter, tmp_path / "out", outputs=("labels",), say=str).run(sources)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [MARKER, "labels"]


def test_low_scores_are_left_out(tmp_path: Path) -> None:
    rows = np.array([[0, 0.9, 0, 0, 0.2, 0.2], [1, 0.4, 0.5, 0.5, 0.7, 0.7], [1, 0.1, 0.5, 0, 0.7, 0.2]])
    instance_artefact(tmp_path / "model", detections=rows)
    segmenter = Segmenter(tmp_path / "model")
    result = segmenter(blocks())
    for minimum, count in ((None, 2), (0.5, 1), (0.0, 3), (0.95, 0)):
        show = visualizer(segmenter, min_score=minimum)
        assert len(show.facts(result, "a")["results"]) == count
    assert visualizer(segmenter, min_score=0.5).summary(result) == "1 red"
    assert visualizer(segmenter, min_score=0.0).summary(result) == "2 green, 1 red"


def test_a_video_gives_frames_masks_and_lines(tmp_path: Path, segmenter: Segmenter) -> None:
    with VideoWriter(tmp_path / "clip.mp4", 10.0) as writer:
        for index in range(3):
            writer.write(blocks((0, index, 0), scale=4))
    summary = PredictionWriter(segmenter, tmp_path / "out", say=str).run(
        [Source("video", str(tmp_path / "clip.mp4"), "clip")]
    )
    assert (summary.frames, summary.errors) == (3, [])
    lines = [json.loads(line) for line in (tmp_path / "out/json/clip.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == [0, 1, 2]
    assert [[entry["category"] for entry in line["results"]] for line in lines] == [["red"]] * 3
    assert [round(line["results"][0]["bbox"][0] / 32) for line in lines] == [0, 1, 2]
    assert read_label(tmp_path / "out/labels/clip/000002.png")[16, 80] == 1
    with VideoReader(tmp_path / "out/overlay/clip.mp4") as reader:
        assert reader.size == (128, 192)
        assert len(list(reader)) == 3


def test_images_of_one_name_in_two_folders_stay_apart(tmp_path: Path, segmenter: Segmenter) -> None:
    for folder in ("a", "b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        write_png(tmp_path / "in" / folder / "000042.png", blocks((0, 0, 0)))
    for _ in range(2):
        PredictionWriter(segmenter, tmp_path / "out", say=str).run(find_sources([str(tmp_path / "in")]))
        entries = json.loads((tmp_path / "out/coco_results.json").read_text())
        assert [entry["image_id"] for entry in entries] == [42, "b/000042"]
        assert json.loads((tmp_path / "out/json/b/000042.json").read_text())["results"] == entries[1:]


def test_frames_of_a_video_take_no_ids_of_images(tmp_path: Path, segmenter: Segmenter) -> None:
    with VideoWriter(tmp_path / "clip.mp4", 10.0) as writer:
        writer.write(blocks((0, 0, 0), scale=4))
    write_png(tmp_path / "0.png", blocks((0, 0, 0)))
    sources = [Source("video", str(tmp_path / "clip.mp4"), "clip"), Source("image", str(tmp_path / "0.png"), "x/0")]
    PredictionWriter(segmenter, tmp_path / "out", say=str).run(sources)
    (line,) = (tmp_path / "out/json/clip.jsonl").read_text().splitlines()
    assert json.loads(line)["results"][0]["image_id"] == 0
    assert json.loads((tmp_path / "out/json/x/0.json").read_text())["results"][0]["image_id"] == 0


class Tracked:
    """A segmenter with streams, each of which numbers its objects by class, from 10 on."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.streams = 0
        self._segmenter = segmenter
        for name in ("name", "task", "classes", "palette", "category_ids", "engine_name", "pixels"):
            setattr(self, name, getattr(segmenter, name))

    def __call__(self, image: np.ndarray) -> InstanceResult:
        return self._segmenter(image)

    def stream(self, **options: object) -> "Tracked":
        self.streams += 1
        return self

    def step(self, frame: np.ndarray) -> InstanceResult:
        result = self._segmenter(frame)
        return replace(result, track_ids=result.classes + 10)


def test_a_video_is_a_stream_and_its_tracks_are_written(tmp_path: Path, segmenter: Segmenter) -> None:
    for name in ("one", "two"):
        with VideoWriter(tmp_path / f"{name}.mp4", 10.0) as writer:
            writer.write(blocks(*CELLS, scale=4))
            writer.write(blocks(*CELLS[1:], scale=4))
    tracked = Tracked(segmenter)
    sources = find_sources([str(tmp_path / "one.mp4"), str(tmp_path / "two.mp4")])
    assert PredictionWriter(tracked, tmp_path / "out", say=str).run(sources).frames == 4
    assert tracked.streams == 2
    for name in ("one", "two"):
        lines = [json.loads(line) for line in (tmp_path / f"out/json/{name}.jsonl").read_text().splitlines()]
        assert [sorted(entry["track_id"] for entry in line["results"]) for line in lines] == [[10, 11, 12], [11, 12]]


def test_more_than_255_objects_need_16_bits(tmp_path: Path, segmenter: Segmenter) -> None:
    count = 300
    regions = [(index // 20, index % 20, np.ones((1, 1), bool)) for index in range(count)]
    crowd = InstanceResult(
        np.zeros((count, 4), np.float32),
        np.full(count, 0.9, np.float32),
        np.zeros(count, np.int64),
        InstanceMasks((20, 20), regions),
    )
    InstanceVisualizer(segmenter, 0.5, 0.3).write_mask(tmp_path / "many.png", crowd)
    stored = cv2.imread(str(tmp_path / "many.png"), cv2.IMREAD_UNCHANGED)
    assert (stored.dtype, stored.max(), stored[0, 0]) == (np.uint16, 300, 1)


def test_numbers_are_colours_to_viewers(tmp_path: Path, segmenter: Segmenter) -> None:
    show = visualizer(segmenter)
    show.write_mask(tmp_path / "mask.png", segmenter(blocks(*CELLS, scale=3)))
    with Image.open(tmp_path / "mask.png") as image:
        assert image.mode == "P"
        colours = {tuple(colour) for colour in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
    assert len(colours) == 4
    assert (0, 0, 0) in colours


def test_a_minimum_score_is_nothing_for_labels(tmp_path: Path) -> None:
    artefact(tmp_path)
    with pytest.raises(ConfigError, match="colours is a semantic segmentation model"):
        visualizer(Segmenter(tmp_path), min_score=0.5)
