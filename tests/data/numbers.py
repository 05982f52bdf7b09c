"""Datasets of small arrays for the tests of batches. Workers import this module, so it must not need Paddle."""

import os
import signal
import sys
import time
from typing import ClassVar

import numpy as np

from mobileseg.errors import DataError


class Numbers:
    """Samples that carry their key; at one index each, something happens.

    Args:
        size: number of samples.
        broken: this sample raises an error of the suite.
        odd: this sample raises another error.
        differing: this sample has another size.
        deadly: this sample ends the process.
        killed: this sample is where the process is killed.
        seconds: how long a sample takes.
    """

    def __init__(self, size=16, broken=None, odd=None, differing=None, deadly=None, killed=None, seconds=0.0):
        self.size, self.broken, self.odd, self.differing = size, broken, odd, differing
        self.deadly, self.killed, self.seconds = deadly, killed, seconds

    def __len__(self):
        return self.size

    def __getitem__(self, key):
        epoch, index = key
        time.sleep(self.seconds)
        if index == self.broken:
            raise DataError("image.png is truncated", remedy="copy it again")
        if index == self.odd:
            raise KeyError("palette")
        if index == self.deadly:
            os._exit(3)
        if index == self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        height = 5 if index == self.differing else 4
        image = np.full((3, height, 4), epoch * 100 + index, np.float32)
        return {"image": image, "index": np.asarray(index, np.int64), "process": np.asarray(os.getpid(), np.int64)}


class Talkative(Numbers):
    """Writes to standard output, where the batches go."""

    def __getitem__(self, key):
        print("sample", key, flush=True)
        os.write(1, b"from a C library\n")
        return super().__getitem__(key)


class Modules(Numbers):
    """Samples that say what the process has imported and how it takes signals."""

    def __getitem__(self, key):
        heavy = [name in sys.modules for name in ("paddle", "pydantic", "matplotlib", "pytest")]
        ignored = [signal.getsignal(number) == signal.SIG_IGN for number in (signal.SIGINT, signal.SIGTERM)]
        return super().__getitem__(key) | {"heavy": np.array(heavy), "ignored": np.array(ignored)}


class ModulesOf(Modules):
    """The same, after a sample of another dataset was made."""

    def __init__(self, dataset):
        super().__init__()
        self.dataset = dataset

    def __getitem__(self, key):
        assert self.dataset[key[0], key[1] % len(self.dataset)]
        return super().__getitem__(key)


class Boxes(Numbers):
    """Sample i has i rows of boxes."""

    pad_values: ClassVar = {"boxes": 0, "classes": -1}

    def __getitem__(self, key):
        rows = key[1]
        return {"boxes": np.full((rows, 4), rows, np.float32), "classes": np.full(rows, rows, np.int64)}


def values(batch):
    """The keys of a batch of :class:`Numbers` as 100 * epoch + index."""
    return np.asarray(batch["image"])[:, 0, 0, 0].astype(int).tolist()


def expected(order, positions):
    """What :func:`values` must give at the positions."""
    return [[epoch * 100 + index for epoch, index in order.batch(position)] for position in positions]
