"""Four images joined into one: which pixels are whose, what is cut, what is learned of it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileseg.data.instances import Instances
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.mosaic import Mosaic
from mobileseg.errors import ConfigError
from tests.data.coco_folder import CocoFolder

pytestmark = pytest.mark.both

SIZE = (60, 80)
OBJECT, CROWD = (10, 5, 40, 45), (50, 20, 74, 58)


def scene(number: int) -> Sample:
    """Red shows the object, blue the crowd region, green the number of the image."""
    masks = np.zeros((2, *SIZE), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, (OBJECT, CROWD), strict=True):
        mask[y1:y2, x1:x2] = 1
        mask[y1 : y1 + 6, x1 : x1 + 9] = 0
    image = np.stack([200 * masks[0], np.full(SIZE, 50 * number), 200 * masks[1]], axis=2).astype(np.float32)
    return Sample(image, None, {}, Instances.from_masks(masks, [number, number], crowd=[False, True], ids=[7, 9]))


class Numbered:
    """A dataset of the images 1, 2 and 3, given in turns."""

    task = "instance"

    def __init__(self) -> None:
        self.given = 0

    def __len__(self) -> int:
        return 3

    def drawn(self, index: int, rng: np.random.Generator) -> int:
        return index

    def load(self, index: int) -> Sample:
        self.given += 1
        return scene(1 + (self.given - 1) % 3)

    def objects(self, index: int) -> Instances:
        return self.load(index).instances


def attached(**more: Any) -> Mosaic:
    transform = Mosaic(**{"prob": 1, "target_size": (80, 60), "min_visible": 0, **more})
    transform.attach(Numbered())
    return transform


@pytest.mark.parametrize("zoom", [(1, 1), (1, 1.5), (2, 3)])
@pytest.mark.parametrize("size", [(80, 60), (61, 97)])
def test_every_mask_is_where_its_object_is_seen(zoom: tuple[float, float], size: tuple[int, int]) -> None:
    transform = attached(zoom=zoom, target_size=size)
    rng = np.random.default_rng(0)
    corners = set()
    for _ in range(25):
        after = transform(scene(0), rng)
        image, objects = after.image, after.instances
        assert image.shape == (size[1], size[0], 3)
        assert image.dtype == np.float32
        assert objects.size == image.shape[:2]
        assert sorted(set(objects.ids.tolist())) == list(range(1, len(objects) + 1))
        owner = np.round(image[..., 1] / 50).astype(int)
        corners.add(int(owner[0, 0]))
        seen = {}
        for mask, number, crowd in zip(objects.masks, objects.classes, objects.crowd, strict=True):
            seen[int(number), bool(crowd)] = mask
        for number in range(4):
            rows, columns = np.nonzero(owner == number)
            whole = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
            assert len(rows) == whole  # a rectangle, and all of it
            for channel, crowd in ((0, False), (2, True)):
                shown = (image[..., channel] >= 100) & (owner == number)
                mask = seen.get((number, crowd), np.zeros_like(shown))
                np.testing.assert_array_equal(mask == 1, shown)
    assert corners == {0, 1, 2, 3}


def test_boxes_hold_their_masks() -> None:
    transform = attached(zoom=(1, 2))
    rng = np.random.default_rng(1)
    for _ in range(25):
        objects = transform(scene(0), rng).instances
        for mask, box in zip(objects.masks, objects.boxes, strict=True):
            rows, columns = np.nonzero(mask)
            tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(box, tight, atol=1.0)


def test_what_is_mostly_cut_away_is_a_crowd_region() -> None:
    """Rectangles of 40x30 that show a part of images in their own size: nothing is scaled, so pixels can be counted."""
    transform = attached(centre=(0.5, 0.5), zoom=(2, 2), min_visible=0.4)
    rng = np.random.default_rng(2)
    area = scene(0).instances.areas()[0]
    shares = []
    for _ in range(40):
        after = transform(scene(0), rng)
        owner = np.round(after.image[..., 1] / 50).astype(int)
        crowds = {(int(n), bool(c)): 0 for n, c in zip(after.instances.classes, after.instances.crowd, strict=True)}
        for number in range(4):
            share = float(((after.image[..., 0] >= 100) & (owner == number)).sum() / area)
            shares.append(share)
            assert ((number, False) in crowds) == (share >= 0.4)
            if 0 < share < 0.4:
                found = after.instances.masks[
                    (after.instances.classes == number) & after.instances.crowd
                ].max(axis=0)  # fmt: skip
                assert found[(after.image[..., 0] >= 100) & (owner == number)].all()
    assert min(shares) < 0.4 < max(shares)


def test_the_images_it_takes_stay_as_they_are() -> None:
    """A dataset may give the same arrays twice."""
    other = scene(1)
    dataset = Numbered()
    dataset.load = lambda index: other  # type: ignore[method-assign]
    transform = Mosaic(prob=1, target_size=(80, 60))
    transform.attach(dataset)
    transform(scene(0), np.random.default_rng(0))
    np.testing.assert_array_equal(other.image, scene(1).image)
    np.testing.assert_array_equal(other.instances.masks, scene(1).instances.masks)
    assert other.instances.crowd.tolist() == [False, True]
    assert other.instances.ids.tolist() == [7, 9]


def test_prob() -> None:
    transform = attached(prob=0.5)
    rng = np.random.default_rng(3)
    joined = [len(np.unique(transform(scene(0), rng).image[..., 1])) > 1 for _ in range(100)]
    assert 30 < sum(joined) < 70
    kept = attached(prob=0)(scene(0), rng)
    np.testing.assert_array_equal(kept.image, scene(0).image)


def test_in_a_dataset(tmp_path: Path) -> None:
    steps = [{"type": "Mosaic", "prob": 1, "target_size": [64, 48]}, {"type": "Normalize"}]
    folder = CocoFolder(tmp_path)
    folder.document()
    dataset = folder.open(transforms=steps)
    again = pickle.loads(pickle.dumps(dataset))
    for index in range(3):
        one, other = dataset[(2, index)], again[(2, index)]
        assert all(np.array_equal(one[name], other[name]) for name in one)
        assert one["image"].shape == (3, 48, 64)
        assert one["masks"].shape[1:] == (48, 64)
        assert (one["boxes"] >= 0).all()
        assert (one["boxes"] <= 1).all()


def test_where_it_has_no_place(tmp_path: Path) -> None:
    folder = CocoFolder(tmp_path)
    folder.document("val")
    with pytest.raises(ConfigError, match="for training"):
        folder.open("val", transforms=[{"type": "Mosaic"}])
    with pytest.raises(ConfigError, match="Mosaic belongs to no dataset"):
        Mosaic()(scene(0), np.random.default_rng(0))
    with pytest.raises(ConfigError, match="is for semantic segmentation"):
        Mosaic().attach(type("Labels", (), {"task": "semantic"})())


@pytest.mark.parametrize(
    "wrong",
    [
        {"prob": 1.5},
        {"min_visible": -0.1},
        {"centre": [0.7, 0.3]},
        {"centre": [0, 0.5]},
        {"zoom": [0.5, 1]},
        {"zoom": [2, 1]},
        {"target_size": [0, 5]},
        {"target_size": [1, 5]},
    ],
)
def test_numbers_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Mosaic(**wrong)
