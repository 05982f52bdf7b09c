"""Batches made ahead by other processes.

Every worker is an interpreter that is started anew, not a copy of this process: nothing of it (threads, locks, Paddle,
the script that is run) is in the worker. Worker k of n makes every n-th batch from the k-th on, so each has a pipe of
its own, shares nothing with the others, and can be killed at any moment. A full pipe keeps it from running ahead.
"""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from io import BufferedReader, BufferedWriter
from typing import Any, cast

import numpy as np

from mobileseg.config.plugins import loaded_files
from mobileseg.data.loading.batching import SampleOrder
from mobileseg.data.loading.pipe import read_batch, write_block
from mobileseg.errors import TrainingError

# A terminal, `timeout` and batch systems signal all processes of a job. The one that trains decides when workers end.
_START = """
import json, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
paths, plugins, positions = json.loads(sys.argv[1])
sys.path[:] = paths
from mobileseg.data.loading.worker import main
main(plugins, range(*positions))
"""
_PIPE_BYTES = 1 << 20  # a large batch takes a third of the time that it takes through the 64 KB of a pipe's default
_AHEAD = 2  # batches asked for by the reading thread, the one that is wanted next included


def batches_from_workers(
    dataset: Any, order: SampleOrder, start: int, stop: int, num_workers: int
) -> Generator[dict[str, np.ndarray], None, None]:
    """Batches from position ``start`` up to but excluding ``stop``, in order.

    Args:
        dataset: see :func:`mobileseg.data.loading.batching.load_batch`; it is pickled once and goes to every worker.
        order: which samples stand where.
        start: first position.
        stop: position after the last one.
        num_workers: number of processes.

    Raises:
        MobileSegError: what the dataset raised; a DataError stands for errors that are not the suite's own.
        TrainingError: a worker died, or the dataset cannot be rebuilt in one.
    """
    workers: list[_Worker] = []
    reader = ThreadPoolExecutor(1, "batches")  # reads the next batch while the training is busy with this one
    try:
        job = _pickled((dataset, order))
        count = min(num_workers, stop - start)
        for number in range(count):
            workers.append(_Worker(range(start + number, stop, count)))
        for worker in workers:
            worker.send(job)
        wanted = iter(range(start, stop))
        coming: deque[Future[dict[str, np.ndarray]]] = deque()
        for _ in range(start, stop):
            while len(coming) < _AHEAD and (position := next(wanted, None)) is not None:
                coming.append(reader.submit(workers[(position - start) % count].receive))
            yield coming.popleft().result()
    finally:
        for worker in workers:
            worker.process.kill()
        reader.shutdown(cancel_futures=True)
        for worker in workers:
            worker.close()


def _pickled(job: Any) -> bytes:
    try:
        return pickle.dumps(job, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise TrainingError(
            f"the dataset cannot be sent to a data worker ({type(error).__name__}: {error})",
            remedy="keep what cannot be pickled (open files, local classes, lambdas) out of it, or set num_workers 0",
        ) from error


class _Worker:
    """A process that makes the batches at some positions, in their order."""

    def __init__(self, positions: range) -> None:
        paths = [path for path in sys.path if isinstance(path, str)]
        facts = [paths, loaded_files(), [positions.start, positions.stop, positions.step]]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(facts)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.jobs, self.results = cast(BufferedWriter, self.process.stdin), cast(BufferedReader, self.process.stdout)
        with suppress(ImportError, AttributeError, OSError):  # not on every system, and not beyond a limit per user
            import fcntl

            fcntl.fcntl(self.results, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def send(self, job: bytes) -> None:
        with suppress(BrokenPipeError):  # it died: receiving its first batch will say so
            write_block(self.jobs, job)

    def receive(self) -> dict[str, np.ndarray]:
        batch = read_batch(self.results)
        if batch is None:
            code = self.process.wait()
            how = f"signal {-code}, {signal.strsignal(-code)}" if code < 0 else f"exit code {code}"
            raise TrainingError(
                f"a data worker died ({how})",
                remedy="set fewer num_workers if memory ran out (signal 9), or 0 to see the cause",
            )
        return batch

    def close(self) -> None:
        """Release what a killed process leaves."""
        self.results.close()
        with suppress(BrokenPipeError):  # what it has not read
            self.jobs.close()
        self.process.wait()
