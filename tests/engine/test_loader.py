"""Order of samples and stream of batches."""

import multiprocessing
import os
import resource
import shutil
import time
from collections import namedtuple

import numpy as np
import pytest

from mobileseg.engine import loader
from mobileseg.engine.loader import SampleOrder, batches, collate, shared_memory_fits
from mobileseg.errors import DataError, TrainingError


class Numbers:
    """Samples that carry their key."""

    def __init__(self, size=16, broken=None, differing=None, deadly=None, odd=None):
        self.size, self.broken, self.differing, self.deadly, self.odd = size, broken, differing, deadly, odd

    def __len__(self):
        return self.size

    def __getitem__(self, key):
        epoch, index = key
        if index == self.broken:
            raise DataError("picture.png is truncated", remedy="copy it again")
        if index == self.odd:
            raise KeyError("palette")
        if index == self.deadly:
            os._exit(3)
        height = 5 if index == self.differing else 4
        image = np.full((3, height, 4), epoch * 100 + index, np.float32)
        return {"image": image, "index": np.asarray(index, np.int64)}


def values(batch):
    return batch["image"].numpy()[:, 0, 0, 0].astype(int).tolist()


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


@pytest.mark.parametrize(("workers", "shared"), [(0, True), (1, True), (2, True), (2, False)])
def test_batches_come_in_order_from_any_position(workers, shared):
    order = SampleOrder(16, 4, seed=0)
    found = [values(batch) for batch in batches(Numbers(), order, 3, 9, num_workers=workers, shared_memory=shared)]
    assert found == [[epoch * 100 + index for epoch, index in order.batch(position)] for position in range(3, 9)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_the_dataset_arrives_as_it_was_raised(workers):
    with pytest.raises(DataError) as caught:
        list(batches(Numbers(broken=7), SampleOrder(16, 4, seed=0), 0, 4, num_workers=workers))
    assert caught.value.message == "picture.png is truncated"
    assert caught.value.remedy == "copy it again"


def test_an_unexpected_error_in_a_worker_keeps_its_name():
    with pytest.raises(DataError, match="the dataset raised KeyError: 'palette'") as caught:
        list(batches(Numbers(odd=7), SampleOrder(16, 4, seed=0), 0, 4, num_workers=2))
    assert "num_workers 0" in caught.value.remedy
    with pytest.raises(KeyError):
        list(batches(Numbers(odd=7), SampleOrder(16, 4, seed=0), 0, 4, num_workers=0))


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_of_different_sizes(workers):
    with pytest.raises(DataError, match=r"differ in size: \[3, 4, 4\], \[3, 5, 4\]"):
        list(batches(Numbers(differing=2), SampleOrder(16, 4, seed=0), 0, 4, num_workers=workers))


def test_a_worker_that_dies_is_reported():
    with pytest.raises(TrainingError, match=r"a data worker died \(exit code 3\)"):
        list(batches(Numbers(deadly=2), SampleOrder(16, 4, seed=0), 0, 4, num_workers=2))


def test_a_batch_that_cannot_be_handed_over_does_not_hang(monkeypatch, capfd):
    """A limit on the size of files stops writing to shared memory as a full /dev/shm does."""
    monkeypatch.setattr(loader, "_LOST_AFTER", 1.0)

    class Full(Numbers):
        def __getitem__(self, key):
            if multiprocessing.parent_process() is not None and key[1] == 2:
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            return super().__getitem__(key)

    with pytest.raises(TrainingError, match="a batch was lost 3 times") as caught:
        list(batches(Full(), SampleOrder(16, 4, seed=0), 0, 40, num_workers=2))
    assert "/dev/shm" in caught.value.remedy


def test_a_batch_lost_once_is_made_again(monkeypatch, tmp_path):
    monkeypatch.setattr(loader, "_LOST_AFTER", 1.0)

    class OnceFull(Numbers):
        def __getitem__(self, key):
            if multiprocessing.parent_process() is not None and key == (1, 2) and not (tmp_path / "done").exists():
                (tmp_path / "done").touch()
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            return super().__getitem__(key)

    order = SampleOrder(16, 4, seed=0)
    found = [values(batch) for batch in batches(OnceFull(), order, 1, 10, num_workers=2)]
    assert (tmp_path / "done").exists()
    assert found == [[epoch * 100 + index for epoch, index in order.batch(position)] for position in range(1, 10)]


def test_a_slow_worker_is_waited_for(monkeypatch):
    monkeypatch.setattr(loader, "_LOST_AFTER", 0.2)

    class Slow(Numbers):
        def __getitem__(self, key):
            time.sleep(0.4)
            return super().__getitem__(key)

    assert len(list(batches(Slow(), SampleOrder(16, 4, seed=0), 0, 2, num_workers=1))) == 2


def test_workers_end_with_the_stream():
    stream = batches(Numbers(), SampleOrder(16, 4, seed=0), 0, 100, num_workers=2)
    next(stream)
    mine = multiprocessing.active_children()
    assert len(mine) >= 2
    stream.close()
    assert not any(child.is_alive() for child in mine)


def test_collate_stacks():
    batch = collate([Numbers()[0, 3], Numbers()[1, 4]])
    assert batch["image"].shape == (2, 3, 4, 4)
    assert batch["index"].tolist() == [3, 4]


def test_shared_memory_that_is_too_small(monkeypatch):
    usage = namedtuple("usage", "free")
    need = (3 * 4 * 4 * 4 + 8) * 4 * 5  # one sample, batch of 4, two workers with two batches each and one in use
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(need))
    assert shared_memory_fits(Numbers(), 4, 2) == (True, "")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(need - 1))
    fits, message = shared_memory_fits(Numbers(), 4, 2)
    assert not fits
    assert "pipes" in message
    assert shared_memory_fits(Numbers(), 4, 0) == (True, "")
    with pytest.raises(DataError, match="truncated"):
        shared_memory_fits(Numbers(broken=0), 4, 1)


def test_no_shared_memory_at_all():
    fits, message = shared_memory_fits(Numbers(), 4, 1, path="/not there")
    assert not fits
    assert "/not there" in message
