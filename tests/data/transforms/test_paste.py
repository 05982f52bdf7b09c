"""Pasting objects of other images: what is seen, what is cut, what is left alone."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileseg.data.instances import Instances
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.paste import CopyPaste
from mobileseg.errors import ConfigError
from tests.data.coco_folder import CocoFolder

pytestmark = pytest.mark.both

SIZE = (60, 80)


def scene(grey: float, boxes: list[tuple[int, int, int, int]], size: tuple[int, int] = SIZE, **more: Any) -> Sample:
    """A grey image with boxes as objects, each cut at one corner so that a mirrored one can be told."""
    masks = np.zeros((len(boxes), *size), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = 1
        mask[y1 : y1 + 3, x1 : x1 + 3] = 0
    image = np.full((*size, 3), grey, np.float32)
    return Sample(image, None, {}, Instances.from_masks(masks, [0] * len(boxes), **more))


class Others:
    """A dataset of one image, which it makes anew every time."""

    task = "instance"

    def __init__(self, *scene_of: Any, **more: Any) -> None:
        self.arguments = scene_of, more

    def __len__(self) -> int:
        return 1

    def drawn(self, index: int, rng: np.random.Generator) -> int:
        return index

    def load(self, index: int) -> Sample:
        return scene(*self.arguments[0], **self.arguments[1])

    def objects(self, index: int) -> Instances:
        return self.load(index).instances


def attached(others: Others, **more: Any) -> CopyPaste:
    transform = CopyPaste(**{"prob": 1, "min_scale": 1, "max_scale": 1, **more})
    transform.attach(others)
    return transform


DONOR = (200, [(10, 5, 26, 25)])


@pytest.mark.parametrize("scales", [(1, 1), (0.5, 0.5), (0.5, 2.2)])
def test_pixels_and_mask_of_what_is_pasted_agree(scales: tuple[float, float]) -> None:
    transform = attached(Others(*DONOR), min_scale=scales[0], max_scale=scales[1])
    rng = np.random.default_rng(0)
    areas, mirrored, places = [], set(), set()
    for _ in range(40):
        after = transform(scene(50, []), rng)
        assert len(after.instances) == 1
        mask = after.instances.masks[0]
        np.testing.assert_array_equal(after.image[..., 0] == 200, mask == 1)
        np.testing.assert_array_equal(after.image[..., 0] == 50, mask == 0)
        x1, y1, x2, y2 = (int(side) for side in after.instances.boxes[0])
        assert mask.sum() == mask[y1:y2, x1:x2].sum()
        assert mask[y1:y2, x1].any()
        assert mask[y1, x1:x2].any()
        mirrored.add(bool(mask[y1, x1]))
        areas.append(mask.sum() / (16 * 20 - 9))
        places.add((x1, y1))
    assert mirrored == {True, False}
    assert len(places) > 20
    assert scales[0] ** 2 * 0.85 <= min(areas) <= max(areas) <= scales[1] ** 2 * 1.15
    if scales[0] < scales[1]:
        assert min(areas) < 0.5 < 1.5 < max(areas)


def test_what_is_covered_is_cut_from_objects_and_crowds() -> None:
    transform = attached(Others(*DONOR), max_covered=1, attempts=1)
    rng = np.random.default_rng(1)
    boxes = [(0, 0, 40, 60), (40, 0, 80, 60)]
    for _ in range(20):
        before = scene(50, boxes, crowd=[False, True], ids=[7, 9])
        whole = before.instances.masks
        after = transform(before, rng).instances
        *below, pasted = after.masks
        assert after.crowd.tolist() == [False, True, False]
        assert after.ids.tolist() == [7, 9, 10]
        for mask, old, box in zip(below, whole, after.boxes, strict=False):
            np.testing.assert_array_equal(mask, old & (1 - pasted))
            rows, columns = np.nonzero(mask)
            if mask.sum() < old.sum():
                assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_an_object_that_vanishes_is_dropped() -> None:
    small = [(36, 26, 44, 34)]
    everything = Others(200, [(0, 0, 80, 60)], SIZE)
    after = attached(everything, max_covered=1)(scene(50, small), np.random.default_rng(0))
    assert len(after.instances) == 1
    assert (after.image == 200).sum() == 3 * after.instances.areas()[0]


def test_an_object_is_not_covered_by_more_than_its_share() -> None:
    transform = attached(Others(*DONOR), max_covered=0.3)
    rng = np.random.default_rng(2)
    pasted = 0
    for _ in range(60):
        before = scene(50, [(20, 20, 50, 45)])
        area = before.instances.areas()[0]
        after = transform(before, rng).instances
        pasted += len(after) == 2
        assert after.areas()[0] >= 0.7 * area
    assert pasted > 40


@pytest.mark.parametrize(
    ("others", "options"),
    [
        (Others(200, [(0, 0, 70, 50)], (60, 80)), {"min_scale": 2, "max_scale": 2}),  # larger than the image
        (Others(200, [(0, 0, 80, 60)], (60, 80)), {"max_covered": 0.2}),  # covers what is there, wherever it lies
        (Others(200, [(5, 5, 10, 10)]), {}),  # of a few pixels
        (Others(200, [(10, 5, 26, 25)], crowd=[True]), {}),
        (Others(200, []), {}),
        (Others(*DONOR), {"prob": 0}),
    ],
)
def test_what_does_not_fit_leaves_the_image_unchanged(others: Others, options: dict[str, Any]) -> None:
    before = scene(50, [(20, 20, 50, 45)])
    after = attached(others, **options)(scene(50, [(20, 20, 50, 45)]), np.random.default_rng(3))
    np.testing.assert_array_equal(after.image, before.image)
    np.testing.assert_array_equal(after.instances.masks, before.instances.masks)
    np.testing.assert_array_equal(after.instances.boxes, before.instances.boxes)


def test_at_most_so_many_objects() -> None:
    boxes = [(x, y, x + 9, y + 9) for x in (0, 20, 40, 60) for y in (0, 20, 40)]
    transform = attached(Others(200, boxes), max_objects=4)
    rng = np.random.default_rng(4)
    counts = {len(transform(scene(50, []), rng).instances) for _ in range(60)}
    assert counts == {1, 2, 3, 4}


def test_a_blended_border_fades() -> None:
    rng = np.random.default_rng(5)
    for _ in range(10):
        after = attached(Others(*DONOR), blend=1.5)(scene(50, []), rng)
        mask, shown = after.instances.masks[0] == 1, after.image[..., 0]
        assert 50 <= shown.min() <= shown.max() <= 200
        assert shown[~mask].max() > 55  # the border reaches beyond the mask
        assert shown[mask].min() < 195
        assert shown[mask].max() == pytest.approx(200, abs=0.5)  # in its middle the object is itself
        assert (shown == 50).sum() > 2000


def test_the_image_it_takes_from_stays_as_it_is() -> None:
    """A dataset may give the same arrays twice."""
    other = scene(*DONOR)
    dataset = Others(*DONOR)
    dataset.load = lambda index: other  # type: ignore[method-assign]
    attached(dataset, blend=1)(scene(50, []), np.random.default_rng(0))
    np.testing.assert_array_equal(other.image, scene(*DONOR).image)
    np.testing.assert_array_equal(other.instances.masks, scene(*DONOR).instances.masks)


def test_in_a_dataset(tmp_path: Path) -> None:
    steps = [{"type": "CopyPaste", "prob": 1}, {"type": "Normalize"}]
    folder = CocoFolder(tmp_path)
    folder.document()
    dataset = folder.open(transforms=steps)
    again = pickle.loads(pickle.dumps(dataset))
    counts = set()
    for index in range(3):
        one, other = dataset[(2, index)], again[(2, index)]
        assert all(np.array_equal(one[name], other[name]) for name in one)
        counts.add(len(one["classes"]))
        assert (one["masks"].sum(axis=0) <= 1).all()  # nobody is below anybody
    assert max(counts) > 2


def test_where_it_has_no_place(tmp_path: Path) -> None:
    folder = CocoFolder(tmp_path)
    folder.document("val")
    with pytest.raises(ConfigError, match="for training"):
        folder.open("val", transforms=[{"type": "CopyPaste"}])
    with pytest.raises(ConfigError, match="belongs to no dataset"):
        CopyPaste()(scene(50, []), np.random.default_rng(0))
    labels = type("Labels", (), {"task": "semantic"})()
    with pytest.raises(ConfigError, match="is for semantic segmentation"):
        CopyPaste().attach(labels)


@pytest.mark.parametrize(
    "wrong",
    [
        {"prob": 1.5},
        {"max_objects": 0},
        {"min_scale": 0},
        {"min_scale": 2, "max_scale": 1},
        {"max_covered": -0.1},
        {"blend": -1},
        {"attempts": 0},
    ],
)
def test_numbers_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        CopyPaste(**wrong)
