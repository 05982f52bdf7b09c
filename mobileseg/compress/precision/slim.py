"""PaddleSlim's post-training quantisation, in a process of its own: it needs Paddle's static mode.

PaddleSlim 2.6.0 calibrates (algorithms avg, KL, hist and mse) and writes the graph. The form with fake-quantise
operators is taken (``onnx_format=False``): Paddle Lite's optimiser turns exactly that into int8 kernels with int8
weights, and only the kernels' inputs and weights are rounded, so that it computes what
:mod:`mobileseg.compress.precision.simulate` computes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.compress.precision.ranges import KERNELS
from mobileseg.errors import CompressionError, DependencyError
from mobileseg.export.process import Failure, run_task

_SECONDS_PER_IMAGE = 60.0  # mse searches 36 scales of every tensor; more than this is a hang


def require_paddleslim() -> None:
    """Raises DependencyError when PaddleSlim cannot be imported."""
    for package in ("paddleslim", "pkg_resources"):
        if find_spec(package) is None:
            raise DependencyError(
                f"quantisation needs PaddleSlim, and '{package}' is not installed",
                remedy="pip install 'paddleslim==2.6.0' 'setuptools<81'",
            )


def quantise_graph(
    model: Path, params: Path, images: np.ndarray, algorithm: str, *, out: Path, work: Path, skip: list[str]
) -> dict[str, float]:
    """Calibrate a graph and write it with fake-quantise operators.

    Args:
        model: ``.pdmodel`` in float32 with one input.
        params: its weights.
        images: what the graph is fed, [N, ...] with one image each.
        algorithm: 'avg', 'KL', 'hist' or 'mse'.
        out: folder for ``model.pdmodel`` and ``model.pdiparams``.
        work: folder for intermediate files.
        skip: variables with kernels that stay in float.

    Returns:
        Variable -> largest absolute value that int8 represents.

    Raises:
        DependencyError: PaddleSlim is not installed.
        CompressionError: PaddleSlim failed.
    """
    require_paddleslim()
    fed, found = work / "calibration.npy", work / "limits.json"
    np.save(fed, images)
    request = {
        "model": str(model),
        "params": str(params),
        "images": str(fed),
        "algorithm": algorithm,
        "out": str(out),
        "skip": skip,
        "limits": str(found),
    }
    try:
        run_task("slim", request, timeout=600.0 + _SECONDS_PER_IMAGE * len(images))
    except Failure as failure:
        log = f"\n  last output: {failure.log.splitlines()[-1]}" if failure.log else ""
        raise CompressionError(f"PaddleSlim cannot quantise the graph: {failure.reason}{log}") from failure
    finally:
        fed.unlink(missing_ok=True)
    limits: dict[str, float] = json.loads(found.read_text(encoding="utf-8"))
    return limits


def calibrate(request: Mapping[str, Any]) -> None:
    """Do it in this process (task 'slim' of the worker)."""
    import paddle
    from paddleslim.quant.quanter import PostTrainingQuantization

    logging.getLogger().setLevel(logging.WARNING)
    images = np.load(request["images"], mmap_mode="r")

    class Images(paddle.io.Dataset):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> tuple[np.ndarray]:
            return (np.array(images[index]),)

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    model, params = Path(request["model"]), Path(request["params"])
    program, feeds, _ = paddle.static.load_inference_model(
        str(model.parent), executor, model_filename=model.name, params_filename=params.name
    )
    loader = paddle.io.DataLoader(
        Images(),
        feed_list=[program.global_block().var(feeds[0])],
        places=paddle.CPUPlace(),
        batch_size=1,
        return_list=False,
    )
    quantisation = PostTrainingQuantization(
        executor=executor,
        data_loader=loader,
        model_dir=str(model.parent),
        model_filename=model.name,
        params_filename=params.name,
        batch_size=1,
        batch_nums=len(images),
        algo=request["algorithm"],
        quantizable_op_type=list(KERNELS),
        weight_quantize_type="channel_wise_abs_max",
        activation_quantize_type="range_abs_max",
        onnx_format=False,
        skip_tensor_list=list(request["skip"]),
    )
    quantisation.quantize()
    quantisation.save_quantized_model(request["out"])
    # KL and hist keep what they found apart from the others (no public name leads to either).
    thresholds = quantisation._quantized_var_threshold or quantisation._quantized_threshold
    limits = {name: float(value) for name, value in thresholds.items() if np.ndim(value) == 0}
    Path(request["limits"]).write_text(json.dumps(limits), encoding="utf-8")
