"""A picture in, labels or objects out: preprocess, engine, postprocess of one artefact folder."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from mobileseg.data.io import read_image
from mobileseg.errors import MobileSegError, RuntimeEngineError
from mobileseg.runtime.engines.base import Engine
from mobileseg.runtime.engines.registry import load
from mobileseg.runtime.manifest import Manifest, OutputSpec
from mobileseg.runtime.postprocess import finisher
from mobileseg.runtime.preprocess import Preprocessor
from mobileseg.structures import SemanticResult

AFTER_SUPPRESSION = {"max_detections", "mask_threshold", "truncate_boxes"}
"""Detection options that also hold when the suppression is inside the graph."""


class Segmenter:
    """Segments pictures with an exported network.

    ::

        segmenter = Segmenter("output/export")
        result = segmenter("street.jpg")
        result.labels      # of a semantic network: uint8 [H, W], the size of street.jpg
        result.boxes       # of an instance network; also .scores, .classes, .masks

    A segmenter reuses its input buffer and its engine's state: use one per thread.

    Args:
        folder: artefact folder, as `mobileseg export` writes it, or a folder of the zoo.
        engine: 'onnxruntime', 'lite', 'ncnn', 'paddle', 'tensorrt' on an NVIDIA GPU, or 'auto' for the fastest
            installed one of the CPU that the folder has a graph for.
        threads: CPU threads of the engine. OpenCV's threads are a setting of the whole process
            (`cv2.setNumThreads`) and are left alone.
        scores: of a semantic network, also return class probabilities; needs a graph that ends before the argmax.
        detection: of an instance network, options (thresholds, suppression) in place of those of the folder.
        engine_options: of the engine alone, for example ``precision="fp16"`` of 'tensorrt' (`TensorRTOptions`).

    Raises:
        RuntimeEngineError: the folder cannot be used, its graph gives no scores and they were asked for, or it finds
            no objects and ``detection`` was given.
        DependencyError: the engine is not installed.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        engine: str = "auto",
        threads: int = 1,
        *,
        scores: bool = False,
        detection: Mapping[str, Any] | None = None,
        **engine_options: Any,
    ) -> None:
        self.engine: Engine = load(folder, engine, threads=threads, **engine_options)
        self.manifest: Manifest = with_detection(self.engine.manifest, self.engine.outputs, detection)
        self._finish = finisher(folder, self.manifest, self.engine.outputs, scores=scores)
        self._preprocessor = Preprocessor(self.manifest.input)
        self._spare: deque[np.ndarray] = deque()  # inputs that are free for reuse; threads never share one

    @property
    def task(self) -> str:
        """'semantic' or 'instance'."""
        return self.manifest.task

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, by index."""
        return self.manifest.classes

    @property
    def palette(self) -> np.ndarray:
        """uint8 [K, 3], RGB colour of every class."""
        return np.asarray(self.manifest.palette, dtype=np.uint8)

    @property
    def category_ids(self) -> tuple[int, ...] | None:
        """Of an instance network, the COCO category id of every class where there are such numbers."""
        return self.manifest.category_ids

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.manifest.name

    @property
    def engine_name(self) -> str:
        """Name of the engine in use, also when 'auto' chose it."""
        return self.engine.name

    def __call__(self, image: np.ndarray | str | os.PathLike[str]) -> Any:
        """Segment one picture.

        Args:
            image: uint8 [H, W, 3] in RGB, or the path of a file (EXIF rotation is applied).

        Returns:
            `SemanticResult` or `InstanceResult` by the folder's task, in the pixels of the picture, with the
            milliseconds of each stage (with 'decode' for a path).

        Raises:
            DataError: the picture cannot be read or used.
            RuntimeEngineError: the graph does not take this size, or fails.
        """
        try:
            buffer = self._spare.pop()
        except IndexError:
            buffer = None
        image, fed, times = self._prepared(image, buffer)
        result = self._finished(image, fed, times)
        self._spare.append(fed)
        return result

    def _prepared(
        self, image: np.ndarray | str | os.PathLike[str], buffer: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
        """Picture, input of the graph, and the milliseconds it took."""
        times: dict[str, float] = {}
        if not isinstance(image, np.ndarray):
            start = time.perf_counter()
            image = read_image(os.fspath(image))
            times["decode"] = milliseconds_since(start)
        start = time.perf_counter()
        fed = self._preprocessor(image, buffer)
        times["preprocess"] = milliseconds_since(start)
        return image, fed, times

    def _finished(self, image: np.ndarray, fed: np.ndarray, times: dict[str, float]) -> Any:
        """Engine and postprocess."""
        start = time.perf_counter()
        outputs = self.engine.run({self.manifest.input.name: fed})
        times["inference"] = milliseconds_since(start)
        start = time.perf_counter()
        result = self._finish(outputs, self._preprocessor.geometry(image))
        times["postprocess"] = milliseconds_since(start)
        return replace(result, times=times)

    def batch(
        self, images: Iterable[np.ndarray | str | os.PathLike[str]], ahead: int = 1, *, keep_errors: bool = False
    ) -> Iterator[Any]:
        """The result of each picture, in order; the next ones are prepared while the engine runs.

        Graphs take one picture at a time, so this saves the time of decoding and preprocessing, not that of the
        engine. Results are those of single calls. Nothing is read before the first result is asked for.

        Args:
            images: as for a single call, of any number and sizes.
            ahead: pictures that are prepared, and held, before their turn; each by a thread of its own.
            keep_errors: give the error (a `MobileSegError`) in the place of the result of a picture that cannot be
                used, and go on.

        Raises:
            DataError, RuntimeEngineError: as a single call, at the picture that cannot be used.
        """
        if ahead < 1:
            raise RuntimeEngineError(f"ahead is {ahead}, expected at least 1")
        coming: deque[Future[Any]] = deque()
        with ThreadPoolExecutor(max_workers=ahead) as workers:
            try:
                for image in images:
                    coming.append(workers.submit(self._prepared, image))
                    if len(coming) > ahead:
                        yield self._result_of(coming.popleft(), keep_errors)
                while coming:
                    yield self._result_of(coming.popleft(), keep_errors)
            finally:
                for waiting in coming:
                    waiting.cancel()

    def _result_of(self, prepared: Future[Any], keep_errors: bool) -> Any:
        try:
            return self._finished(*prepared.result())
        except MobileSegError as error:
            if not keep_errors:
                raise
            return error

    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """The input of the graph for a picture, float32 [1, 3, H, W] in most folders; an array of its own.

        Args:
            image: uint8 [H, W, 3], RGB.
        """
        return self._preprocessor(image)

    def postprocess(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int]) -> Any:
        """What the engine's outputs mean for a picture of ``size`` = (H, W).

        Returns:
            Labels uint8 [H, W] of a semantic network, an `InstanceResult` of an instance network.
        """
        blank = np.broadcast_to(np.zeros(1, np.uint8), (*size, 3))
        result = self._finish(outputs, self._preprocessor.geometry(blank))
        return result.labels if isinstance(result, SemanticResult) else result


def with_detection(manifest: Manifest, outputs: Sequence[OutputSpec], options: Mapping[str, Any] | None) -> Manifest:
    """The manifest with some detection options changed; ``outputs`` are those of the graph in use.

    Raises:
        RuntimeEngineError: it is not one of an instance network, or an option cannot be used.
    """
    if not options:
        return manifest
    if manifest.detection is None:
        raise RuntimeEngineError(
            f"artefact '{manifest.name}' gives labels: {', '.join(options)} are options of networks that find objects",
            remedy="leave the detection options out",
        )
    inside = sorted(set(options) - AFTER_SUPPRESSION)
    if inside and any(output.kind == "detections" for output in outputs):
        raise RuntimeEngineError(
            f"the graph of artefact '{manifest.name}' has the suppression inside: {', '.join(inside)} cannot be "
            "changed",
            remedy="export the folder again with these options, or without the suppression",
        )
    try:
        return replace(manifest, detection=replace(manifest.detection, **options))
    except (TypeError, ValueError) as error:
        raise RuntimeEngineError(f"detection options {dict(options)}: {error}", remedy="see docs/config.md") from error


def milliseconds_since(start: float) -> float:
    """Milliseconds from ``start``, a reading of `time.perf_counter`, to now."""
    return (time.perf_counter() - start) * 1000.0
