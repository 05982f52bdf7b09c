"""One engine in a process of its own, timed on request: the tasks of the children of `benchmark`, see `child`."""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import cv2

from mobileseg.data.io import read_image
from mobileseg.runtime.engines.registry import ENGINES, EXTRA_ENGINES
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.runtime.streams import Stream
from mobileseg.tasks import stage
from mobileseg.viz.task import Visualizer


def one_run(stream: Stream, shown: Visualizer, image: str) -> dict[str, float]:
    """Milliseconds of decoding, the three stages of the segmenter, and drawing what `mobileseg predict` draws."""
    start = time.perf_counter()
    pixels = read_image(image)
    decoded = time.perf_counter()
    result = stream.step(pixels)
    before = time.perf_counter()
    shown.frame(pixels, result)
    drawn = time.perf_counter() - before
    return {"decode": (decoded - start) * 1e3, **result.times, "draw": drawn * 1e3}


def describe(segmenter: Segmenter) -> dict[str, Any]:
    """Facts about what this process runs."""
    info = (ENGINES | EXTRA_ENGINES)[segmenter.engine_name]
    distribution = info.requirement.split("=")[0].split(">")[0]
    try:
        engine_version = version(distribution)
    except PackageNotFoundError:  # for example paddlepaddle-gpu in the place of paddlepaddle
        engine_version = "unknown"
    spec = segmenter.manifest.image
    return {
        "name": segmenter.name,
        "engine": segmenter.engine_name,
        "versions": {distribution: engine_version, "opencv-python": cv2.__version__},
        "input": "dynamic" if spec.dynamic else f"{spec.width}x{spec.height}",
    }


def open_case(request: dict[str, Any]) -> dict[str, Any]:
    """Load a folder, and say what it is."""
    threads = int(request["threads"])
    cv2.setNumThreads(threads)
    segmenter = Segmenter(request["folder"], engine=request["engine"], threads=threads)
    shown = stage(segmenter, "visualize").visualizer(segmenter)
    _opened.append((segmenter.stream(), shown, request["image"]))
    return describe(segmenter)


def run_case(request: dict[str, Any]) -> dict[str, Any]:
    """Some timed runs of what was opened."""
    stream, shown, image = _opened[-1]
    runs, pipelines = [], []
    for _ in range(int(request["count"])):
        runs.append(one_run(stream, shown, image))
        pipelines.append(stream.pipeline)
    return {"runs": runs, "pipelines": pipelines}


_opened: list[tuple[Stream, Visualizer, str]] = []
TASKS = {"open": open_case, "run": run_case}
