import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from mobileseg.errors import DataError
from mobileseg.runtime.live import QUEUE, LiveFrames


def numbered(count: int, taken: list[int] | None = None) -> Iterator[np.ndarray]:
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield np.full((1, 1, 3), number % 256, np.uint8)


def test_queue_gives_every_frame_in_order() -> None:
    with LiveFrames(numbered(100), "queue") as frames:
        assert [int(frame[0, 0, 0]) for frame in frames] == list(range(100))
        assert frames.dropped == 0


def test_queue_holds_no_more_than_its_limit() -> None:
    taken: list[int] = []
    with LiveFrames(numbered(1000, taken), "queue") as frames:
        iterator = iter(frames)
        next(iterator)
        time.sleep(0.05)
        assert len(taken) <= QUEUE + 2  # those that wait, the one that is given, and the one that was read already


def test_drop_gives_the_newest_frame() -> None:
    go, read = threading.Event(), threading.Event()

    def source() -> Iterator[np.ndarray]:
        yield from numbered(1)
        go.wait(5)
        for number in range(1, 6):
            yield np.full((1, 1, 3), number, np.uint8)
        read.set()

    with LiveFrames(source(), "drop") as frames:
        iterator = iter(frames)
        assert next(iterator)[0, 0, 0] == 0
        go.set()
        assert read.wait(5)
        assert next(iterator)[0, 0, 0] == 5
        assert frames.dropped == 4
        with pytest.raises(StopIteration):
            next(iterator)


def test_what_reading_raises_comes_after_the_frames() -> None:
    def source() -> Iterator[np.ndarray]:
        yield from numbered(2)
        raise DataError("the camera is gone")

    with LiveFrames(source(), "queue") as frames:
        iterator = iter(frames)
        assert next(iterator)[0, 0, 0] == 0
        assert next(iterator)[0, 0, 0] == 1
        with pytest.raises(DataError, match="camera is gone"):
            next(iterator)


def test_no_frame_at_all() -> None:
    with LiveFrames(iter(()), "drop") as frames:
        assert not list(frames)


def test_closing_ends_a_reader_that_waits() -> None:
    frames = LiveFrames(numbered(10**6), "queue")
    frames.close()
    assert not frames._thread.is_alive()
