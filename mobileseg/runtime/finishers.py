"""From what an engine returned to the result of a task; one class per task, chosen by the manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.instance.postprocess import Detections, detect, finish, suppressed_detections
from mobileseg.runtime.artefact import Manifest, verified_path
from mobileseg.runtime.preprocess import Geometry
from mobileseg.runtime.specs import OutputKind, OutputSpec
from mobileseg.semantic.postprocess import labels_from_labels, labels_from_logits, resize_scores, softmax
from mobileseg.structures import InstanceResult, SemanticResult

Result = SemanticResult | InstanceResult
_REMEDY = "export the folder again"


class Finisher(Protocol):
    """Makes the result of a picture, without times."""

    def __call__(self, outputs: Mapping[str, np.ndarray], place: Geometry) -> Result: ...


def finisher(
    folder: str | os.PathLike[str], manifest: Manifest, outputs: tuple[OutputSpec, ...], *, scores: bool = False
) -> Finisher:
    """The finisher of a folder's task.

    Args:
        folder: artefact folder.
        manifest: its manifest.
        outputs: what the graph in use returns.
        scores: of a semantic graph, also return class probabilities.

    Raises:
        RuntimeEngineError: the graph gives no scores and they were asked for, or the folder's parts do not fit
            each other.
    """
    if manifest.task == "semantic":
        return SemanticFinisher(outputs, scores, manifest.num_classes)
    if scores:
        raise RuntimeEngineError(
            f"artefact '{manifest.name}' finds objects: every object has a score, pixels have none",
            remedy="leave scores=True out",
        )
    return InstanceFinisher(folder, manifest, outputs)


class SemanticFinisher:
    """A label for every pixel.

    Args:
        outputs: what the graph returns.
        scores: also return class probabilities.
        num_classes: number of classes that the manifest names.

    Raises:
        RuntimeEngineError: the graph gives no scores and they were asked for.
    """

    def __init__(self, outputs: tuple[OutputSpec, ...], scores: bool, num_classes: int) -> None:
        self._output = pick_output(outputs, scores)
        self._scores = scores
        self._num_classes = num_classes

    def __call__(self, outputs: Mapping[str, np.ndarray], place: Geometry) -> SemanticResult:
        """Labels, and probabilities if they were asked for, of the picture's own size.

        Raises:
            RuntimeEngineError: labels that are no class, scores that are no numbers or not one per class.
        """
        values = outputs[self._output.name][0]
        labelled = self._output.kind == "labels"
        self._check(values)
        if not labelled and not self._scores and self._output.resize == "labels-nearest":
            values, labelled = labels_from_logits(values, values.shape[1:]), True
        if place.content != place.input:  # take the padding off, at the size where it was put on
            values = values if labelled else resize_scores(values, place.input)
            values = values[..., : place.content[0], : place.content[1]]
        if labelled:
            return SemanticResult(labels_from_labels(values, place.image))
        if not self._scores:
            return SemanticResult(labels_from_logits(values, place.image))
        values = resize_scores(values, place.image)
        probabilities = values if self._output.kind == "probabilities" else softmax(values)
        return SemanticResult(labels_from_logits(values, place.image), probabilities)

    def _check(self, values: np.ndarray) -> None:
        """Labels [h, w] must be classes, scores [K, h, w] numbers, one per class."""
        name, classes = self._output.name, f"the manifest names {self._num_classes} classes"
        if self._output.kind != "labels":
            if values.ndim != 3 or len(values) != self._num_classes:
                raise RuntimeEngineError(f"'{name}' is {list(values.shape)}, {classes}", remedy=_REMEDY)
            with np.errstate(invalid="ignore"):
                suspect = np.isnan(values.sum())  # also for infinities of both signs, which are numbers
            if suspect and np.isnan(values).any():
                raise RuntimeEngineError(f"'{name}' holds values that are no numbers (NaN)", remedy="check the weights")
        elif values.size and not 0 <= (wrong := _furthest(values)) < self._num_classes:
            raise RuntimeEngineError(f"'{name}' holds the label {wrong}, {classes}", remedy=_REMEDY)


class InstanceFinisher:
    """Objects with box, score, class and mask, from raw predictions or from a graph that has the suppression inside.

    Args:
        folder: artefact folder, which holds the anchors.
        manifest: its manifest.
        outputs: what the graph returns.

    Raises:
        RuntimeEngineError: no anchors, anchors that were changed or cannot be read, or outputs whose shapes do not fit
            the anchors, the classes or each other.
    """

    def __init__(self, folder: str | os.PathLike[str], manifest: Manifest, outputs: tuple[OutputSpec, ...]) -> None:
        if manifest.detection is None:
            raise RuntimeEngineError(f"artefact '{manifest.name}' has no block 'detection'", remedy=_REMEDY)
        spec = manifest.detection
        self._options, self._variances = spec.options, spec.variances
        self._num_classes = manifest.num_classes
        self._input = manifest.input.height, manifest.input.width
        self._by_kind: dict[OutputKind, OutputSpec] = {output.kind: output for output in outputs}
        self._anchors: np.ndarray | None = None
        if "boxes" in self._by_kind:
            if spec.anchors is None:
                raise RuntimeEngineError(f"artefact '{manifest.name}' names no file of anchors", remedy=_REMEDY)
            self._anchors = read_anchors(folder, manifest, spec.anchors)
        self._check_shapes()

    def __call__(self, outputs: Mapping[str, np.ndarray], place: Geometry) -> InstanceResult:
        """Objects in the pixels of the picture."""
        values = {kind: outputs[spec.name] for kind, spec in self._by_kind.items()}
        if self._anchors is None:
            found = suppressed_detections(values["detections"], values["coefficients"], self._options)
            self._check_classes(found)
        else:
            raw = {"loc": values["boxes"], "conf": values["scores"], "mask": values["coefficients"]}
            found = detect(raw, self._anchors, self._options, self._variances, input_size=self._input)
        return finish(found, values["prototypes"][0], place.image, self._options)

    def _check_shapes(self) -> None:
        """What the manifest says of the outputs must fit the anchors and the classes."""
        expected: dict[OutputKind, tuple[int, ...]]
        if self._anchors is not None:
            count = len(self._anchors)
            expected = {
                "boxes": (1, count, 4),
                "scores": (1, count, self._num_classes + 1),
                "coefficients": (1, count, -1),
                "prototypes": (1, -1, -1, -1),
            }
        else:
            expected = {"detections": (-1, 6), "coefficients": (-1, -1), "prototypes": (1, -1, -1, -1)}
        for kind, shape in expected.items():
            spec = self._by_kind[kind]
            if len(spec.shape) != len(shape) or any(
                want not in (-1, seen) and seen != -1 for want, seen in zip(shape, spec.shape, strict=True)
            ):
                raise RuntimeEngineError(
                    f"output '{spec.name}' ({kind}) has the shape {list(spec.shape)} in the manifest, expected "
                    f"{list(shape)} (-1: any) for {self._num_classes} classes"
                    + (f" and {len(self._anchors)} anchors" if self._anchors is not None else ""),
                    remedy=_REMEDY,
                )
        kinds = self._by_kind["coefficients"].shape[-1], self._by_kind["prototypes"].shape[1]
        if -1 not in kinds and kinds[0] != kinds[1]:
            raise RuntimeEngineError(
                f"the manifest has {kinds[0]} coefficients for {kinds[1]} prototypes", remedy=_REMEDY
            )

    def _check_classes(self, found: Detections) -> None:
        if len(found) and int(found.classes.max()) >= self._num_classes:
            raise RuntimeEngineError(
                f"the graph returned class {int(found.classes.max())}, the manifest has {self._num_classes} classes",
                remedy=_REMEDY,
            )


def read_anchors(folder: str | os.PathLike[str], manifest: Manifest, name: str) -> np.ndarray:
    """The anchors of an instance folder, float32 [P, 4].

    Raises:
        RuntimeEngineError: missing, changed since the export, or not such an array.
    """
    path = verified_path(folder, manifest, name)
    try:
        anchors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RuntimeEngineError(f"{path} holds no anchors: {error}", remedy=_REMEDY) from error
    if not isinstance(anchors, np.ndarray) or anchors.ndim != 2 or anchors.shape[1] != 4 or anchors.dtype != np.float32:
        seen = f"{anchors.dtype} {list(anchors.shape)}" if isinstance(anchors, np.ndarray) else "several arrays"
        raise RuntimeEngineError(f"{path} holds {seen}, expected anchors float32 [P, 4]", remedy=_REMEDY)
    return anchors


def _furthest(labels: np.ndarray) -> int:
    """The lowest label if it is negative, else the highest."""
    lowest = int(labels.min())
    return lowest if lowest < 0 else int(labels.max())


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
