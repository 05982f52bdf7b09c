"""The stream of batches."""

import os
from pathlib import Path
from typing import NamedTuple

import paddle
import pytest

from mobileseg.config.build import build_dataset
from mobileseg.data.loading.batching import SampleOrder
from mobileseg.errors import DataError
from mobileseg.semantic.training import require
from mobileseg.training.loader import batches
from tests.data.numbers import Numbers, expected, values
from tests.processes import alive

pytestmark = pytest.mark.both

ORDER = SampleOrder(16, 4, seed=0)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_tensors_in_order(workers):
    found = list(batches(Numbers(), ORDER, 3, 9, num_workers=workers))
    assert all(isinstance(value, paddle.Tensor) for batch in found for value in batch.values())
    assert [values(batch) for batch in found] == expected(ORDER, range(3, 9))
    assert {str(found[0]["image"].dtype), str(found[0]["index"].dtype)} == {"paddle.float32", "paddle.int64"}
    assert (int(found[0]["process"][0]) == os.getpid()) == (workers == 0)


def test_workers_make_the_bits_that_this_process_makes(toy_config):
    section = toy_config().to_dict()["train_dataset"]
    here, there = (
        list(batches(build_dataset(section, seed=3), ORDER, 2, 9, num_workers=workers)) for workers in (0, 2)
    )
    for one, other in zip(here, there, strict=True):
        assert one.keys() == other.keys()
        assert all(one[key].numpy().tobytes() == other[key].numpy().tobytes() for key in one)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_the_dataset_arrives_as_it_was_raised(workers):
    with pytest.raises(DataError) as caught:
        list(batches(Numbers(broken=7), ORDER, 0, 4, num_workers=workers))
    assert (caught.value.message, caught.value.remedy) == ("image.png is truncated", "copy it again")


def test_an_unexpected_error_in_this_process_stays_what_it_is():
    with pytest.raises(KeyError):
        list(batches(Numbers(odd=7), ORDER, 0, 4))


def test_workers_end_with_the_stream():
    stream = batches(Numbers(), ORDER, 0, 100_000, num_workers=2)
    processes = [int(next(stream)["process"][0]) for _ in range(2)]
    assert all(map(alive, processes))
    stream.close()
    assert not any(map(alive, processes))


def test_require():
    class Item(NamedTuple):
        image: Path
        label: Path | None

    dataset = Numbers()
    require(dataset, "train_dataset")  # no files, nothing to refuse
    dataset.items = [Item(Path("a.png"), Path("a_label.png")), Item(Path("b.png"), None)]
    with pytest.raises(DataError, match=r"1 of 16 images of train_dataset have no label, the first is b\.png"):
        require(dataset, "train_dataset")
