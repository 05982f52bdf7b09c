"""What the child processes of export do; see :mod:`mobileseg.child`.

Each task is one call of one converter or one engine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

Answer = dict[str, Any]


def convert_lite(request: dict[str, Any]) -> Answer:
    """Paddle program to ``.nb``."""
    from mobileseg.export.conversion.lite import optimise

    return {"version": optimise(request["model"], request["params"], request["out"], request["place"])}


def convert_onnx(request: dict[str, Any]) -> Answer:
    """Paddle program to simplified ONNX."""
    from mobileseg.export.conversion.onnx import translate

    return translate(
        request["model"], request["params"], request["out"], int(request["opset"]), bool(request["blocked"])
    )


def convert_torchscript(request: dict[str, Any]) -> Answer:
    """ONNX to TorchScript."""
    from mobileseg.export.conversion.torchscript import translate

    return translate(request["model"], request["out"], request["shapes"])


def run_engine(request: dict[str, Any]) -> Answer:
    """Run one engine of an artefact over frames; outputs go to an NPZ file.

    The request's inputs file holds the image's tensor of every frame as ``<index>``, its ``frames`` the pipeline and
    the sequence of each; the outputs file gets ``<index>/<output name>`` for every tensor that graphs gave.
    """
    import numpy as np

    from mobileseg.runtime.engines.registry import load
    from mobileseg.runtime.streams import TensorStream
    from mobileseg.runtime.task import StepPlan

    engine = load(request["folder"], request["engine"], threads=int(request["threads"]), **request.get("options", {}))
    stream = TensorStream(engine)
    outputs: dict[str, Any] = {}
    times: list[float] = []
    previous = None
    with np.load(request["inputs"], allow_pickle=False) as archive:
        images = [archive[str(index)] for index in range(len(request["frames"]))]
    usual = request["frames"][0][0], images[0].shape
    for index, ((pipeline, sequence), image) in enumerate(zip(request["frames"], images, strict=True)):
        if sequence != previous:
            stream.reset()
        previous = sequence
        start = time.perf_counter()
        made = stream.step(StepPlan(pipeline), image)
        if (pipeline, image.shape) == usual:
            times.append(1000.0 * (time.perf_counter() - start))
        outputs.update({f"{index}/{name}": np.asarray(value) for name, value in made.items()})
    np.savez(request["outputs"], **outputs)
    return {"latency_ms": statistics.median(times[1:] or times)}  # the first run of an engine is the slowest


def run_native(request: dict[str, Any]) -> Answer:
    """Run a Paddle program as it stands, without graph passes or oneDNN; outputs go to an NPZ file."""
    import numpy as np
    from paddle import inference

    from mobileseg.runtime.engines.predictors import on_cpu

    config = inference.Config(request["model"], request["params"])
    on_cpu(config, onednn=False)
    config.disable_glog_info()
    config.switch_ir_optim(False)
    predictor = inference.create_predictor(config)
    with np.load(request["inputs"], allow_pickle=False) as archive:
        for name in archive.files:
            handle = predictor.get_input_handle(name)
            handle.reshape(archive[name].shape)
            handle.copy_from_cpu(archive[name])
    predictor.run()
    names = predictor.get_output_names()
    np.savez(request["outputs"], **{name: predictor.get_output_handle(name).copy_to_cpu() for name in names})
    return {"outputs": list(names)}


def collect_shapes(request: dict[str, Any]) -> Answer:
    """The shapes of all tensors of a Paddle program."""
    from mobileseg.export.conversion.tensorrt import collect

    collect(request)
    return {}


def divide(request: dict[str, Any]) -> Answer:
    """A component of a Paddle program as a program of its own."""
    from mobileseg.export.conversion.tensorrt import cut_out

    cut_out(request)
    return {}


def quantise(request: dict[str, Any]) -> Answer:
    """Calibrate a Paddle program, or write it with fake-quantise operators."""
    from mobileseg.compress.precision.slim import work

    return work(request)


def time_onnx(request: dict[str, Any]) -> Answer:
    """Median latency of several ONNX graphs, run in turn."""
    from mobileseg.compress.precision.timing import time_graphs

    return time_graphs(request)


TASKS: dict[str, Callable[[dict[str, Any]], Answer]] = {
    "lite": convert_lite,
    "onnx": convert_onnx,
    "torchscript": convert_torchscript,
    "run": run_engine,
    "native": run_native,
    "shapes": collect_shapes,
    "divide": divide,
    "quantise": quantise,
    "time_onnx": time_onnx,
}
