import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.io import read_image, read_label, write_png
from mobileseg.errors import ConfigError, DataError
from mobileseg.files import GrowingText
from mobileseg.prediction.predict import MARKER, PredictionWriter
from mobileseg.prediction.sources import Source, find_sources
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.runtime.video import VideoReader, VideoWriter
from tests.processes import started
from tests.runtime.artefacts import artefact
from tests.runtime.clips import write as write_clip
from tests.runtime.mp4 import frame_ends, moov_first, set_times
from tests.runtime.stripes import stripes, truth

ROOT = Path(__file__).parents[2]


@pytest.fixture
def segmenter(tmp_path: Path) -> Segmenter:
    artefact(tmp_path / "model", dynamic=True)
    return Segmenter(tmp_path / "model")


def silent(text: str) -> None:
    pass


def test_an_image_gives_overlay_mask_and_json(tmp_path: Path, segmenter: Segmenter) -> None:
    write_png(tmp_path / "flag.png", stripes(60, 90))
    said: list[str] = []
    summary = PredictionWriter(segmenter, tmp_path / "out", say=said.append).run(
        [Source("image", str(tmp_path / "flag.png"), "sub/flag")]
    )
    np.testing.assert_array_equal(read_label(tmp_path / "out/labels/sub/flag.png"), truth(60, 90))
    drawn = read_image(tmp_path / "out/overlay/sub/flag.jpg")
    assert drawn.shape[1] == 90
    assert drawn.shape[0] > 60  # the legend
    facts = json.loads((tmp_path / "out/json/sub/flag.json").read_text())
    assert (facts["height"], facts["width"], facts["model"], facts["engine"]) == (60, 90, "colours", "onnxruntime")
    assert facts["classes"][0] == {"index": 0, "name": "red", "pixels": 1800, "share": 0.333333}
    assert set(facts["times_ms"]) == {"decode", "preprocess", "inference", "postprocess"}
    assert (summary.images, summary.frames, summary.errors) == (1, 0, [])
    assert said == [f"{tmp_path / 'flag.png'}: red 33%, green 33%, blue 33%"]


def test_only_the_results_that_were_asked_for_are_written(tmp_path: Path, segmenter: Segmenter) -> None:
    write_png(tmp_path / "flag.png", stripes())
    sources = [Source("image", str(tmp_path / "flag.png"), "flag")]
    PredictionWriter(segmenter, tmp_path / "out", outputs=("overlay",), suffix=".png", say=silent).run(sources)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [MARKER, "overlay"]
    assert (tmp_path / "out/overlay/flag.png").is_file()


