"""Batches of several sizes: which size, and what becomes of pixels and objects."""

import cv2
import numpy as np
import pytest

from mobileseg.data.loading.batching import SampleOrder, batch_at
from mobileseg.data.loading.multi_scale import resize_batch, sizes_of
from mobileseg.errors import ConfigError
from tests.data.numbers import Numbers

pytestmark = pytest.mark.both

SIZES = [(8, 12), (4, 4), (10, 6)]


def test_the_size_follows_from_seed_and_number_in_every_process():
    single = SampleOrder(18, 6, seed=5, sizes=SIZES)
    parts = [SampleOrder(18, 2, seed=5, rank=rank, count=3, sizes=SIZES) for rank in range(3)]
    drawn = [single.image_size(position) for position in range(60)]
    for part in parts:
        assert [part.image_size(position) for position in reversed(range(60))] == drawn[::-1]
    assert all(10 < drawn.count(size) < 30 for size in SIZES)
    assert [SampleOrder(18, 6, seed=6, sizes=SIZES).image_size(position) for position in range(60)] != drawn
    assert SampleOrder(18, 6, seed=5).image_size(3) is None


def test_a_batch_has_the_size_of_its_number():
    order = SampleOrder(16, 4, seed=1, sizes=SIZES)
    for position in range(8):
        batch = batch_at(Numbers(), order, position)
        assert batch["image"].shape == (4, 3, *order.image_size(position))
        assert batch["image"].dtype == np.float32
        assert batch["image"][:, 0, 0, 0].tolist() == [100 * epoch + index for epoch, index in order.batch(position)]


def test_images_and_labels_move_together():
    rng = np.random.default_rng(0)
    image = rng.random((2, 3, 24, 32), np.float32)
    label = rng.integers(0, 9, (2, 24, 32))
    for height, width in ((36, 40), (12, 16), (24, 20)):
        found = resize_batch({"image": image, "label": label, "index": np.arange(2)}, (height, width))
        for before, after in zip(image, found["image"], strict=True):
            expected = cv2.resize(before.transpose(1, 2, 0).astype(np.float64), (width, height))
            np.testing.assert_allclose(after.transpose(1, 2, 0), expected, atol=1e-4)
        for number in range(2):
            for row, column in ((0, 0), (height - 1, 3), (height // 2, width - 1)):
                source = int((row + 0.5) * 24 / height), int((column + 0.5) * 32 / width)
                assert found["label"][number, row, column] == label[number, source[0], source[1]]
        assert found["label"].shape == (2, height, width)
        assert found["label"].dtype == np.int64
        assert found["index"].tolist() == [0, 1]


def test_an_object_without_a_pixel_left_becomes_padding():
    masks = np.zeros((1, 3, 32, 32), np.uint8)
    masks[0, 0, 4:20, 8:28] = 1
    masks[0, 1, 9, 9] = 1
    batch = {"image": np.zeros((1, 3, 32, 32), np.float32), "masks": masks, "classes": np.array([[2, 1, -1]])}
    batch |= {"boxes": np.ones((1, 3, 4), np.float32), "crowd": np.zeros((1, 3), np.uint8)}
    found = resize_batch(batch, (16, 16))
    assert found["classes"].tolist() == [[2, -1, -1]]
    assert found["masks"].dtype == np.uint8
    expected = np.zeros((16, 16), np.uint8)
    expected[2:10, 4:14] = 1
    np.testing.assert_array_equal(found["masks"][0, 0], expected)
    assert found["boxes"] is batch["boxes"]
    assert batch["classes"].tolist() == [[2, 1, -1]]


def test_the_same_size_changes_nothing():
    batch = {"image": np.zeros((1, 3, 8, 12), np.float32)}
    assert resize_batch(batch, (8, 12)) is batch


def test_the_section_names_width_first_and_clips_are_refused():
    dataset = type("Photos", (), {"task": "instance"})()
    assert sizes_of({"sizes": [[320, 256], [64, 32]]}, dataset) == [(256, 320), (32, 64)]
    assert sizes_of(None, object()) == []
    with pytest.raises(ConfigError, match=r"multi_scale .* the dataset Clips is for video segmentation"):
        sizes_of({"sizes": [[64, 32]]}, type("Clips", (), {"task": "video"})())
