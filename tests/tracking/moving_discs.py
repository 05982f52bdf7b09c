"""Clips of moving discs that cross and hide each other, and what a network might make of their masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobileseg.structures import InstanceMasks, InstanceResult
from tests.tracking.identity_scores import Frame

SIZE = (240, 320)
SMALLEST = 20  # pixels that make a visible object


def discs(rng: np.random.Generator, count: int, length: int, size: tuple[int, int] = SIZE) -> list[Frame]:
    """Ids and visible masks of discs that bounce off the borders; those of higher numbers hide the others."""
    height, width = size
    rows, columns = np.indices(size)
    radius = rng.uniform(0.04, 0.12, count) * height
    place = rng.uniform(0, 1, (count, 2)) * (width, height)
    speed = rng.normal(0, 0.012 * height, (count, 2))
    frames = []
    for _ in range(length):
        owner = np.full(size, -1)
        for index in range(count):
            inside = (columns - place[index, 0]) ** 2 + (rows - place[index, 1]) ** 2 < radius[index] ** 2
            owner[inside] = index
        ids = [index for index in range(count) if (owner == index).sum() >= SMALLEST]
        masks = np.array([owner == index for index in ids]).reshape(len(ids), *size)
        frames.append((ids, InstanceMasks.from_array(masks)))
        place += speed
        outside = (place < 0) | (place > (width, height))
        speed = np.where(outside, -speed, speed)
    return frames


def result_of(
    masks: InstanceMasks, scores: Sequence[float] | None = None, classes: Sequence[int] | None = None
) -> InstanceResult:
    """Masks as a result, in the order of falling scores, with tight boxes."""
    boxes = [(left, top, left + bitmap.shape[1], top + bitmap.shape[0]) for top, left, bitmap in masks.regions]
    count = len(masks)
    result = InstanceResult(
        boxes=np.array(boxes, np.float32).reshape(count, 4),
        scores=np.array([0.9] * count if scores is None else scores, np.float32),
        classes=np.array([0] * count if classes is None else classes, np.int64),
        masks=masks,
    )
    return result.take(np.argsort(-result.scores, kind="stable"))


def moved(region: tuple[int, int, np.ndarray], dx: int, dy: int, size: tuple[int, int]) -> tuple[int, int, np.ndarray]:
    """A region somewhere else, cut at the borders of the image."""
    top, left, bitmap = region
    top, left = top + dy, left + dx
    bitmap = bitmap[max(0, -top) : max(0, size[0] - top), max(0, -left) : max(0, size[1] - left)]
    return min(max(0, top), size[0]), min(max(0, left), size[1]), bitmap


def disturbed(
    rng: np.random.Generator, frame: Frame, *, dropped: float, jittered: float, false: float
) -> tuple[list[int], InstanceMasks]:
    """What a network might find: masks that are missing, moved by up to an eighth of their side, or false (id -1).

    Args:
        rng: source of chance.
        frame: the truth.
        dropped: probability of each object.
        jittered: probability of each object that is left.
        false: false ones per object, in the mean.
    """
    ids, masks = frame
    names, regions = [], []
    for name, region in zip(ids, masks.regions, strict=True):
        if rng.random() < false and masks.size:
            names.append(-1)
            far = [int(rng.integers(-side, side)) for side in (masks.size[1], masks.size[0])]
            regions.append(moved(region, far[0], far[1], masks.size))
            if regions[-1][2].sum() < SMALLEST:
                names.pop(), regions.pop()
        if rng.random() < dropped:
            continue
        if rng.random() < jittered:
            reach = [max(1, side // 8) for side in region[2].shape]
            dx, dy = int(rng.integers(-reach[1], reach[1] + 1)), int(rng.integers(-reach[0], reach[0] + 1))
            region = moved(region, dx, dy, masks.size)
        names.append(name)
        regions.append(region)
    order = rng.permutation(len(names))
    return [names[index] for index in order], InstanceMasks.from_array(
        InstanceMasks(masks.size, [regions[index] for index in order]).to_array()
    )
