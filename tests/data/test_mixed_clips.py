"""Clips of several datasets: how often each is drawn from, and that its clips are its own."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest

from mobileseg.data.datasets import MixedClips
from mobileseg.data.doctor.diagnose import preflight
from mobileseg.data.loading.batching import load_batch
from mobileseg.data.synthetic.datasets import generate
from mobileseg.data.synthetic.video import generate_clips
from mobileseg.errors import ConfigError

CLASSES = ["stripes", "checks", "dots", "rings"]
SIZE = (48, 64)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Four stills and three clips of four frames."""
    root = tmp_path_factory.mktemp("mixed")
    generate(root / "stills", train=4, val=1, size=SIZE, clips=0, val_clips=0)
    generate_clips(root / "clips", train=3, val=1, length=4, size=SIZE)
    stills = {"type": "CocoInstances", "dataset_root": str(root / "stills")}
    clips = {"type": "YouTubeVIS", "dataset_root": str(root / "clips"), "clip": 2, "classes": CLASSES}
    return {"pseudo": {"type": "PseudoClips", "stills": stills}, "clips": clips}


def mixed(parts: dict[str, dict[str, Any]], ratios: tuple[float, float] = (1, 3), **more: Any) -> MixedClips:
    sections = [{"ratio": ratio, "dataset": section} for ratio, section in zip(ratios, parts.values(), strict=True)]
    return MixedClips(sections, **more)


def test_parts_are_drawn_by_their_ratios(parts: dict[str, dict[str, Any]]) -> None:
    data = mixed(parts)
    assert (len(data), data.task, data.classes, data.clip) == (4 + 12, "video", tuple(CLASSES), 2)
    drawn = [int(data.prepare((epoch, index)).meta["index"]) for epoch in range(25) for index in range(16)]
    stills = sum(index < 4 for index in drawn)
    assert 70 < stills < 130  # 100 of 400 are expected, with a deviation of 9
    # The last frame of a clip begins no pair.
    assert set(drawn) == set(range(16)) - {4 + 3, 4 + 7, 4 + 11}
    assert max(Counter(index for index in drawn if index >= 4).values()) < 3 * 300 / 9


def test_a_clip_is_that_of_its_part(parts: dict[str, dict[str, Any]]) -> None:
    data = mixed(parts)
    for index in range(12):
        item = data[(0, index)]
        start = int(item["index"])
        assert item["frames"].shape == (2, 3, *SIZE)
        if start >= 4:
            own = data.parts[1]
            first = own.load(start - 4)
            np.testing.assert_array_equal(item["frames"][0], first.image.transpose(2, 0, 1))
            np.testing.assert_array_equal(item["frames"][1], own.load(start - 3).image.transpose(2, 0, 1))
            assert set(first.instances.ids) <= set(item["track_ids"].tolist())


def test_a_key_always_gives_the_same_clip(parts: dict[str, dict[str, Any]]) -> None:
    transforms = [{"type": "RandomHorizontalFlip"}, {"type": "Normalize"}]
    data = mixed(parts, transforms=transforms)
    again = pickle.loads(pickle.dumps(data))
    for key in ((0, 3), (5, 11)):
        one, other = data[key], again[key]
        assert all(np.array_equal(one[name], other[name]) for name in one)
    batch = load_batch(data, [(0, index) for index in range(8)])
    assert batch["frames"].shape == (8, 2, 3, *SIZE)
    preflight(data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ratio": 0}, "above 0"),
        ({"ratio": True}, "above 0"),
        ({"weight": 1}, "expected ratio"),
        ({"dataset": 3}, "expected a dataset"),
        ({"clip": None}, "gives no clips"),
        ({"clip": 3}, "clips of 3 frames"),
        ({"classes": CLASSES[:2]}, "the classes stripes, checks"),
        ({"transforms": [{"type": "Normalize"}]}, "transforms of its own"),
    ],
)
def test_parts_that_cannot_be_mixed(change: dict[str, Any], words: str, parts: dict[str, dict[str, Any]]) -> None:
    good, bad = ({"ratio": 1, "dataset": dict(section)} for section in parts.values())
    inner = {"clip", "classes", "transforms"}
    bad["dataset"] |= {key: value for key, value in change.items() if key in inner}
    bad |= {key: value for key, value in change.items() if key not in inner}
    with pytest.raises(ConfigError, match=words):
        MixedClips([good, bad])


@pytest.mark.parametrize("sections", [[], "clips", None, [{"ratio": 1, "dataset": {}}]])
def test_fewer_than_two_parts(sections: Any) -> None:
    with pytest.raises(ConfigError, match="at least two"):
        MixedClips(sections)


def test_a_mixture_is_no_part(parts: dict[str, dict[str, Any]]) -> None:
    sections = [{"ratio": 1, "dataset": section} for section in parts.values()]
    with pytest.raises(ConfigError, match="no clips of its own"):
        MixedClips([sections[0], {"ratio": 1, "dataset": {"type": "MixedClips", "parts": sections}}])


def test_there_is_no_evaluation_on_a_mixture(parts: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match="no mode 'val'"):
        mixed(parts, mode="val")
