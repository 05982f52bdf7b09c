"""Converters and engines run in processes of their own, because they die by signal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mobileseg.child import TIMEOUT, Child, Failure, Pool, run_program

__all__ = ["TIMEOUT", "Failure", "prepare", "run_program", "run_task"]

_WORKER = "mobileseg.export.conversion.worker"
_PRELOAD: dict[str, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxslim", "paddle2onnx"),
    "lite": ("paddlelite.lite",),
    "torchscript": ("onnx2torch",),
    "native": ("paddle.inference",),
    "run paddle": ("mobileseg.runtime.engines.registry", "paddle.inference"),
    "run onnxruntime": ("mobileseg.runtime.engines.registry", "onnxruntime"),
    "run lite": ("mobileseg.runtime.engines.registry", "paddlelite.lite"),
    "run ncnn": ("mobileseg.runtime.engines.registry", "ncnn"),
    "run torchscript": ("mobileseg.runtime.engines.registry", "torch"),
}
"""Kinds of work that are done in warm processes, and what each imports. Every other task has a new process: those of
PaddleSlim change the state of their process, those that measure want it untouched."""

_pool = Pool(_WORKER)


def run_task(task: str, payload: Mapping[str, Any], *, timeout: float = TIMEOUT, threads: int = 1) -> dict[str, Any]:
    """Run one task of :mod:`mobileseg.export.conversion.worker` in another process.

    Args:
        task: a name in the worker's table.
        payload: JSON-serialisable arguments; paths as str.
        timeout: seconds.
        threads: OpenMP threads of the child.

    Returns:
        The task's answer.

    Raises:
        Failure: the task reported an error, died, or ran out of time.
    """
    kind = f"run {payload['engine']}" if task == "run" else task
    if kind in _PRELOAD:
        return _pool.ask(kind, task, payload, timeout=timeout, threads=threads)
    with Child(_WORKER, threads=threads) as child:
        return child.ask(task, payload, timeout=timeout)


def prepare(kinds: Iterable[str]) -> None:
    """Start the processes of these kinds of work now: they import while the caller does something else."""
    for kind in dict.fromkeys(kinds):
        _pool.prepare(kind, _PRELOAD[kind])