def test_labels_that_somebody_else_made_are_not_overwritten(tmp_path: Path, segmenter: Segmenter) -> None:
    """`predict data/images --output data`, where data/labels has the truth."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    write_png(tmp_path / "images/flag.png", stripes())
    write_png(tmp_path / "labels/flag.png", truth(16, 24))
    before = (tmp_path / "labels/flag.png").read_bytes()
    sources = [Source("image", str(tmp_path / "images/flag.png"), "flag")]
    with pytest.raises(ConfigError, match="labels holds files that were not written by predict"):
        PredictionWriter(segmenter, tmp_path, say=silent).run(sources)
    assert (tmp_path / "labels/flag.png").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "labels", "model"]
    with pytest.raises(ConfigError, match="written into the input"):
        PredictionWriter(segmenter, tmp_path / "images", say=silent).run(
            find_sources([str(tmp_path / "images")], tmp_path / "images")
        )
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["flag.png"]
    for _ in range(2):  # its own are
        PredictionWriter(segmenter, tmp_path / "out", say=silent).run(sources)


def test_two_predictions_into_one_folder_exclude_each_other(tmp_path: Path, segmenter: Segmenter) -> None:
    holder = (
        "import sys\nfrom pathlib import Path\nfrom mobileseg.errors import DataError\n"
        "from mobileseg.folders import held\nwith held(Path(sys.argv[1]), DataError):\n"
        "    print('held', flush=True)\n    sys.stdin.read()"
    )
    write_png(tmp_path / "flag.png", stripes())
    writer = PredictionWriter(segmenter, tmp_path / "out", say=silent)
    command = [sys.executable, "-c", holder, str(tmp_path / "out")]
    with started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=f"another process writes its results into .*process {other.pid}"):
            writer.run(find_sources([str(tmp_path / "flag.png")]))
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]
    assert writer.run(find_sources([str(tmp_path / "flag.png")])).images == 1
    assert not (tmp_path / "out/.lock").exists()


def test_an_unreadable_image_does_not_stop_the_others(tmp_path: Path, segmenter: Segmenter) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    write_png(folder / "1.png", stripes())
    (folder / "2.jpg").write_bytes(b"\xff\xd8 not much of an image")
    Image.fromarray(stripes(90, 120)).save(folder / "3.jpg")
    content = (folder / "3.jpg").read_bytes()
    (folder / "3.jpg").write_bytes(content[: len(content) // 2])
    write_png(folder / "4.png", stripes())
    warned: list[str] = []
    writer = PredictionWriter(segmenter, tmp_path / "out", say=silent, warn=warned.append)
    summary = writer.run(find_sources([str(folder)]))
    assert summary.images == 2
    assert len(summary.errors) == 2
    assert "2.jpg" in warned[0]
    assert "truncated" in warned[1]
    assert sorted(path.name for path in (tmp_path / "out/labels").iterdir()) == ["1.png", "4.png"]


def test_a_video_gives_a_video_masks_and_a_line_per_frame(tmp_path: Path, segmenter: Segmenter) -> None:
    write_clip(tmp_path / "clip.mp4", 6)
    summary = PredictionWriter(segmenter, tmp_path / "out", say=silent).run(find_sources([str(tmp_path / "clip.mp4")]))
    assert (summary.images, summary.frames) == (0, 6)
    with VideoReader(tmp_path / "out/overlay/clip.mp4") as reader:
        assert len(list(reader)) == 6
        assert reader.fps == pytest.approx(10, abs=0.1)
        assert reader.size[1] == 64
    masks = sorted((tmp_path / "out/labels/clip").iterdir())
    assert [int(np.median(read_label(mask))) for mask in masks] == [0, 1, 2, 0, 1, 2]
    lines = [json.loads(line) for line in (tmp_path / "out/json/clip.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(6))
    assert lines[3]["seconds"] == pytest.approx(0.3)
    assert [line["classes"][0]["name"] for line in lines[:3]] == ["red", "green", "blue"]
    assert set(lines[0]["times_ms"]) == {"decode", "preprocess", "inference", "postprocess"}


def test_a_folder_of_frames_is_segmented_like_the_video(tmp_path: Path, segmenter: Segmenter) -> None:
    write_clip(tmp_path / "clip.mp4", 6)
    (tmp_path / "frames").mkdir()
    with VideoReader(tmp_path / "clip.mp4") as reader:
        for index, frame in enumerate(reader):
            write_png(tmp_path / f"frames/{index:04d}.png", frame)
    writer = PredictionWriter(segmenter, tmp_path / "out", frame_rate=10.0, smooth=0.5, say=silent)
    inputs = [str(tmp_path / name) for name in ("clip.mp4", "frames")]
    summary = writer.run(find_sources(inputs, as_video=True))
    assert (summary.images, summary.frames, summary.errors) == (0, 12, [])
    with VideoReader(tmp_path / "out/overlay/frames.mp4") as reader:
        assert len(list(reader)) == 6
        assert reader.fps == pytest.approx(10, abs=0.1)
    for mask in sorted((tmp_path / "out/labels/clip").iterdir()):
        np.testing.assert_array_equal(read_label(mask), read_label(tmp_path / "out/labels/frames" / mask.name))
    clip, frames = (
        [json.loads(line) for line in (tmp_path / f"out/json/{name}.jsonl").read_text().splitlines()]
        for name in ("clip", "frames")
    )
    assert [line["classes"] for line in frames] == [line["classes"] for line in clip]
    assert [line["seconds"] for line in frames] == pytest.approx([line["seconds"] for line in clip], abs=2e-3)


def test_a_frame_that_cannot_be_read_ends_its_video_alone(tmp_path: Path, segmenter: Segmenter) -> None:
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / "clips" / name).parent.mkdir(parents=True)
        write_png(tmp_path / "clips" / name, stripes())
    (tmp_path / "clips/a/2.png").write_bytes(b"no image")
    warned: list[str] = []
    writer = PredictionWriter(segmenter, tmp_path / "out", say=silent, warn=warned.append)
    summary = writer.run(find_sources([str(tmp_path / "clips")], as_video=True))
    assert (summary.frames, len(summary.errors)) == (2, 1)
    assert "2.png" in warned[0]
    assert [path.name for path in (tmp_path / "out/overlay").iterdir()] == ["b.mp4"]
    assert len((tmp_path / "out/json/a.jsonl").read_text().splitlines()) == 1


def test_what_a_killed_prediction_left_is_removed_by_the_next(tmp_path: Path, segmenter: Segmenter) -> None:
    write_png(tmp_path / "flag.png", stripes())
    out = tmp_path / "out"

    def predict() -> None:
        writer = PredictionWriter(segmenter, out, outputs=("overlay",), say=silent)
        writer.run(find_sources([str(tmp_path / "flag.png")]))

    predict()
    (out / "overlay/sub").mkdir()
    (out / "mine").mkdir()
    for folder in ("overlay", "overlay/sub", "mine"):
        VideoWriter(out / folder / "clip.mp4", 10.0).write(stripes())  # and nobody closes it
    GrowingText(out / "coco_results.json").write("[")
    left = {str(path.relative_to(out)) for path in out.rglob(".*.partial*")}
    assert len(left) == 4
    predict()
    assert {str(path.relative_to(out)) for path in out.rglob(".*.partial*")} == {"mine/.clip.partial.mp4"}


def test_lines_about_a_video_appear_when_no_more_will_come(tmp_path: Path, segmenter: Segmenter) -> None:
    """Whoever is killed leaves those of an earlier run as they were, never a cut file."""
    write_clip(tmp_path / "clip.mp4", 3)
    lines = tmp_path / "out/json/clip.jsonl"
    lines.parent.mkdir(parents=True)
    (tmp_path / "out/.predict").touch()
    lines.write_text("{}\n")
    seen: list[str] = []

    class Watching:
        def show(self, frame: np.ndarray) -> bool:
            seen.append(lines.read_text())
            return True

    writer = PredictionWriter(segmenter, tmp_path / "out", outputs=("json",), window=Watching(), say=silent)
    writer.run(find_sources([str(tmp_path / "clip.mp4")]))
    assert seen == ["{}\n"] * 3
    assert len(lines.read_text().splitlines()) == 3
    assert not list(lines.parent.glob(".*"))


def test_a_video_that_is_cut_is_an_error_and_keeps_what_was_found(tmp_path: Path, segmenter: Segmenter) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, 30)
    moov_first(path)
    content = path.read_bytes()
    path.write_bytes(content[: frame_ends(path)[11] + 1])
    warned: list[str] = []
    writer = PredictionWriter(segmenter, tmp_path / "out", say=silent, warn=warned.append)
    summary = writer.run(find_sources([str(path)]))
    assert "of 30 frames could be read" in warned[0]
    assert len(summary.errors) == 1
    assert 12 <= summary.frames <= 13
    assert len((tmp_path / "out/json/clip.jsonl").read_text().splitlines()) == summary.frames
    with VideoReader(tmp_path / "out/overlay/clip.mp4") as reader:
        assert len(list(reader)) == summary.frames
    few = PredictionWriter(segmenter, tmp_path / "few", max_frames=5, say=silent).run(find_sources([str(path)]))
    assert few.errors == [], "what was asked for was there"


def test_json_has_the_times_of_the_container(tmp_path: Path, segmenter: Segmenter) -> None:
    write_clip(tmp_path / "clip.mp4", 4)
    set_times(tmp_path / "clip.mp4", [0.1, 0.7, 0.1, 0.1])
    PredictionWriter(segmenter, tmp_path / "out", outputs=("json",), say=silent).run(
        find_sources([str(tmp_path / "clip.mp4")])
    )
    lines = [json.loads(line) for line in (tmp_path / "out/json/clip.jsonl").read_text().splitlines()]
    assert [line["seconds"] for line in lines] == pytest.approx([0.0, 0.1, 0.8, 0.9], abs=2e-3)


def test_a_video_stops_after_the_number_of_frames_asked_for(tmp_path: Path, segmenter: Segmenter) -> None:
    write_clip(tmp_path / "clip.mp4", 6)
    writer = PredictionWriter(segmenter, tmp_path / "out", max_frames=2, outputs=("json",), say=silent)
    assert writer.run(find_sources([str(tmp_path / "clip.mp4")])).frames == 2
    assert len((tmp_path / "out/json/clip.jsonl").read_text().splitlines()) == 2
    assert not (tmp_path / "out/overlay").exists()


def test_unusable_videos_and_cameras_are_errors_of_their_own(tmp_path: Path, segmenter: Segmenter) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    warned: list[str] = []
    writer = PredictionWriter(segmenter, tmp_path / "out", say=silent, warn=warned.append)
    assert len(writer.run(find_sources([str(tmp_path / "bad.mp4"), "camera:77"])).errors) == 2
    assert "bad.mp4" in warned[0]
    assert "camera 77" in warned[1]


class Camera(VideoReader):
    """Three frames, then the user presses Ctrl-C."""

    def __init__(self, where: int) -> None:
        self.fps, self.size, self.seconds = 25.0, (16, 24), 0.0

    def __iter__(self):
        yield from [stripes()] * 3
        raise KeyboardInterrupt

    def close(self) -> None:
        pass


def test_ctrl_c_ends_a_camera_with_everything_written(
    tmp_path: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobileseg.prediction.predict.VideoReader", Camera)
    writer = PredictionWriter(segmenter, tmp_path / "out", camera="queue", say=silent)
    summary = writer.run(find_sources(["camera:0"]))
    assert (summary.frames, summary.errors) == (3, [])
    assert len((tmp_path / "out/json/camera_0.jsonl").read_text().splitlines()) == 3
    with VideoReader(tmp_path / "out/overlay/camera_0.mp4") as reader:
        assert len(list(reader)) == 3


def test_a_folder_that_cannot_be_written_stops_the_run(tmp_path: Path, segmenter: Segmenter) -> None:
    """Not an error per image: none of the following could be written either."""
    write_png(tmp_path / "flag.png", stripes())
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises((DataError, OSError)):
        PredictionWriter(segmenter, tmp_path / "out", say=silent).run(find_sources([str(tmp_path / "flag.png")]))


def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path: Path, segmenter: Segmenter) -> None:
    write_clip(tmp_path / "short.mp4", 40, size=(240, 320))
    write_clip(tmp_path / "long.mp4", 440, size=(240, 320))
    script = textwrap.dedent(
        """
        import resource, sys
        from mobileseg.prediction.predict import PredictionWriter
        from mobileseg.runtime.segmenter import Segmenter
        from mobileseg.prediction.sources import find_sources
        model, out, *clips = sys.argv[1:]
        segmenter = Segmenter(model)
        for clip in clips:
            writer = PredictionWriter(segmenter, out, say=lambda text: None, outputs=("overlay", "json"))
            writer.run(find_sources([clip]))
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        """
    )
    arguments = [str(tmp_path / name) for name in ("model", "out", "short.mp4", "long.mp4")]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    short, long = (int(line) / 1024 for line in done.stdout.split())
    assert long - short < 30, f"{long - short:.0f} MB more for 400 frames, which are 92 MB"


def test_times_are_drawn_on_the_frames_of_a_video(tmp_path: Path, segmenter: Segmenter) -> None:
    write_clip(tmp_path / "clip.mp4", 4, size=(96, 320))
    sources = list(find_sources([str(tmp_path / "clip.mp4")]))
    frames = {}
    for times in (False, True):
        folder = tmp_path / f"out{times}"
        PredictionWriter(segmenter, folder, outputs=("overlay",), times=times, say=silent).run(sources)
        with VideoReader(folder / "overlay/clip.mp4") as reader:
            frames[times] = list(reader)
    assert len(frames[True]) == len(frames[False]) == 4
    for plain, drawn in zip(frames[False], frames[True], strict=True):
        changed = np.abs(plain.astype(int) - drawn).max(axis=2) > 60
        assert changed[:40, :60].mean() > 0.5, "text on a darkened ground"
        assert not changed[:, 250:].any()


class Screen:
    """A window whose user presses q at the second frame."""

    def __init__(self) -> None:
        self.frames: list[np.ndarray] = []

    def show(self, frame: np.ndarray) -> bool:
        self.frames.append(frame)
        return len(self.frames) < 2


def test_a_window_shows_frames_with_times_and_ends_the_video(tmp_path: Path, segmenter: Segmenter) -> None:
    write_clip(tmp_path / "clip.mp4", 5)
    screen = Screen()
    writer = PredictionWriter(segmenter, tmp_path / "out", outputs=("json",), window=screen, say=silent)
    assert writer.run(find_sources([str(tmp_path / "clip.mp4")])).frames == 2
    assert len(screen.frames) == 2
    assert (screen.frames[0][0, 0] < 100).all(), "the ground of the text"
    assert not (tmp_path / "out/overlay").exists()
