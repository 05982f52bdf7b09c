"""One engine in a process of its own, timed on request; started by `mobileseg.benchmarking.benchmark`.

``python -m mobileseg.benchmarking.worker FOLDER ENGINE THREADS IMAGE`` answers each line of standard input, a
number of runs, with one line of JSON: the milliseconds of every stage of every run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TextIO

import cv2

from mobileseg.data.io import read_image
from mobileseg.errors import MobileSegError
from mobileseg.runtime.engines.registry import ENGINES, EXTRA_ENGINES
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.tasks import stage
from mobileseg.viz.task import Visualizer


def one_run(segmenter: Segmenter, shown: Visualizer, image: str) -> dict[str, float]:
    """Milliseconds of decoding, the three stages of the segmenter, and drawing what `mobileseg predict` draws."""
    start = time.perf_counter()
    pixels = read_image(image)
    decoded = time.perf_counter()
    result = segmenter(pixels)
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


def serve(arguments: list[str], requests: TextIO, answers: TextIO) -> int:
    """Load, say hello, then answer requests until the input ends."""
    folder, engine, threads, image = arguments
    cv2.setNumThreads(int(threads))
    try:
        segmenter = Segmenter(folder, engine=engine, threads=int(threads))
        shown = stage(segmenter, "visualize").visualizer(segmenter)
        _answer(answers, describe(segmenter))
        for line in requests:
            _answer(answers, {"runs": [one_run(segmenter, shown, image) for _ in range(int(line))]})
    except MobileSegError as error:
        _answer(answers, {"error": error.message, "remedy": error.remedy, "kind": type(error).__name__})
        return error.exit_code
    return 0


def _answer(answers: TextIO, content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def main() -> int:
    """Entry of the process: engines that print do so to standard error, the answers have a channel of their own."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return serve(sys.argv[1:], sys.stdin, answers)


if __name__ == "__main__":
    sys.exit(main())
