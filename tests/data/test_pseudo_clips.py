"""Clips made of stills: masks move with their pixels, cut-outs hide what is below, ids stay."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.datasets import PseudoClips
from mobileseg.data.loading.batching import load_batch
from mobileseg.errors import ConfigError
from tests.data.instance_folder import CocoFolder
from tests.data.video_folder import VideoFolder, box_mask, moving, save


@pytest.fixture
def stills(tmp_path: Path) -> dict[str, str]:
    """Two photographs; the objects of the first are white on black, that of the second is grey."""
    folder = CocoFolder(tmp_path / "coco")
    for boxes, value in (([(6, 6, 26, 30), (36, 16, 56, 40)], 255), ([(10, 10, 40, 40)], 128)):
        image = folder.image()
        pixels = np.zeros((48, 64, 3), np.uint8)
        for x1, y1, x2, y2 in boxes:
            pixels[y1:y2, x1:x2] = value
            folder.object(image, (x1, y1, x2, y2), 10 if value == 255 else 20)
        Image.fromarray(pixels).save(folder.root / "images" / "train" / f"{image}.png")
    return {"type": "CocoInstances", "dataset_root": folder.write()}


def test_motion_moves_masks_with_pixels(stills: dict) -> None:
    data = PseudoClips(stills, clip=3, max_shift=0.08, max_turn=10, max_zoom=1.1)
    assert data.task == "video"
    shifts = set()
    for epoch in range(6):
        item = data[(epoch, 0)]
        assert item["frames"].shape == (3, 3, 48, 64)
        assert item["track_ids"].tolist() == [1, 2]
        assert item["classes"].tolist() == [0, 0]
        inside = np.abs(item["frames"].mean(axis=1) - 127.5) > 8  # beyond the border of the still it is grey
        white = item["frames"].mean(axis=1) > 127.5
        masks = item["frame_masks"].any(axis=0)
        assert (white == masks)[inside].mean() > 0.98
        shifts.add(tuple(np.round(item["frame_boxes"][0, 2] - item["frame_boxes"][0, 0], 3).tolist()))
    assert len(shifts) == 6


def test_cut_outs_hide_what_is_below(stills: dict) -> None:
    data = PseudoClips(stills, clip=3, paste=3, max_shift=0.1)
    pasted = 0
    for epoch in range(12):
        item = data[(epoch, 0)]
        assert (item["frame_masks"].sum(axis=0) <= 1).all()  # a pixel belongs to one object
        grey = np.abs(item["frames"].mean(axis=1) - 128) < 1
        later = item["frame_masks"][item["classes"] == 1]
        pasted += len(later)
        if len(later):
            assert grey[later.any(axis=0)].mean() > 0.8
        assert len(set(item["track_ids"].tolist())) == len(item["track_ids"])
    assert pasted > 3


def test_objects_over_another_video(stills: dict, tmp_path: Path) -> None:
    folder = VideoFolder(tmp_path / "video")
    folder.track(folder.video(range(3)), moving(3))
    for number in range(3):
        blue = np.zeros((30, 40, 3), np.uint8)
        blue[..., 2] = 50 + number
        save(tmp_path / f"blue/JPEGImages/a/{number:05d}.png", blue)
        save(tmp_path / f"blue/Annotations/a/{number:05d}.png", box_mask(0, 0, 9, 9, (30, 40)))
    section = {"type": "Davis", "dataset_root": str(tmp_path / "blue")}
    data = PseudoClips(stills, clip=3, backgrounds=section, background_prob=1.0)
    item = data[(0, 0)]
    assert item["frames"][:, 2, 0, -1].tolist() == [50, 51, 52]
    assert len(item["classes"]) == 2
    assert item["frames"][:, 0][item["frame_masks"].any(axis=0)].mean() > 200


def test_clips_are_repeatable_and_batch(stills: dict) -> None:
    steps = [{"type": "RandomInstanceCrop"}, {"type": "Resize", "target_size": [32, 32]}, {"type": "Normalize"}]
    data = PseudoClips(stills, steps, paste=2)
    again = pickle.loads(pickle.dumps(data))
    for key in [(0, 0), (4, 1)]:
        one, other = data[key], again[key]
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert load_batch(data, [(0, 0), (0, 1)])["frames"].shape == (2, 2, 3, 32, 32)


def test_stills_stay_as_they_are(stills: dict) -> None:
    data = PseudoClips(stills)
    assert [data.image_id(index) for index in range(2)] == [100, 101]
    assert data.category_ids == (10, 20)
    assert len(data.annotations) == 3
    assert data.objects(0).ids.tolist() == [1, 2]
    assert [list(frames) for frames in data.sequences()] == [[0], [1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "val"}, "no mode 'val'"),
        ({"clip": 1}, "clip is 1"),
        ({"max_shift": 2}, "max_shift 2"),
        ({"max_zoom": 0.5}, "max_zoom 0.5"),
        ({"paste": -1}, "paste -1"),
        ({"stills": {"type": "Nothing"}}, "no dataset named 'Nothing'"),
        ({"stills": "data"}, "stills is 'data'"),
        ({"stills": {"type": "CocoInstances"}}, "stills: "),
        ({"backgrounds": 3}, "backgrounds is 3"),
    ],
)
def test_arguments_that_cannot_be_used(stills: dict, arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PseudoClips(**({"stills": stills} | arguments))


def test_stills_that_are_none(stills: dict, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stills has transforms of its own"):
        PseudoClips(stills | {"transforms": [{"type": "Normalize"}]})
    with pytest.raises(ConfigError, match="a CocoInstances of mode 'val'"):
        PseudoClips(
            stills | {"mode": "val", "annotation_file": "annotations/instances_train.json", "image_dir": "images/train"}
        )
    folder = VideoFolder(tmp_path / "video")
    folder.track(folder.video(range(3)), moving(3))
    with pytest.raises(ConfigError, match="stills is a YouTubeVIS"):
        PseudoClips({"type": "YouTubeVIS", "dataset_root": folder.write()})
