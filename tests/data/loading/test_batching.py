"""Order of samples, and batches of them."""

import numpy as np
import pytest

from mobileseg.data.loading.batching import SampleOrder, collate, load_batch
from mobileseg.errors import DataError
from tests.data.numbers import Boxes, Numbers

pytestmark = pytest.mark.both


def test_every_epoch_is_a_permutation_of_its_own():
    order = SampleOrder(16, 4, seed=1)
    epochs = [[key for number in range(4) for key in order.batch(4 * epoch + number)] for epoch in range(3)]
    for epoch, keys in enumerate(epochs):
        assert sorted(keys) == [(epoch, index) for index in range(16)]
    assert [i for _, i in epochs[0]] != [i for _, i in epochs[1]]
    assert SampleOrder(16, 4, seed=1).batch(9) == order.batch(9)
    assert SampleOrder(16, 4, seed=2).batch(9) != order.batch(9)


def test_incomplete_batches_are_dropped():
    order = SampleOrder(10, 4, seed=0)
    assert order.batches_per_epoch == 2
    assert [order.batch(position)[0][0] for position in range(6)] == [0, 0, 1, 1, 2, 2]
    assert all(len(order.batch(position)) == 4 for position in range(6))


def test_shards_together_are_the_single_batch():
    single = SampleOrder(17, 6, seed=5)
    parts = [SampleOrder(17, 2, seed=5, rank=rank, count=3) for rank in range(3)]
    for position in range(7):
        assert [key for part in parts for key in part.batch(position)] == single.batch(position)


@pytest.mark.parametrize(("size", "message"), [(0, "is empty"), (3, "3 samples, fewer than one batch of 2 x 2")])
def test_too_few_samples(size, message):
    with pytest.raises(DataError, match=message):
        SampleOrder(size, 2, seed=0, count=2)


def test_samples_are_stacked():
    batch = load_batch(Numbers(), [(0, 3), (1, 4)])
    assert batch["image"].shape == (2, 3, 4, 4)
    assert batch["image"][:, 0, 0, 0].tolist() == [3, 104]
    assert batch["index"].tolist() == [3, 4]


def test_samples_of_different_sizes():
    with pytest.raises(DataError, match=r"differ in size: 'image' has the shapes \[3, 4, 4\], \[3, 5, 4\]"):
        load_batch(Numbers(differing=2), [(0, 1), (0, 2)])


def test_keys_with_a_pad_value_are_padded_to_the_longest():
    batch = load_batch(Boxes(), [(0, 2), (0, 0), (0, 3)])
    assert batch["boxes"].shape == (3, 3, 4)
    assert (batch["boxes"].dtype, batch["classes"].dtype) == (np.float32, np.int64)
    assert batch["classes"].tolist() == [[2, 2, -1], [-1, -1, -1], [3, 3, 3]]
    assert batch["boxes"][:, :, 0].tolist() == [[2, 2, 0], [0, 0, 0], [3, 3, 3]]


def test_a_batch_without_any_row_is_padded_to_one():
    batch = load_batch(Boxes(), [(0, 0), (1, 0)])
    assert batch["boxes"].shape == (2, 1, 4)
    assert batch["classes"].tolist() == [[-1], [-1]]


def test_padding_hides_no_other_difference():
    masks = [{"masks": np.zeros((1, 4, 4), np.uint8)}, {"masks": np.zeros((2, 4, 5), np.uint8)}]
    with pytest.raises(DataError, match="'masks' has the shapes"):
        collate(masks, {"masks": 0})
