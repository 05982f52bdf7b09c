"""One side of tools/compare_deployment.py, in whatever environment has what it needs.

    python tools/deployment_worker.py export NETWORK.yml WEIGHTS.pdparams FOLDER HEIGHT WIDTH     # PaddleSeg's export
    python tools/deployment_worker.py paddleseg FOLDER
    python tools/deployment_worker.py mobileseg FOLDER ENGINE

The last two answer questions, a line of JSON each: ``{"image": FILE, "runs": N, "labels": FILE or null}`` is
answered by the milliseconds of every run by the clock and of the processor, ``{"wall": [...], "cpu": [...]}``. A
image is what OpenCV makes of a file, uint8 [h,w,3] in BGR; a run ends with its labels, [h,w].
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib  # noqa: F401  # before Paddle, which brings another
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np


def main(words: list[str]) -> None:
    """Do what the command line says."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what engines print belongs to no answer
    cv2.setNumThreads(1)
    kind, *rest = words
    if kind == "export":
        network, weights, folder, *size = rest
        export(Path(network), weights, Path(folder), [int(side) for side in size])
    elif kind == "paddleseg":
        serve(paddleseg(rest[0]), sys.stdin, answers)
    else:
        serve(mobileseg(*rest), sys.stdin, answers)


def serve(segment: Callable[[np.ndarray], np.ndarray], questions: TextIO, answers: TextIO) -> None:
    """Answer every question; see the module."""
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in questions:
        question = json.loads(line)
        image = np.load(question["image"])
        wall, cpu = [], []
        for _ in range(question["runs"]):
            start = time.perf_counter(), time.process_time()
            labels = segment(image)
            end = time.perf_counter(), time.process_time()
            wall.append((end[0] - start[0]) * 1e3)
            cpu.append((end[1] - start[1]) * 1e3)
        if question["labels"]:
            np.save(question["labels"], labels)
        print(json.dumps({"wall": wall, "cpu": cpu}), file=answers, flush=True)


def mobileseg(folder: str, engine: str) -> Callable[[np.ndarray], np.ndarray]:
    """The suite's runtime."""
    from mobileseg.runtime.segmenter import Segmenter

    segmenter = Segmenter(folder, engine=engine, threads=1)
    return lambda image: np.asarray(segmenter(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).labels)


def paddleseg(folder: str) -> Callable[[np.ndarray], np.ndarray]:
    """What PaddleSeg's deployment does on a CPU with oneDNN: its transforms, Paddle Inference with its settings.

    Its script ends at labels of the input's size; here they are resized to the image's, where that is another.
    """
    from paddle import inference
    from paddleseg.deploy.infer import DeployConfig

    deployed = DeployConfig(str(Path(folder, "deploy.yaml")))
    config = inference.Config(deployed.model, deployed.params)
    config.disable_glog_info()
    config.disable_gpu()
    config.enable_memory_optim()
    config.switch_ir_optim(True)
    config.set_mkldnn_cache_capacity(10)
    config.enable_mkldnn()
    config.set_cpu_math_library_num_threads(1)
    predictor = inference.create_predictor(config)
    fed = predictor.get_input_handle(predictor.get_input_names()[0])
    given = predictor.get_output_handle(predictor.get_output_names()[0])

    def segment(image: np.ndarray) -> np.ndarray:
        data = np.array([deployed.transforms({"img": image.astype("float32")})["img"]])
        fed.reshape(data.shape)
        fed.copy_from_cpu(data)
        predictor.run()
        labels = given.copy_to_cpu()[0].astype(np.uint8)
        height, width = image.shape[:2]
        if labels.shape == (height, width):
            return np.asarray(labels)
        return cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)

    return segment


def export(network: Path, weights: str, folder: Path, size: list[int]) -> None:
    """What PaddleSeg's own script for export does with ``--input_shape 1 3 HEIGHT WIDTH`` (any size without a size)."""
    import paddle
    import yaml
    from paddleseg.cvlibs import Config, SegBuilder
    from paddleseg.cvlibs.config_checker import ConfigChecker
    from paddleseg.deploy.export import WrappedModel

    config = Config(str(network), checker=ConfigChecker([]))  # the others ask for what only a training needs
    model = SegBuilder(config).model
    os.environ["PADDLESEG_EXPORT_STAGE"] = "True"
    state: dict[str, Any] = paddle.load(weights)
    if set(state) != set(model.state_dict()):
        names = sorted(set(state) ^ set(model.state_dict()))
        sys.exit(f"the weights are of another network than PaddleSeg's: {', '.join(names[:4])}")
    model.set_dict(state)
    wrapped = WrappedModel(model, "argmax")
    shape = [1, 3, *size] if size else [None, 3, None, None]
    wrapped.eval()
    static = paddle.jit.to_static(wrapped, input_spec=[paddle.static.InputSpec(shape=shape, dtype="float32")])
    paddle.jit.save(static, str(folder / "model"))
    deploy = {
        "model": "model.pdmodel",
        "params": "model.pdiparams",
        "transforms": config.val_dataset_cfg["transforms"],
        "input_shape": shape,
        "output_op": "argmax",
        "output_dtype": "int32",
    }
    (folder / "deploy.yaml").write_text(yaml.dump({"Deploy": deploy}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
