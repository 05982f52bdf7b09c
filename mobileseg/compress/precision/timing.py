"""Latency of several ONNX graphs, run in turn in one process, so that all see the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.errors import CompressionError
from mobileseg.export.conversion.process import Failure, run_task

_WARMUP = 3
_SECONDS_PER_RUN = 10.0


def time_onnx(models: Sequence[Path], *, runs: int, threads: int) -> list[float]:
    """Median milliseconds of every graph.

    Args:
        models: ONNX graphs whose inputs have a fixed shape.
        runs: timed runs of each.
        threads: of ONNX Runtime.

    Raises:
        CompressionError: ONNX Runtime failed.
    """
    request = {
        "models": [str(model) for model in models],
        "runs": runs,
        "threads": threads,
    }
    limit = 60.0 + _SECONDS_PER_RUN * len(models) * (runs + _WARMUP)
    try:
        answer = run_task("time_onnx", request, timeout=limit, threads=threads)
    except Failure as failure:
        raise CompressionError(f"the graphs cannot be timed: {failure}") from failure
    return [float(value) for value in answer["median_ms"]]


def time_graphs(request: Mapping[str, Any]) -> dict[str, Any]:
    """Time them in this process (task 'time_onnx' of the worker)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(request["threads"])
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    sessions = [
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]) for model in request["models"]
    ]
    fed = [{one.name: _drawn(one.shape, one.type) for one in session.get_inputs()} for session in sessions]
    times: list[list[float]] = [[] for _ in sessions]
    for turn in range(_WARMUP + int(request["runs"])):
        for session, given, measured in zip(sessions, fed, times, strict=True):
            start = time.perf_counter()
            session.run(None, given)
            if turn >= _WARMUP:
                measured.append(1000.0 * (time.perf_counter() - start))
    return {"median_ms": [statistics.median(measured) for measured in times]}


def _drawn(shape: Sequence[int], kind: str) -> np.ndarray:
    """Random values for an input: of an image where it takes bytes, else normally distributed ones."""
    rng = np.random.default_rng(0)
    if kind == "tensor(uint8)":
        return rng.integers(0, 256, shape).astype(np.uint8)
    return rng.normal(size=shape).astype(np.float32)
