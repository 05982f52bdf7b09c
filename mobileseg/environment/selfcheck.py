"""One small network through Paddle and the converters and engines of this machine.

Each is a task of a child process (`mobileseg.child`), because a broken combination of versions dies by signal: 'paddle'
first, which writes graph, input and reference into a folder, then 'onnx' and 'lite'.
"""

from __future__ import annotations

import zlib  # noqa: F401  # before Paddle, see mobileseg/__init__.py
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (1, 3, 32, 48)


def paddle_task(folder: Path) -> dict[str, Any]:
    """Build, run and save the network; the operators are those that every network of the suite has."""
    import paddle
    from paddle import nn

    paddle.seed(0)
    network = nn.Sequential(
        nn.Conv2D(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2D(8),
        nn.ReLU(),
        nn.Conv2D(8, 8, 3, padding=1, groups=8),
        nn.Hardswish(),
        nn.Conv2D(8, 4, 1),
        nn.Upsample(size=list(SHAPE[2:]), mode="bilinear"),
    )
    network.eval()
    image = np.random.RandomState(0).uniform(-1, 1, SHAPE).astype(np.float32)
    output = network(paddle.to_tensor(image)).numpy()
    np.savez(folder / "reference.npz", image=image, output=output)
    paddle.jit.save(
        network, str(folder / "toy"), input_spec=[paddle.static.InputSpec(list(SHAPE), "float32", name="x")]
    )
    cuda = bool(paddle.is_compiled_with_cuda())
    return {"cuda_build": cuda, "gpus": paddle.device.cuda.device_count() if cuda else 0}


def onnx_task(folder: Path) -> dict[str, Any]:
    """Convert to ONNX and compare ONNX Runtime with Paddle."""
    import onnxruntime
    import paddle2onnx

    target = folder / "toy.onnx"
    paddle2onnx.export(str(folder / "toy.pdmodel"), str(folder / "toy.pdiparams"), str(target), opset_version=13)
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    with np.load(folder / "reference.npz") as reference:
        output = session.run(None, {session.get_inputs()[0].name: reference["image"]})[0]
        return {"difference": _difference(output, reference["output"])}


def lite_task(folder: Path) -> dict[str, Any]:
    """Convert for a phone and for this machine, and compare the latter with Paddle."""
    from paddlelite import lite

    for place in ("arm", "x86"):
        opt = lite.Opt()
        opt.set_model_file(str(folder / "toy.pdmodel"))
        opt.set_param_file(str(folder / "toy.pdiparams"))
        opt.set_valid_places(place)
        opt.set_model_type("naive_buffer")
        opt.set_optimize_out(str(folder / f"toy.{place}"))
        opt.run()
        if not (folder / f"toy.{place}.nb").is_file():
            raise RuntimeError(f"the optimiser wrote no file for {place}")
    config = lite.MobileConfig()
    config.set_model_from_file(str(folder / "toy.x86.nb"))
    predictor = lite.create_paddle_predictor(config)
    with np.load(folder / "reference.npz") as reference:
        predictor.get_input(0).from_numpy(reference["image"])
        predictor.run()
        return {"difference": _difference(predictor.get_output(0).numpy().copy(), reference["output"])}


def _difference(output: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference in standard deviations of the expected values."""
    if output.shape != expected.shape:
        raise RuntimeError(f"the output has the shape {list(output.shape)}, expected {list(expected.shape)}")
    return float(np.abs(output - expected).max() / expected.std())


def _in_folder(task: Callable[[Path], dict[str, Any]]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda request: task(Path(request["folder"]))


TASKS = {name: _in_folder(task) for name, task in {"paddle": paddle_task, "onnx": onnx_task, "lite": lite_task}.items()}
