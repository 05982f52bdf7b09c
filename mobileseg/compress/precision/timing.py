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


def time_onnx(models: Sequence[Path], shape: Sequence[int], dtype: str, *, runs: int, threads: int) -> list[float]:
    """Median milliseconds of every graph.

    Args:
        models: ONNX graphs with one input of the same form.
        shape: of the input.
        dtype: of the input, 'float32' or 'uint8'.
        runs: timed runs of each.
        threads: of ONNX Runtime.

    Raises:
        CompressionError: ONNX Runtime failed.
    """
    request = {
        "models": [str(model) for model in models],
        "shape": list(shape),
        "dtype": dtype,
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
    rng = np.random.default_rng(0)
    if request["dtype"] == "uint8":
        image = rng.integers(0, 256, request["shape"]).astype(np.uint8)
    else:
        image = rng.normal(size=request["shape"]).astype(np.float32)
    times: list[list[float]] = [[] for _ in sessions]
    for turn in range(_WARMUP + int(request["runs"])):
        for session, measured in zip(sessions, times, strict=True):
            start = time.perf_counter()
            session.run(None, {session.get_inputs()[0].name: image})
            if turn >= _WARMUP:
                measured.append(1000.0 * (time.perf_counter() - start))
    return {"median_ms": [statistics.median(measured) for measured in times]}
