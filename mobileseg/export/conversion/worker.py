"""Entry of the child processes of export: ``python -m mobileseg.export.conversion.worker TASK REQUEST ANSWER``.

Each task is one call of one converter or one engine. Errors of the suite are written as the answer; a crash
leaves no answer, which is how the parent knows.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mobileseg.errors import MobileSegError

Answer = dict[str, Any]


def convert_lite(request: dict[str, Any]) -> Answer:
    """Paddle program to ``.nb``."""
    from mobileseg.export.conversion.lite import optimise

    return {"version": optimise(request["model"], request["params"], request["out"], request["place"])}


def convert_onnx(request: dict[str, Any]) -> Answer:
    """Paddle program to simplified ONNX."""
    from mobileseg.export.conversion.onnx import translate

    return translate(request["model"], request["params"], request["out"], int(request["opset"]))


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

    engine = load(request["folder"], request["engine"], threads=int(request["threads"]), **request.get("options", {}))
    stream = TensorStream(engine)
    outputs, times, previous = {}, [], None
    with np.load(request["inputs"], allow_pickle=False) as archive:
        images = [archive[str(index)] for index in range(len(request["frames"]))]
    for index, ((pipeline, sequence), image) in enumerate(zip(request["frames"], images, strict=True)):
        if sequence != previous:
            stream.reset()
        previous = sequence
        made = stream.step(pipeline, image)
        outputs.update({f"{index}/{name}": np.asarray(value) for name, value in made.items()})
    pipeline, _ = request["frames"][0]
    for _ in range(int(request["repeats"])):
        start = time.perf_counter()
        stream.step(pipeline, images[0])
        times.append(1000.0 * (time.perf_counter() - start))
    np.savez(request["outputs"], **outputs)
    return {"latency_ms": statistics.median(times) if times else None}


def run_native(request: dict[str, Any]) -> Answer:
    """Run a Paddle program as it stands, without graph passes or oneDNN; outputs go to an NPZ file."""
    import numpy as np
    from paddle import inference

    config = inference.Config(request["model"], request["params"])
    config.disable_gpu()
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


def main(argv: list[str]) -> int:
    """Do the task and write the answer."""
    task, request, answer = argv
    payload = json.loads(Path(request).read_text(encoding="utf-8"))
    try:
        result = TASKS[task](payload)
    except MobileSegError as error:
        result = {"error": str(error)}
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    Path(answer).write_text(json.dumps(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
