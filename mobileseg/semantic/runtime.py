"""Semantic segmentation at run time: from the outputs of a graph to a label for every pixel of the image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.names import MAIN
from mobileseg.runtime.engines.base import Engine
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.preprocess import Geometry
from mobileseg.runtime.specs import OutputSpec
from mobileseg.runtime.task import StepPlan
from mobileseg.semantic.postprocess import labels_from_labels, labels_from_logits, resize_scores, softmax
from mobileseg.structures import SemanticResult
from mobileseg.tracking.label_filter import checked_weight, seen, smoothed

_REMEDY = "export the folder again"
_KEY = "smooth"

KINDS = ("labels", "probabilities", "logits")
"""Kinds of outputs: 'labels' class index per pixel, [1, H, W]; 'probabilities' or 'logits', [1, K, h, w]."""


def problems(manifest: Manifest) -> list[str]:
    """Outputs that do not make labels, and settings, of which there are none."""
    found = [f"settings.{name} does not belong to a semantic segmentation model" for name in manifest.settings or {}]
    if MAIN not in manifest.pipelines:
        return [*found, f"pipelines has no '{MAIN}'"]
    for name in manifest.pipelines[MAIN]:
        graph = manifest.graphs[name]
        specs = {f"graphs.{name}.outputs": graph.outputs}
        for key, files in graph.files.items():
            if files.output_specs:
                specs[f"graphs.{name}.files.{key}"] = files.output_specs
        for where, outputs in specs.items():
            found.extend(_output_problems(where, outputs, len(manifest.classes)))
    return found


def _output_problems(where: str, outputs: Sequence[OutputSpec], classes: int) -> list[str]:
    kinds = {spec.kind for spec in outputs}
    if kinds - set(KINDS):
        return [f"{where} has {', '.join(sorted(kinds))}, a semantic segmentation graph returns {' or '.join(KINDS)}"]
    found = []
    for spec in outputs:
        scores = spec.kind != "labels"
        if len(spec.shape) != (4 if scores else 3):
            found.append(f"{where}: '{spec.name}' has the shape {list(spec.shape)}, expected {_expected(scores)}")
        elif scores and spec.shape[1] != classes:
            found.append(f"{where}: '{spec.name}' has {spec.shape[1]} channels for {classes} classes")
        if spec.upsample is not None and not scores:
            found.append(f"{where}: '{spec.name}' are labels, which cannot be upsampled as scores are")
    return found


def _expected(scores: bool) -> str:
    return "[1, K, h, w]" if scores else "[1, H, W]"


def pipeline(
    folder: str | os.PathLike[str], manifest: Manifest, engine: Engine, options: Mapping[str, Any]
) -> SemanticPipeline:
    """See :class:`mobileseg.runtime.task.RuntimeStage`; the option is ``scores``.

    Raises:
        RuntimeEngineError: another option, or the graph gives no scores and they were asked for.
    """
    foreign = sorted(set(options) - {"scores"})
    if foreign:
        raise RuntimeEngineError(
            f"artefact '{manifest.name}' gives a label per pixel: {', '.join(foreign)} is for instance segmentation",
            remedy=f"leave {' and '.join(foreign)} out",
        )
    return SemanticPipeline(manifest, engine.results, options.get("scores", False))


class SemanticPipeline:
    """A label for every pixel.

    Args:
        manifest: of the folder.
        outputs: what the graphs return.
        scores: also return class probabilities.

    Raises:
        RuntimeEngineError: the graph gives no scores and they were asked for.
    """

    def __init__(self, manifest: Manifest, outputs: Sequence[OutputSpec], scores: bool = False) -> None:
        self.manifest = manifest
        self._output = pick_output(outputs, scores)
        self._scores = scores
        self._classes = manifest.num_classes
        self._outputs = outputs
        self._smooth = 0.0

    def for_stream(self, options: Mapping[str, Any]) -> SemanticPipeline:
        """See :class:`mobileseg.runtime.task.StreamingPipeline`; the option is ``smooth``, ``track`` can only be False.

        Raises:
            RuntimeEngineError: another option, or smoothing of a graph that returns labels only.
            ConfigError: a weight that cannot be used.
        """
        if options.get("track"):
            raise RuntimeEngineError(
                f"'{self.manifest.name}' finds no objects that could be tracked",
                remedy="leave track out, or use an instance segmentation model",
            )
        found = copy(self)
        found._smooth = checked_weight(options.get("smooth", 0.0))
        if found._smooth:
            found._output = pick_output(self._outputs, scores=True)
        return found

    def next(self, memory: dict[str, Any], image: np.ndarray) -> StepPlan:
        """The graphs take every frame by itself; smoothing looks at how the image moves."""
        if self._smooth:
            memory[_KEY] = seen(memory.get(_KEY), image)
        return StepPlan(MAIN)

    def finish(self, tensors: Mapping[str, np.ndarray], place: Geometry, memory: dict[str, Any]) -> SemanticResult:
        """Labels, and probabilities if they were asked for, of the image's own size.

        Raises:
            RuntimeEngineError: labels that are no class, scores that are no numbers or not one per class.
        """
        values = tensors[self._output.name][0]
        labelled = self._output.kind == "labels"
        self._check(values)
        rule, size = self._output.resize, self._output.upsample or values.shape[-2:]
        probable = self._output.kind == "probabilities"
        # An image of the size of the scores has the same labels by logits and by probabilities.
        whole = not self._smooth and place.image == place.input == size
        labels_here = not self._scores and (rule == "labels-nearest" or whole)
        if not labelled and (self._smooth or not labels_here):
            values = resize_scores(values, size)
            if not probable and (self._smooth or rule == "probabilities-bilinear"):
                values, probable = softmax(values), True
        if self._smooth:
            values, memory[_KEY] = smoothed(
                memory[_KEY], values, self._smooth, content=place.content, covered=place.input
            )
        if not labelled and labels_here:
            values, labelled = labels_from_logits(values, size), True
        if place.content != place.input:  # take the padding off, at the size where it was put on
            values = values if labelled else resize_scores(values, place.input)
            values = values[..., : place.content[0], : place.content[1]]
        if labelled:
            return SemanticResult(labels_from_labels(values, place.image))
        if not self._scores:
            return SemanticResult(labels_from_logits(values, place.image))
        values = resize_scores(values, place.image)
        probabilities = values if probable else softmax(values)
        return SemanticResult(labels_from_logits(values, place.image), probabilities)

    def _check(self, values: np.ndarray) -> None:
        """Labels [h, w] must be classes, scores [K, h, w] numbers, one per class."""
        name, classes = self._output.name, f"the manifest names {self._classes} classes"
        if self._output.kind != "labels":
            if values.ndim != 3 or len(values) != self._classes:
                raise RuntimeEngineError(f"'{name}' is {list(values.shape)}, {classes}", remedy=_REMEDY)
            if np.isnan(values.min(initial=0)):  # the minimum of NaN and anything is NaN
                raise RuntimeEngineError(f"'{name}' holds values that are no numbers (NaN)", remedy="check the weights")
        elif values.size and not 0 <= (wrong := _furthest(values)) < self._classes:
            raise RuntimeEngineError(f"'{name}' holds the label {wrong}, {classes}", remedy=_REMEDY)


def _furthest(labels: np.ndarray) -> int:
    """The lowest label if it is negative, else the highest."""
    lowest = int(labels.min())
    return lowest if lowest < 0 else int(labels.max())


def pick_output(outputs: Sequence[OutputSpec], scores: bool) -> OutputSpec:
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
