"""What runs in a data worker: batches, made ahead and written to a pipe.

Started by :mod:`mobileseg.data.loading.workers`. The job comes in over standard input, which then stays open: its
end means that the parent process has gone, however it went.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
import threading
from collections.abc import Mapping
from typing import Any, cast

import cv2

from mobileseg.data.loading.batching import batch_at
from mobileseg.data.loading.pipe import read_block, write_batch, write_error
from mobileseg.errors import TrainingError
from mobileseg.kept_memory import kept_memory


def main(plugins: Mapping[str, str], positions: range) -> None:
    """Make the batches at the positions; prints of the dataset go to standard error.

    Args:
        plugins: module name -> file of the plugins that the dataset may come from.
        positions: which batches to make, in this order.
    """
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Lines as wholes, also where PYTHONUNBUFFERED would write them in pieces, between those of other workers.
    cast(io.TextIOWrapper, sys.stdout).reconfigure(line_buffering=True, write_through=False)
    cv2.setNumThreads(0)  # workers do not compete for cores
    job = read_block(cast(io.BufferedReader, sys.stdin.buffer))
    if job is None:
        return
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with results, kept_memory():
            _work(_TaskUnpickler(job, plugins), positions, results)
    except BrokenPipeError:
        os._exit(1)  # the parent has gone, there is nobody left to tell


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing comes after the job, so this returns when the other end of the pipe is closed
    os._exit(1)


def _work(job: pickle.Unpickler, positions: range, results: io.BufferedWriter) -> None:
    try:
        dataset, order = job.load()
    except Exception as error:
        refusal = TrainingError(
            f"a data worker cannot rebuild the dataset ({type(error).__name__}: {error})",
            remedy="define its class in a module or a plugin, not in the script that is run, or set num_workers 0",
        )
        refusal.__cause__ = error
        write_error(results, refusal)
        return
    for position in positions:
        try:
            batch = batch_at(dataset, order, position)
        except Exception as error:
            write_error(results, error)
            return
        write_batch(results, batch)


class _TaskUnpickler(pickle.Unpickler):
    """Loads a plugin of the configuration when something of it is met."""

    def __init__(self, job: bytes, plugins: Mapping[str, str]) -> None:
        super().__init__(io.BytesIO(job))
        self._plugins = plugins

    def find_class(self, module: str, name: str) -> Any:
        if module in self._plugins:
            from mobileseg.config.plugins import load_file

            failure = load_file(self._plugins[module])
            if failure:
                raise ImportError(f"the plugin {self._plugins[module]} failed: {failure}")
        return super().find_class(module, name)
