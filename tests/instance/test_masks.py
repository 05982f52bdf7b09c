"""Masks of regions against the whole image: a bilinear enlargement in float64, written pixel by pixel from its rule."""

import numpy as np
import pytest

from mobileseg.instance.masks import assemble_masks
from tests.instance.slow_masks import slow_probabilities

K = 6


def scene(seed: int, boxes: int, grid: tuple[int, int]):
    rng = np.random.default_rng(seed)
    prototypes = rng.normal(0, 1.5, (K, *grid)).astype(np.float32)
    coefficients = np.tanh(rng.normal(0, 1, (boxes, K))).astype(np.float32)
    corners = rng.uniform(-0.2, 1.2, (boxes, 4)).astype(np.float32)
    return prototypes, coefficients, corners


@pytest.mark.parametrize(
    ("grid", "size"),
    [
        ((138, 138), (480, 640)),
        ((80, 80), (427, 331)),  # no common divisor
        ((20, 32), (40, 64)),
        ((20, 32), (20, 32)),
        ((138, 138), (69, 69)),  # half: OpenCV has a method of its own for it
        ((40, 40), (23, 31)),
        ((16, 16), (1, 7)),
        ((1, 5), (9, 50)),
    ],
)
def test_regions_equal_the_whole_image(grid, size) -> None:
    prototypes, coefficients, boxes = scene(sum(size), 12, grid)
    boxes[0] = (0, 0, 1, 1)
    boxes[1] = (0.4, 0.45, 0.6, 0.5)
    boxes[2] = boxes[1, [2, 3, 0, 1]]
    boxes[3] = (0.3, 0.3, 0.3, 0.3)
    masks = assemble_masks(prototypes, coefficients, boxes, size)
    assert (len(masks), masks.size) == (12, size)
    for index, mask in enumerate(masks):
        expected = slow_probabilities(prototypes, coefficients[index], boxes[index], size)
        certain = np.abs(expected - 0.5) > 1e-5
        assert certain.mean() > 0.99
        np.testing.assert_array_equal(mask[certain], expected[certain] > 0.5)


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.9])
def test_the_threshold(threshold: float) -> None:
    prototypes, coefficients, boxes = scene(5, 6, (30, 30))
    masks = assemble_masks(prototypes, coefficients, boxes, (90, 110), threshold)
    for index, mask in enumerate(masks):
        expected = slow_probabilities(prototypes, coefficients[index], boxes[index], (90, 110))
        certain = np.abs(expected - threshold) > 1e-5
        certain |= expected == 0
        np.testing.assert_array_equal(mask[certain], expected[certain] > threshold)


def test_small_boxes_have_small_regions() -> None:
    prototypes, coefficients, _ = scene(0, 1, (138, 138))
    masks = assemble_masks(prototypes, coefficients, np.float32([[0.5, 0.5, 0.55, 0.6]]), (480, 640))
    _, _, bitmap = masks.regions[0]
    assert bitmap.size < 480 * 640 / 50


@pytest.mark.parametrize(
    "box", [(1.2, 0.1, 1.5, 0.4), (-0.5, 0.1, -0.2, 0.4), (0.1, 1.1, 0.4, 1.3), (0.1, -3, 0.4, -2)]
)
def test_boxes_outside_of_the_image_have_no_mask(box) -> None:
    prototypes, coefficients, _ = scene(0, 1, (50, 50))
    masks = assemble_masks(prototypes, np.abs(coefficients), np.float32([box]), (70, 90))
    assert masks.areas().tolist() == [0]
    assert slow_probabilities(prototypes, coefficients[0], box, (70, 90)).max() == 0


def test_no_instances() -> None:
    prototypes, _, _ = scene(0, 1, (10, 10))
    masks = assemble_masks(prototypes, np.zeros((0, K), np.float32), np.zeros((0, 4), np.float32), (20, 30))
    assert (len(masks), masks.size) == (0, (20, 30))


def test_extreme_logits_make_whole_and_empty_masks() -> None:
    prototypes = np.full((1, 8, 8), 1e4, np.float32)
    boxes = np.float32([[0, 0, 1, 1]] * 2)
    masks = assemble_masks(prototypes, np.float32([[1], [-1]]), boxes, (16, 16))
    assert masks.areas().tolist() == [256, 0]


def test_the_prototypes_are_left_as_they_were() -> None:
    prototypes, coefficients, boxes = scene(0, 4, (20, 20))
    before = prototypes.copy(), coefficients.copy(), boxes.copy()
    assemble_masks(prototypes, coefficients, boxes, (30, 30))
    for old, new in zip(before, (prototypes, coefficients, boxes), strict=True):
        np.testing.assert_array_equal(old, new)
