"""PaddleSlim's post-training quantisation, in a process of its own: it needs Paddle's static mode.

PaddleSlim 2.6.0 calibrates (algorithms avg, KL, hist and mse) and writes the graph. The form with fake-quantise
operators is taken (``onnx_format=False``): Paddle Lite's optimiser turns exactly that into int8 kernels with int8
weights, and only the kernels' inputs and weights are rounded, so that it computes what
:mod:`mobileseg.compress.precision.simulate` computes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.compress.precision.kl import kl_threshold
from mobileseg.compress.precision.ranges import KERNELS
from mobileseg.errors import CompressionError, DependencyError
from mobileseg.export.conversion.process import Failure, run_task
from mobileseg.folders import scratch_folder

_DEQUANTISE = "fake_channel_wise_dequantize_max_abs"
_SECONDS = 600.0
_SECONDS_PER_RUN = 60.0  # mse tries 36 scales of every tensor; what takes longer hangs


def require_paddleslim() -> None:
    """Raises DependencyError when PaddleSlim, or what it imports, is not installed."""
    for package in ("paddleslim", "pkg_resources"):
        if find_spec(package) is None:
            raise DependencyError(
                f"quantisation needs PaddleSlim, and '{package}' is not installed",
                remedy="pip install 'mobileseg[compress]' (paddleslim==2.6.0 and setuptools<81)",
            )


def calibrate(model: Path, inputs: Sequence[Path], algorithm: str) -> tuple[dict[str, float], dict[str, float]]:
    """Find the ranges of all activations.

    Args:
        model: ``.pdmodel`` in float32; its ``.pdiparams`` lies beside it.
        inputs: ``.npz`` files with what the graph is fed for one run, by name, [1, ...] each.
        algorithm: 'avg', 'KL', 'hist' or 'mse'.

    Returns:
        Variable -> largest absolute value that int8 represents; variable -> largest absolute value in all runs.

    Raises:
        DependencyError: PaddleSlim is not installed.
        CompressionError: PaddleSlim failed.
    """
    found = _run(model, {"algorithm": algorithm, "inputs": [str(path) for path in inputs]}, len(inputs))
    return found["limits"], found["largest"]


def write_graph(model: Path, limits: Mapping[str, float], skip: Sequence[str], out: Path) -> None:
    """Write a graph with fake-quantise operators.

    Args:
        model: as for :func:`calibrate`.
        limits: what the calibration found.
        skip: variables with kernels that stay in float.
        out: folder for ``model.pdmodel`` and ``model.pdiparams``.

    Raises:
        DependencyError, CompressionError: see :func:`calibrate`.
    """
    _run(model, {"algorithm": "avg", "known": dict(limits), "skip": list(skip), "out": str(out)}, 1)


def _run(model: Path, request: dict[str, Any], runs: int) -> dict[str, dict[str, float]]:
    require_paddleslim()
    with scratch_folder() as folder:
        answer = folder / "limits.json"
        files = {"model": str(model), "limits": str(answer)}
        try:
            run_task("quantise", {**request, **files}, timeout=_SECONDS + _SECONDS_PER_RUN * runs)
        except Failure as failure:
            log = f"\n  last output: {failure.log.splitlines()[-1]}" if failure.log else ""
            raise CompressionError(f"PaddleSlim cannot quantise the graph: {failure.reason}{log}") from failure
        found: dict[str, dict[str, float]] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def work(request: Mapping[str, Any]) -> dict[str, Any]:
    """Calibrate or write, in this process (task 'quantise' of the worker)."""
    import paddle
    from paddle.base.data_feeder import convert_dtype
    from paddle.static.quantization import post_training_quantization
    from paddleslim.quant.quanter import PostTrainingQuantization

    known: Mapping[str, float] | None = request.get("known")

    largest: dict[str, float] = {}

    class CalibrationRuns(paddle.io.Dataset):
        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
            file = files[index]
            if file is None:  # ranges are known: the graph is run because PaddleSlim runs it
                return tuple(np.zeros(shape[1:], dtype) for shape, dtype in forms)
            with np.load(file, allow_pickle=False) as arrays:
                return tuple(arrays[name][0] for name in feeds)

    class Quantisation(PostTrainingQuantization):
        def _sampling(self) -> None:
            super()._sampling()
            for name in self._quantized_act_var_name:
                tensor = self._scope.find_var(name).get_tensor()
                largest[name] = max(largest.get(name, 0.0), float(np.abs(np.array(tensor)).max(initial=0.0)))
            if known is not None:  # the mean over one run is what it is made of
                self._quantized_var_avg = {name: [limit] for name, limit in known.items()}

    # Forty times as fast; this process does nothing else.
    post_training_quantization.cal_kl_threshold = kl_threshold
    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    model = Path(request["model"])
    places = {"model_filename": model.name, "params_filename": model.with_suffix(".pdiparams").name}
    program, feeds, _ = paddle.static.load_inference_model(str(model.parent), executor, **places)
    variables = [program.global_block().var(name) for name in feeds]
    forms = [(tuple(one.shape), convert_dtype(one.dtype)) for one in variables]
    files: list[str | None] = request.get("inputs", [None])
    loader = paddle.io.DataLoader(
        CalibrationRuns(),
        feed_list=variables,
        places=paddle.CPUPlace(),
        batch_size=1,
        return_list=False,
    )
    quantisation = Quantisation(
        executor=executor,
        data_loader=loader,
        model_dir=str(model.parent),
        **places,
        batch_size=1,
        batch_nums=len(files),
        algo=request["algorithm"],
        quantizable_op_type=list(KERNELS),
        weight_quantize_type="channel_wise_abs_max",
        activation_quantize_type="range_abs_max",
        onnx_format=False,
        skip_tensor_list=list(request.get("skip", [])),
    )
    quantisation.quantize()
    if "out" in request:
        quantisation._fetch_list = _fetch_floats(quantisation._program, quantisation._fetch_list)
        quantisation.save_quantized_model(request["out"])
    # KL and hist keep what they found apart from the others (no public name leads to either).
    found = quantisation._quantized_var_threshold or quantisation._quantized_threshold
    limits = {name: float(value) for name, value in found.items() if np.ndim(value) == 0}
    Path(request["limits"]).write_text(json.dumps({"limits": limits, "largest": largest}), encoding="utf-8")
    return {}


def _fetch_floats(program: Any, fetched: Sequence[Any]) -> list[Any]:
    """The outputs of a quantised program, under their names, in float32.

    PaddleSlim hands what a kernel computed to the operators behind it through a dequantise operator, but not to the
    caller: of a graph that ends in a kernel the caller would get sums of integers, without the scales of the weights.
    """
    block = program.global_block()
    behind = {op.input("X")[0]: op.output("Out")[0] for op in block.ops if op.type == _DEQUANTISE}
    names = [variable.name for variable in fetched]
    for name in names:
        if name in behind:
            block._rename_var(name, f"{name}.sums")
            block._rename_var(behind[name], name)
    return [block.var(name) for name in names]
