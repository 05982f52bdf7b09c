"""A picture in, a label for every pixel out: preprocess, engine, postprocess of one artefact folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import numpy as np

from mobileseg.data.io import read_image
from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.artefact import Manifest, OutputSpec
from mobileseg.runtime.engines.base import Engine
from mobileseg.runtime.engines.registry import load
from mobileseg.runtime.preprocess import Geometry, Preprocessor
from mobileseg.semantic.postprocess import labels_from_labels, labels_from_logits, resize_scores, softmax
from mobileseg.structures import SemanticResult


class Segmenter:
    """Segments pictures with an exported network.

    ::

        segmenter = Segmenter("output/export")
        result = segmenter("street.jpg")
        result.labels      # uint8 [H, W], the size of street.jpg

    A segmenter reuses its input buffer and its engine's state: use one per thread.

    Args:
        folder: artefact folder, as `mobileseg export` writes it, or a folder of the zoo.
        engine: 'onnxruntime', 'lite', 'ncnn', 'paddle', or 'auto' for the fastest installed one that the folder
            has a graph for.
        threads: CPU threads of the engine. OpenCV's threads are a setting of the whole process
            (`cv2.setNumThreads`) and are left alone.
        scores: also return class probabilities; needs a graph that ends before the argmax.

    Raises:
        RuntimeEngineError: the folder cannot be used, or its graph gives no scores and they were asked for.
        DependencyError: the engine is not installed.
    """

    def __init__(
        self, folder: str | os.PathLike[str], engine: str = "auto", threads: int = 1, *, scores: bool = False
    ) -> None:
        self.engine: Engine = load(folder, engine, threads=threads)
        self.manifest: Manifest = self.engine.manifest
        self._output = pick_output(self.engine.outputs, scores)
        self._scores = scores
        self._preprocessor = Preprocessor(self.manifest.input)
        self._buffer: np.ndarray | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, by label."""
        return self.manifest.classes

    @property
    def palette(self) -> np.ndarray:
        """uint8 [K, 3], RGB colour of every class."""
        return np.asarray(self.manifest.palette, dtype=np.uint8)

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.manifest.name

    @property
    def engine_name(self) -> str:
        """Name of the engine in use, also when 'auto' chose it."""
        return self.engine.name

    def __call__(self, image: np.ndarray | str | os.PathLike[str]) -> SemanticResult:
        """Segment one picture.

        Args:
            image: uint8 [H, W, 3] in RGB, or the path of a file (EXIF rotation is applied).

        Returns:
            Labels of the picture's own size, and the milliseconds of each stage (with 'decode' for a path).

        Raises:
            DataError: the picture cannot be read or used.
            RuntimeEngineError: the graph does not take this size, or fails.
        """
        times: dict[str, float] = {}
        if not isinstance(image, np.ndarray):
            start = time.perf_counter()
            image = read_image(os.fspath(image))
            times["decode"] = milliseconds_since(start)
        start = time.perf_counter()
        self._buffer = self._preprocessor(image, self._buffer)
        times["preprocess"] = milliseconds_since(start)
        start = time.perf_counter()
        outputs = self.engine.run({self.manifest.input.name: self._buffer})
        times["inference"] = milliseconds_since(start)
        start = time.perf_counter()
        labels, scores = self._finish(outputs, self._preprocessor.geometry(image))
        times["postprocess"] = milliseconds_since(start)
        return SemanticResult(labels, scores, times)

    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """The input of the graph for a picture, float32 [1, 3, H, W] in most folders; an array of its own.

        Args:
            image: uint8 [H, W, 3], RGB.
        """
        return self._preprocessor(image)

    def postprocess(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int]) -> np.ndarray:
        """Labels uint8 [H, W] from what the engine returned for a picture of ``size`` = (H, W)."""
        blank = np.broadcast_to(np.zeros(1, np.uint8), (*size, 3))
        return self._finish(outputs, self._preprocessor.geometry(blank), scores=False)[0]

    def _finish(
        self, outputs: Mapping[str, np.ndarray], place: Geometry, scores: bool | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        values = outputs[self._output.name][0]
        labelled = self._output.kind == "labels"
        scores = self._scores if scores is None else scores
        if not labelled and not scores and self._output.resize == "labels-nearest":
            values, labelled = labels_from_logits(values, values.shape[1:]), True
        if place.content != place.input:  # take the padding off, at the size where it was put on
            values = values if labelled else resize_scores(values, place.input)
            values = values[..., : place.content[0], : place.content[1]]
        if labelled:
            return labels_from_labels(values, place.image), None
        if not scores:
            return labels_from_logits(values, place.image), None
        values = resize_scores(values, place.image)
        probabilities = values if self._output.kind == "probabilities" else softmax(values)
        return labels_from_logits(values, place.image), probabilities


def pick_output(outputs: tuple[OutputSpec, ...], scores: bool) -> OutputSpec:
    """The output that answers: labels when they suffice, else probabilities or logits.

    Raises:
        RuntimeEngineError: scores are wanted and the graph returns labels only.
    """
    wanted = ("probabilities", "logits") if scores else ("labels", "probabilities", "logits")
    for kind in wanted:
        for spec in outputs:
            if spec.kind == kind:
                return spec
    raise RuntimeEngineError(
        f"the graph returns {', '.join(spec.kind for spec in outputs)}, class scores were asked for",
        remedy="export it with the output op softmax or none",
    )


def milliseconds_since(start: float) -> float:
    """Milliseconds from ``start``, a reading of `time.perf_counter`, to now."""
    return (time.perf_counter() - start) * 1000.0
