"""Frames of a camera that is faster than what is done with them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Literal

import numpy as np

Policy = Literal["drop", "queue"]
POLICIES: tuple[Policy, ...] = ("drop", "queue")

QUEUE = 30
"""Frames that wait at most, with 'queue'."""


class LiveFrames:
    """Reads a source in a thread of its own, so that a slow consumer sees the present or misses nothing.

    'drop' gives the newest frame whenever one is asked for; those that came in the meantime are left out. 'queue' gives
    every frame in its order; when `QUEUE` of them wait, reading waits too, and what a camera then does with frames
    that nobody fetches is its driver's affair. A context manager.

    Args:
        frames: the source; iterated in the thread.
        policy: one of `POLICIES`.

    Attributes:
        dropped: frames that were left out so far.
    """

    def __init__(self, frames: Iterable[np.ndarray], policy: Policy) -> None:
        self.dropped = 0
        self._limit = 1 if policy == "drop" else QUEUE
        self._drops = policy == "drop"
        self._waiting: deque[np.ndarray] = deque()
        self._changed = threading.Condition()
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, args=(frames,), name="camera", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames until the source ends, uint8 [H, W, 3] RGB; raises what reading raised."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    if self._error is not None:
                        raise self._error
                    return
                frame = self._waiting.popleft()
                self._changed.notify_all()
            yield frame

    def close(self) -> None:
        """Stop reading."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def _read(self, frames: Iterable[np.ndarray]) -> None:
        try:
            for frame in frames:
                with self._changed:
                    if self._drops:
                        self.dropped += len(self._waiting)
                        self._waiting.clear()
                    self._changed.wait_for(lambda: len(self._waiting) < self._limit or self._stopped)
                    if self._stopped:
                        return
                    self._waiting.append(frame)
                    self._changed.notify_all()
        except BaseException as error:  # handed to the consumer
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def __enter__(self) -> LiveFrames:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
