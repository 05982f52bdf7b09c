"""Anchors and box coding against loops written from the paper's description."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mobileseg.instance.anchors import VARIANCES, decode, encode, make_anchors


def slow_anchors(sizes, image, scales, ratios, square):
    rows_of_all = []
    for (rows, columns), level in zip(sizes, scales, strict=True):
        for row in range(rows):
            for column in range(columns):
                for scale in level:
                    for ratio in ratios:
                        width = scale * math.sqrt(ratio)
                        height = width if square else scale / math.sqrt(ratio)
                        center = ((column + 0.5) / columns, (row + 0.5) / rows)
                        rows_of_all.append([*center, width / image[1], height / image[0]])
    return np.array(rows_of_all)


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("image", [(64, 64), (48, 80)])
def test_order_and_values(image, square):
    sizes = [(3, 5), (2, 2), (1, 1)]
    scales, ratios = [[24], [30, 48], [96]], (1, 0.5, 2)
    anchors = make_anchors(sizes, image, scales, ratios, square)
    assert anchors.dtype == np.float32
    np.testing.assert_allclose(anchors, slow_anchors(sizes, image, scales, ratios, square), rtol=1e-6)


def test_published_squares():
    """Sides of the three anchors of the finest level of YOLACT at 550."""
    anchors = make_anchors([(69, 69)], (550, 550), [[24]], (1, 0.5, 2), square=True)
    np.testing.assert_allclose(anchors[:3, 2], [0.043636, 0.030856, 0.061711], atol=1e-6)
    np.testing.assert_array_equal(anchors[:, 2], anchors[:, 3])


def test_true_ratios_keep_the_area():
    anchors = make_anchors([(1, 1)], (100, 200), [[40]], (1, 0.5, 2, 3))
    pixels = anchors[:, 2:] * (200, 100)
    np.testing.assert_allclose(pixels[:, 0] / pixels[:, 1], [1, 0.5, 2, 3], rtol=1e-6)
    np.testing.assert_allclose(pixels.prod(axis=1), 1600, rtol=1e-6)


def test_coding_against_the_formula():
    rng = np.random.RandomState(0)
    low = rng.uniform(0, 0.5, (50, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.05, 0.5, (50, 2))], axis=1).astype(np.float32)
    anchors = np.concatenate([rng.uniform(0, 1, (50, 2)), rng.uniform(0.05, 0.5, (50, 2))], axis=1).astype(np.float32)
    loc = encode(boxes, anchors)
    assert loc.dtype == np.float32
    for (x1, y1, x2, y2), (cx, cy, w, h), row in zip(boxes.tolist(), anchors.tolist(), loc, strict=True):
        expected = [
            ((x1 + x2) / 2 - cx) / (0.1 * w),
            ((y1 + y2) / 2 - cy) / (0.1 * h),
            math.log((x2 - x1) / w) / 0.2,
            math.log((y2 - y1) / h) / 0.2,
        ]
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(decode(loc, anchors), boxes, atol=1e-5)
    other = encode(boxes, anchors, (1.0, 1.0))
    np.testing.assert_allclose(other, loc * np.repeat(VARIANCES, 2), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(decode(other, anchors, (1.0, 1.0)), boxes, atol=1e-5)


def test_decoding_does_not_clip():
    boxes = decode(np.array([[0, 0, 5.0, 5.0]], np.float32), np.array([[0.1, 0.9, 0.5, 0.5]], np.float32))
    half = 0.25 * math.e
    np.testing.assert_allclose(boxes[0], [0.1 - half, 0.9 - half, 0.1 + half, 0.9 + half], rtol=1e-5)
    assert boxes.dtype == np.float32


def test_nothing_to_code():
    empty = np.zeros((0, 4), np.float32)
    assert encode(empty, empty).shape == (0, 4)
    assert decode(empty, empty).shape == (0, 4)
