"""The order of samples, and the stream of batches made from it.

Which sample stands where follows from (seed, epoch) alone, and what augmentation does to it from (seed, epoch,
index). So a batch is a function of its number: it does not depend on workers, and training can continue at any
batch without having kept anything but that number.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import shutil
import signal
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import paddle

from mobileseg import errors
from mobileseg.errors import DataError, MobileSegError, TrainingError

Key = tuple[int, int]
logger = logging.getLogger(__name__)

_ERROR = "error"
_PREFETCH = 2
_PATIENCE = 2.0  # seconds that a worker gets to finish its sample
_ATTEMPTS = 3
_LOST_AFTER = 20.0  # seconds on the way from a worker after which a batch will not come any more


class SampleOrder:
    """Endless sequence of batches; the epochs follow each other without a gap, incomplete batches are dropped.

    The batches of all processes at one position together are the batch that one process with ``count`` times the
    batch size would take.

    Args:
        size: number of samples in the dataset.
        batch_size: samples per batch and process.
        seed: seed of the run.
        rank: number of this process.
        count: number of processes.

    Raises:
        DataError: the dataset is empty or smaller than one batch of all processes.
    """

    def __init__(self, size: int, batch_size: int, seed: int, rank: int = 0, count: int = 1) -> None:
        if size == 0:
            raise DataError("the training dataset is empty", remedy="check dataset_root and train_path")
        whole = batch_size * count
        if size < whole:
            raise DataError(
                f"the training dataset has {size} samples, fewer than one batch of {batch_size} x {count} process(es)",
                remedy=f"set batch_size to at most {max(1, size // count)}",
            )
        self.size, self.batch_size, self.seed, self.rank, self.whole = size, batch_size, seed, rank, whole
        self.batches_per_epoch = size // whole
        self._epoch = -1
        self._permutation = np.empty(0, dtype=np.int64)

    def batch(self, position: int) -> list[Key]:
        """(epoch, index) of every sample of the batch at a position counted from 0 over all epochs."""
        epoch, number = divmod(position, self.batches_per_epoch)
        if epoch != self._epoch:
            self._permutation = np.random.default_rng([self.seed, epoch]).permutation(self.size)
            self._epoch = epoch
        start = number * self.whole + self.rank * self.batch_size
        return [(epoch, int(index)) for index in self._permutation[start : start + self.batch_size]]


class _Window:
    """The batches from one position to another, in the form that paddle.io.DataLoader asks for."""

    def __init__(self, order: SampleOrder, start: int, stop: int) -> None:
        self.order, self.start, self.stop = order, start, stop

    def __iter__(self) -> Iterator[list[Key]]:
        return (self.order.batch(position) for position in range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


class _Guarded(paddle.io.Dataset):
    """Carries an error of the dataset to the consumer as a value.

    Otherwise an error in a worker would arrive as another one, and an error in Paddle's reader thread not at all.
    """

    def __init__(self, dataset: Any) -> None:
        super().__init__()
        self.dataset = dataset
        self.error: Exception | None = None

    def __getitem__(self, key: Key) -> Any:
        try:
            return self.dataset[key]
        except Exception as error:
            self.error = error
            return error

    def __len__(self) -> int:
        return len(self.dataset)


def batches(
    dataset: Any, order: SampleOrder, start: int, stop: int, *, num_workers: int = 0, shared_memory: bool = True
) -> Iterator[dict[str, paddle.Tensor]]:
    """Batches from position ``start`` up to but excluding ``stop``.

    Args:
        dataset: ``dataset[(epoch, index)]`` gives a dict of arrays, all of one size within a batch.
        order: which samples stand where.
        start: first position.
        stop: position after the last one.
        num_workers: processes that load ahead; 0 loads in this one.
        shared_memory: workers hand batches over through /dev/shm rather than a pipe.

    Raises:
        DataError: what the dataset raised, or samples of different sizes.
        TrainingError: a worker died.
    """
    losses = 0  # batches lost in a row, without one that arrived between them
    while start < stop:
        try:
            for batch in _stream(dataset, _Window(order, start, stop), num_workers, shared_memory):
                start, losses = start + 1, 0
                yield batch
        except _LostBatchError as error:
            losses += 1
            if losses == _ATTEMPTS:
                raise TrainingError(
                    f"a batch was lost {losses} times between a data worker and the training",
                    remedy="free space in /dev/shm (Docker: --shm-size=1g), or set num_workers to 0",
                ) from error
            logger.warning("a batch was lost on the way from a data worker; starting the workers anew")


class _LostBatchError(Exception):
    """A worker made a batch that did not arrive."""


def _stream(dataset: Any, window: _Window, num_workers: int, shared_memory: bool) -> Iterator[dict[str, paddle.Tensor]]:
    """The batches of a window by one set of workers."""
    guarded, counted = _Guarded(dataset), _Counted()
    loader = paddle.io.DataLoader(
        guarded,
        batch_sampler=window,
        collate_fn=counted,
        num_workers=num_workers,
        use_shared_memory=shared_memory and num_workers > 0,
        prefetch_factor=_PREFETCH,
        worker_init_fn=_quiet_worker,
        return_list=True,
    )
    iterator = iter(loader)
    watch = _Watch(iterator, counted) if num_workers else nullcontext()
    try:
        while True:
            with watch:
                batch = next(iterator, None)
            if batch is None:
                return
            if _ERROR in batch:
                raise guarded.error or _decode(batch[_ERROR])  # the error itself, if it was raised in this process
            yield batch
    except (RuntimeError, SystemError) as error:
        if num_workers == 0:
            raise
        if isinstance(watch, _Watch) and watch.lost:
            raise _LostBatchError from error
        codes = [worker.exitcode for worker in getattr(iterator, "_workers", []) if worker.exitcode]
        how = f" (exit code {codes[0]})" if codes else ""
        raise TrainingError(
            f"a data worker died{how}: {str(error).strip().splitlines()[0]}",
            remedy="set fewer num_workers if memory ran out (exit code -9), or 0 to see the cause",
        ) from error
    finally:
        _end_workers(iterator)


def _end_workers(iterator: Any) -> None:
    """End workers and reader thread.

    Paddle does it for an iterator that was not exhausted only at the end of the process, and not always; and a thread
    that holds a lock while the workers of the next iterator are forked leaves that lock locked in them.
    """
    workers = getattr(iterator, "_workers", [])
    if workers:
        iterator._try_shutdown_all(_PATIENCE)
    else:
        iterator._try_shutdown_all()
    for worker in workers:
        if worker.is_alive():
            worker.kill()
            worker.join()


class _Counted:
    """:func:`collate` that counts, over all workers, the batches it made."""

    def __init__(self) -> None:
        self.made = multiprocessing.Value("l", 0)

    def __call__(self, samples: Sequence[Any]) -> dict[str, np.ndarray]:
        batch = collate(samples)
        with self.made.get_lock():
            self.made.value += 1
        return batch


class _Watch:
    """Ends a wait that would last for ever.

    When a worker cannot hand over a batch (shared memory full, a lock that was held when it was forked), Paddle goes on
    waiting for it. So while the training waits, a batch that was made must arrive within `_LOST_AFTER` seconds.
    """

    def __init__(self, iterator: Any, counted: _Counted) -> None:
        self.lost = False
        self._iterator, self._counted = iterator, counted
        self._waiting_since = float("inf")
        threading.Thread(target=self._run, args=(weakref.ref(self),), daemon=True).start()

    def __enter__(self) -> None:
        self._waiting_since = time.monotonic()

    def __exit__(self, *error: object) -> None:
        self._waiting_since = float("inf")

    @staticmethod
    def _run(reference: weakref.ref[_Watch]) -> None:
        arrived, since = -1, 0.0
        while (watch := reference()) is not None:
            iterator, now = watch._iterator, time.monotonic()
            out_of_order = sum(len(info) == 3 for info in list(iterator._task_infos.values()))
            if arrived != iterator._rcvd_idx + out_of_order:
                arrived, since = iterator._rcvd_idx + out_of_order, now
            missing = watch._counted.made.value > arrived
            if missing and now - max(since, watch._waiting_since) > _LOST_AFTER:
                watch.lost = True
                iterator._exit_thread_unexpectedly()
                return
            del watch, iterator
            time.sleep(0.5)


def collate(samples: Sequence[Any]) -> dict[str, np.ndarray]:
    """Stack samples to a batch; an error among them becomes the batch."""
    for sample in samples:
        if isinstance(sample, Exception):
            return {_ERROR: _encode(sample)}
    try:
        return {key: np.stack([sample[key] for sample in samples]) for key in samples[0]}
    except ValueError:
        shapes = sorted({str(list(np.shape(sample["image"]))) for sample in samples})
        return {
            _ERROR: _encode(
                DataError(
                    f"samples of one batch differ in size: {', '.join(shapes)}",
                    remedy="end the training transforms with RandomPaddingCrop or Resize to a fixed size",
                )
            )
        }


def require_labels(dataset: Any, name: str) -> None:
    """Refuse a dataset of files some of which have no label, before training has cost anything.

    Raises:
        DataError: names the first image without a label.
    """
    bare = [item for item in getattr(dataset, "items", ()) if item.label is None]
    if bare:
        raise DataError(
            f"{len(bare)} of {len(dataset)} images of {name} have no label, the first is {bare[0].image}",
            remedy="write 'image label' in every line of the list file, or leave these images out",
        )


def shared_memory_fits(dataset: Any, batch_size: int, num_workers: int, path: str = "/dev/shm") -> tuple[bool, str]:  # noqa: S108
    """Whether the batches that workers hold ready fit into shared memory, and the message when they do not."""
    if num_workers == 0:
        return True, ""
    sample = dataset[(0, 0)]
    need = sum(np.asarray(value).nbytes for value in sample.values()) * batch_size * (num_workers * _PREFETCH + 1)
    try:
        free = shutil.disk_usage(path).free
    except OSError:
        return False, f"there is no {path}: workers hand batches over through pipes, which is slower"
    if need <= free:
        return True, ""
    return False, (
        f"{path} has {free >> 20} MB free, the workers need {need >> 20} MB: batches go through pipes, which is slower "
        "(with Docker: --shm-size=1g; or set fewer num_workers)"
    )


def _quiet_worker(worker: int) -> None:
    """Workers leave signals to the main process, which ends them, and do not compete for cores.

    A terminal and `timeout` send signals to the whole process group; the batch at hand must still arrive.
    """
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(0)


def _encode(error: Exception) -> np.ndarray:
    name, remedy = type(error).__name__, getattr(error, "remedy", None)
    message = getattr(error, "message", None) or str(error)
    if not isinstance(error, (MobileSegError, OSError)):
        message = f"the dataset raised {name}: {message}"
        remedy = "run with num_workers 0 and --debug for the traceback"
    text = json.dumps([name, message, remedy])
    return np.frombuffer(text.encode(), dtype=np.uint8).copy()


def _decode(encoded: paddle.Tensor) -> MobileSegError:
    name, message, remedy = json.loads(encoded.numpy().tobytes().decode())
    error: MobileSegError = getattr(errors, name, DataError)(message, remedy=remedy)
    return error
