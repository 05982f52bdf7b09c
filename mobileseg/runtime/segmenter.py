"""An image in, a result out: preprocess, graphs, postprocess of one artefact."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from mobileseg import tasks
from mobileseg.data.pixel_format import PixelFormat
from mobileseg.errors import MobileSegError, RuntimeEngineError
from mobileseg.runtime.engines.base import Engine
from mobileseg.runtime.engines.registry import load
from mobileseg.runtime.images import ImageLike, load_image
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.preprocess import Geometry, Preprocessor
from mobileseg.runtime.streams import Stream, StreamState
from mobileseg.runtime.task import Pipeline
from mobileseg.structures import of_image
from mobileseg.tracking.options import TrackingOptions


class Segmenter:
    """Segments images with an exported model.

    ::

        segmenter = Segmenter("output/export")
        result = segmenter("street.jpg")
        result.labels      # of a semantic segmentation model: uint8 [H, W], the size of street.jpg
        result.boxes       # of an instance segmentation model; also .scores, .classes, .masks

    Several threads may call one segmenter: they wait for each other at the engine.

    Args:
        folder: artefact, as `mobileseg export` writes it, or a folder of the zoo.
        engine: 'onnxruntime', 'lite', 'ncnn', 'paddle', 'tensorrt' on an NVIDIA GPU, or 'auto' for the fastest
            installed one of the CPU that the folder has graphs for.
        threads: CPU threads of the engine. OpenCV's threads are a setting of the whole process
            (`cv2.setNumThreads`) and are left alone.
        scores: of a semantic segmentation model, also return class probabilities; needs a graph that ends before the
            argmax.
        detection: of an instance segmentation model, options (thresholds, NMS) in place of those of the folder.
        engine_options: of the engine alone, for example ``precision="fp16"`` of 'tensorrt' (`TensorRTOptions`).

    Raises:
        RuntimeEngineError: the folder cannot be used, its graph gives no scores and they were asked for, or its task
            has no such option.
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
        manifest = Manifest.read(folder)
        self.engine: Engine = load(folder, engine, threads=threads, **engine_options)
        asked = {"scores": scores or None, "detection": detection or None}
        options = {name: value for name, value in asked.items() if value is not None}
        self.pipeline: Pipeline = tasks.stage(manifest, "runtime").pipeline(folder, manifest, self.engine, options)
        """What the task does of the work."""
        self._preprocessor = Preprocessor(manifest.image)
        self._reused = threading.local()

    @property
    def manifest(self) -> Manifest:
        """What the folder says of itself, with the options given here."""
        return self.pipeline.manifest

    @property
    def task(self) -> str:
        """Key of the table of tasks."""
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
    def pixels(self) -> PixelFormat:
        """What pixels images have; reads image files."""
        return self.manifest.image.pixels

    @property
    def category_ids(self) -> tuple[int, ...] | None:
        """The number of every class in the files of the training data (COCO), where there are such numbers."""
        found = (self.manifest.settings or {}).get("category_ids")
        return None if found is None else tuple(found)

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.manifest.name

    @property
    def engine_name(self) -> str:
        """Name of the engine in use, also when 'auto' chose it."""
        return self.engine.name

    def stream(
        self,
        state: StreamState | None = None,
        *,
        track: bool | Mapping[str, Any] | TrackingOptions | None = None,
        smooth: float | None = None,
    ) -> Stream:
        """A stream of frames, with what the network and the task keep from frame to frame.

        Args:
            state: of an earlier stream of this artefact, to go on from.
            track: give objects ids that stay from frame to frame (``track_ids``), and leave out those that belong to no
                track: True, or options (`TrackingOptions`). None is what the task does by itself.
            smooth: of a semantic segmentation model whose graph gives scores: weight of the frames before, 0..1, with
                which class probabilities are averaged (:mod:`mobileseg.tracking.label_filter`).

        Raises:
            RuntimeEngineError: a state of another artefact, or the task has no such option, or its graph gives
                too little for it.
            ConfigError: options that cannot be used.
        """
        asked = {"track": track, "smooth": smooth}
        options = {name: value for name, value in asked.items() if value is not None}
        return Stream(self, state, self._following(options) if options else None)

    def _following(self, options: Mapping[str, Any]) -> Pipeline:
        """The task's pipeline with options of a stream."""
        change = getattr(self.pipeline, "for_stream", None)
        if change is None:
            raise RuntimeEngineError(
                f"the task of '{self.name}' has no options of streams: {', '.join(options)}",
                remedy=f"leave {' and '.join(options)} out",
            )
        found: Pipeline = change(options)
        return found

    def __call__(self, image: ImageLike) -> Any:
        """Segment one image: a stream of one frame.

        Args:
            image: uint8 [H, W, 3] in RGB, the path of a file, or a `PIL.Image` (EXIF rotation is applied to both).

        Returns:
            A result of :mod:`mobileseg.structures` by the folder's task, in the pixels of the image, with the
            milliseconds of each stage (with 'decode' for a path).

        Raises:
            DataError: the image cannot be read or used.
            RuntimeEngineError: the graph does not take this size, or fails.
        """
        return of_image(Stream(self).step(image))

    def prepare(self, image: ImageLike, *, reuse: bool = False) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
        """Decoded image, tensor of it that graphs take, and the milliseconds that they took.

        Args:
            image: as for a call.
            reuse: the tensor may be overwritten by the next call of this thread.
        """
        times: dict[str, float] = {}
        if not isinstance(image, np.ndarray):
            start = time.perf_counter()
            image = load_image(image, self.pixels)
            times["decode"] = milliseconds_since(start)
        start = time.perf_counter()
        fed = self._preprocessor(image, getattr(self._reused, "tensor", None) if reuse else None)
        if reuse:
            self._reused.tensor = fed
        times["preprocess"] = milliseconds_since(start)
        return image, fed, times

    def geometry(self, image: np.ndarray) -> Geometry:
        """Where an image lies in the input."""
        return self._preprocessor.geometry(image)

    def batch(self, images: Iterable[ImageLike], ahead: int = 1, *, keep_errors: bool = False) -> Iterator[Any]:
        """The result of each image, in order; the next ones are prepared while the engine runs.

        Graphs take one image at a time, so this saves the time of decoding and preprocessing, not that of the
        engine. Results are those of single calls. Nothing is read before the first result is asked for.

        Args:
            images: as for a single call, of any number and sizes.
            ahead: images that are prepared, and held, before their turn; each by a thread of its own.
            keep_errors: give the error (a `MobileSegError`) in the place of the result of an image that cannot be
                used, and go on.

        Raises:
            DataError, RuntimeEngineError: as a single call, at the image that cannot be used.
        """
        if ahead < 1:
            raise RuntimeEngineError(f"ahead is {ahead}, expected at least 1")
        coming: deque[Future[Any]] = deque()
        with ThreadPoolExecutor(max_workers=ahead) as workers:
            try:
                for image in images:
                    coming.append(workers.submit(self.prepare, image))
                    if len(coming) > ahead:
                        yield self._result_of(coming.popleft(), keep_errors)
                while coming:
                    yield self._result_of(coming.popleft(), keep_errors)
            finally:
                for waiting in coming:
                    waiting.cancel()

    def _result_of(self, prepared: Future[Any], keep_errors: bool) -> Any:
        try:
            return Stream(self).finish(*prepared.result())
        except MobileSegError as error:
            if not keep_errors:
                raise
            return error

    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """The tensor that graphs take for an image, float32 [1, 3, H, W] of most models; an array of its own.

        Args:
            image: uint8 [H, W, 3], RGB.
        """
        return self._preprocessor(image)

    def postprocess(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int]) -> Any:
        """The result, without times, that outputs of the engine mean for an image of ``size`` = (H, W)."""
        spec = self.manifest.image
        blank = np.broadcast_to(np.zeros(1, spec.pixel_dtype), (*size, spec.channels))
        return self.pipeline.finish(outputs, self._preprocessor.geometry(blank), {})


def milliseconds_since(start: float) -> float:
    """Milliseconds from ``start``, a reading of `time.perf_counter`, to now."""
    return (time.perf_counter() - start) * 1000.0
