"""Generated clips and pairs: written once, read by the suite's own datasets, flow that warps frames onto each other."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobileseg.data.datasets import FlyingChairs, YouTubeVIS
from mobileseg.data.flow import read_flow
from mobileseg.data.synthetic.video import generate_clips, generate_pairs
from mobileseg.errors import DataError

SMALL = {"train": 2, "val": 1, "length": 11, "size": (96, 128)}


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips") / "data"
    assert generate_clips(folder, **SMALL, flow=True)
    return folder


def test_clips_are_youtube_vis(root: Path) -> None:
    data = YouTubeVIS(str(root), clip=2, gap=[1, 3])
    assert len(data) == 22
    assert data.classes == ("stripes", "checks", "dots", "rings")
    assert all(data.annotated(index) for index in range(22))
    assert data[(0, 0)]["frames"].shape == (2, 3, 96, 128)
    assert len(YouTubeVIS(str(root), mode="val").videos) == 1
    document = json.loads((root / "train.json").read_text())
    for entry in document["annotations"]:
        assert len(entry["segmentations"]) == 11
        assert any(entry["segmentations"])
        for rle, box, area in zip(entry["segmentations"], entry["bboxes"], entry["areas"], strict=True):
            assert (rle is None) == (box is None) == (area is None)


def test_the_same_parameters_give_the_same_bytes(root: Path, tmp_path: Path) -> None:
    assert not generate_clips(root, **SMALL, flow=True)
    assert generate_clips(tmp_path / "again", **SMALL, flow=True)
    assert contents(tmp_path / "again") == contents(root)
    assert generate_clips(tmp_path / "again", **SMALL, seed=1)
    assert not list((tmp_path / "again").glob("*/flow"))


def test_every_fifth_frame_is_annotated(tmp_path: Path) -> None:
    generate_clips(tmp_path / "clips", **SMALL, annotate_every=5, style="easy")
    data = YouTubeVIS(str(tmp_path / "clips"), reference=[2, 5])
    assert [index for index in data.videos[0].frames if data.annotated(index)] == [0, 5, 10]
    assert len(data) == 22
    assert data[(0, 0)]["reference"].shape == (3, 96, 128)


def test_flow_of_clips_warps_the_next_frame_onto_this_one(root: Path) -> None:
    checked = 0
    for path in sorted((root / "train" / "flow").rglob("*.flo"))[:8]:
        name = path.relative_to(root / "train" / "flow").with_suffix(".png")
        frames = root / "train" / "JPEGImages"
        now = cv2.imread(str(frames / name)).astype(np.float32)
        then = cv2.imread(str(frames / name.parent / f"{int(name.stem) + 1:05d}.png")).astype(np.float32)
        visible = cv2.imread(str(root / "train" / "occluded" / name), cv2.IMREAD_UNCHANGED) == 0
        flow = read_flow(path)
        rows, columns = np.indices(visible.shape, np.float32)
        warped = cv2.remap(then, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR)
        inner = cv2.erode(visible.astype(np.uint8), np.ones((5, 5))) > 0
        if inner.sum() > 500:
            assert np.abs(warped - now)[inner].mean() < 0.6 * np.abs(then - now)[inner].mean() + 4
            checked += 1
    assert checked >= 5


def test_pairs_are_flying_chairs(tmp_path: Path) -> None:
    assert generate_pairs(tmp_path / "pairs", train=3, val=1, size=(64, 80))
    assert not generate_pairs(tmp_path / "pairs", train=3, val=1, size=(64, 80))
    data = FlyingChairs(str(tmp_path / "pairs"))
    assert len(data) == 3
    assert len(FlyingChairs(str(tmp_path / "pairs"), mode="val")) == 1
    assert data[0]["flow"].shape == (2, 64, 80)
    assert len({float(np.abs(data.flow(index)).max()) for index in range(3)}) == 3


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(DataError, match="was not written by this generator"):
        generate_clips(tmp_path, **SMALL)
    with pytest.raises(DataError, match="was not written by this generator"):
        generate_pairs(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [{"style": "wild"}, {"length": 0}, {"annotate_every": 0}, {"train": -1}, {"seed": -1}, {"size": (16, 64)}],
)
def test_impossible_parameters(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(DataError, match="cannot draw"):
        generate_clips(tmp_path / "x", **(SMALL | wrong))
    assert not (tmp_path / "x").exists()
