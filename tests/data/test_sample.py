"""Back from the network's pixels to the original ones."""

import numpy as np

from mobileseg.data.sample import Sample, undo_geometry
from mobileseg.data.transforms.build import build_transforms


def test_undo_is_exact_where_nothing_is_interpolated() -> None:
    scores = np.random.default_rng(0).normal(size=(4, 9, 14)).astype(np.float32)
    np.testing.assert_array_equal(undo_geometry(scores, []), scores)
    np.testing.assert_array_equal(undo_geometry(scores, [("padding", (7, 11))]), scores[:, :7, :11])
    np.testing.assert_array_equal(undo_geometry(scores, [("resize", (9, 14))]), scores)


def test_undo_follows_the_steps_backwards() -> None:
    """A smooth image goes through Resize, Padding, Resize and comes back to its own pixels."""
    rows, columns = np.mgrid[:40, :60].astype(np.float32)
    image = np.stack([rows, columns, rows + columns], -1)
    sample = Sample(image.copy())
    steps = [
        {"type": "ResizeByLong", "long_size": 90},
        {"type": "Padding", "target_size": 96, "im_padding_value": 0},
        {"type": "Resize", "target_size": [192, 192]},
    ]
    for transform in build_transforms(steps):
        sample = transform(sample, np.random.default_rng(0))
    assert sample.size == (192, 192)
    assert sample.meta["geometry"] == [("resize", (40, 60)), ("padding", (60, 90)), ("resize", (96, 96))]
    back = undo_geometry(sample.image.transpose(2, 0, 1), sample.meta["geometry"])
    assert back.shape == (3, 40, 60)
    inside = (slice(None), slice(2, -2), slice(2, -2))
    assert np.abs(back - image.transpose(2, 0, 1))[inside].max() < 0.1


def test_defaults() -> None:
    sample = Sample(np.zeros((3, 5, 3), np.float32))
    assert sample.size == (3, 5)
    assert sample.ignore_index == 255
