"""From the raw predictions of an instance segmentation model to boxes, scores, classes and masks (NumPy and OpenCV)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.instance.anchors import VARIANCES, decode
from mobileseg.instance.masks import assemble_masks
from mobileseg.instance.nms import Kept, cross_class_nms, fast_nms, traditional_nms
from mobileseg.instance.options import DetectionOptions
from mobileseg.structures import InstanceResult

__all__ = [
    "DetectionOptions",
    "Detections",
    "detect",
    "finish",
    "instances_from_outputs",
    "nms_detections",
    "pixel_boxes",
]


@dataclass(frozen=True)
class Detections:
    """Instances before their masks are made, best first.

    Attributes:
        boxes: float32 [n, 4], x1, y1, x2, y2 in normalised coordinates, as predicted: they may lie outside of 0..1.
        scores: float32 [n], descending.
        classes: int64 [n].
        coefficients: float32 [n, k] of the prototypes.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    coefficients: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


def instances_from_outputs(
    outputs: Mapping[str, np.ndarray],
    anchors: np.ndarray,
    size: tuple[int, int],
    options: DetectionOptions | None = None,
    variances: tuple[float, float] = VARIANCES,
    *,
    input_size: tuple[int, int] | None = None,
) -> InstanceResult:
    """Everything: NMS, masks, boxes in pixels.

    Args:
        outputs: ``loc`` [1, P, 4], ``conf`` [1, P, K + 1] after softmax with the background first, ``mask``
            [1, P, k], ``proto`` [1, k, h, w]; float32.
        anchors: float32 [P, 4], see :func:`mobileseg.instance.anchors.make_anchors`.
        size: (height, width) of the image that the network's input was stretched from.
        options: see :class:`DetectionOptions`.
        variances: of the coding of the boxes.
        input_size: (height, width) of the network's input; only ``inclusive_pixels`` asks for it.

    Raises:
        RuntimeEngineError: shapes that do not fit each other, or predictions that are no numbers.
    """
    options = options or DetectionOptions()
    found = detect(outputs, anchors, options, variances, input_size=input_size)
    return finish(found, _single(outputs, "proto", 3), size, options)


def detect(
    outputs: Mapping[str, np.ndarray],
    anchors: np.ndarray,
    options: DetectionOptions | None = None,
    variances: tuple[float, float] = VARIANCES,
    *,
    input_size: tuple[int, int] | None = None,
) -> Detections:
    """Decoded boxes that survive thresholds and NMS.

    Only anchors whose best class is above ``score_threshold`` are decoded.

    Args:
        outputs: ``loc``, ``conf`` and ``mask`` as in :func:`instances_from_outputs`.
        anchors: float32 [P, 4].
        options: see :class:`DetectionOptions`.
        variances: of the coding of the boxes.
        input_size: (height, width) of the network's input, in whose pixels ``inclusive_pixels`` counts.

    Raises:
        RuntimeEngineError: shapes that do not fit each other, or predictions that are no numbers.
        ValueError: ``inclusive_pixels`` without ``input_size``.
    """
    options = options or DetectionOptions()
    loc, conf, mask = (_single(outputs, name, 2) for name in ("loc", "conf", "mask"))
    _check_predictions(loc, conf, mask, anchors)
    chosen = np.flatnonzero(_best_scores(conf[:, 1:]) > options.score_threshold)
    with np.errstate(over="ignore"):
        boxes = decode(loc[chosen], anchors[chosen], variances)
    if np.isnan(boxes).any():
        raise _not_numbers("loc")
    kept = _nms(boxes, conf[chosen, 1:], options, input_size)
    return Detections(
        boxes[kept.indices], kept.scores, kept.classes, np.asarray(mask[chosen[kept.indices]], np.float32)
    )


_MOST_CLASSES = np.float32(2**31)
"""Labels from here on are one label, which is no class."""


def nms_detections(
    detections: np.ndarray, coefficients: np.ndarray, options: DetectionOptions | None = None
) -> Detections:
    """From a graph that ends with NMS.

    Args:
        detections: [M, 6] or [1, M, 6]: class, score, x1, y1, x2, y2 in normalised coordinates, descending in score;
            rows of a negative class are padding.
        coefficients: [M, k] or [1, M, k].
        options: ``max_detections`` of them are kept.

    Raises:
        RuntimeEngineError: other shapes, or detections that are no numbers.
    """
    options = options or DetectionOptions()
    rows = detections[0] if detections.ndim == 3 and len(detections) == 1 else detections
    weights = coefficients[0] if coefficients.ndim == 3 and len(coefficients) == 1 else coefficients
    if rows.ndim != 2 or rows.shape[1] != 6 or weights.ndim != 2 or len(rows) != len(weights):
        raise RuntimeEngineError(
            f"the graph returned detections {list(detections.shape)} and coefficients {list(coefficients.shape)}, "
            "expected [M, 6] and [M, k]",
            remedy="export the folder again",
        )
    real = np.flatnonzero(~(rows[:, 0] < 0))  # a class that is no number is no padding
    if np.isnan(rows[real]).any():
        raise _not_numbers("detections")
    real = real[np.argsort(-rows[real, 1], kind="stable")][: options.max_detections]
    rows = np.asarray(rows[real], np.float32)
    labels = np.minimum(rows[:, 0], _MOST_CLASSES).astype(np.int64)  # a cast of more than int64 holds is undefined
    return Detections(rows[:, 2:], rows[:, 1], labels, np.asarray(weights[real], np.float32))


def finish(
    found: Detections, prototypes: np.ndarray, size: tuple[int, int], options: DetectionOptions | None = None
) -> InstanceResult:
    """Masks and boxes in the pixels of the image.

    Args:
        found: what is to be drawn.
        prototypes: float32 [k, h, w].
        size: (height, width) of the image.
        options: ``mask_threshold`` and ``truncate_boxes``.

    Raises:
        RuntimeEngineError: another number of prototypes than of coefficients, none, or either are no finite numbers.
    """
    options = options or DetectionOptions()
    if prototypes.shape[0] != found.coefficients.shape[1] or not prototypes.size:
        raise RuntimeEngineError(
            f"the graph returned {prototypes.shape[0]} prototypes and {found.coefficients.shape[1]} coefficients",
            remedy="export the folder again",
        )
    prototypes = np.ascontiguousarray(prototypes, dtype=np.float32)
    for name, values in (("prototypes", prototypes), ("coefficients", found.coefficients)):
        with np.errstate(invalid="ignore"):
            finite = np.isfinite(values.sum())  # whatever is infinite or NaN stays so in a sum
        if not finite:
            raise _not_numbers(name, "infinite or ")
    masks = assemble_masks(prototypes, found.coefficients, found.boxes, size, options.mask_threshold)
    return InstanceResult(pixel_boxes(found.boxes, size, options.truncate_boxes), found.scores, found.classes, masks)


def pixel_boxes(boxes: np.ndarray, size: tuple[int, int], truncate: bool = False) -> np.ndarray:
    """Boxes in the pixels of the image, cut to it, x1 <= x2 and y1 <= y2; float32 [n, 4].

    Args:
        boxes: float32 [n, 4], x1, y1, x2, y2 in normalised coordinates, corners in any order.
        size: (height, width) of the image.
        truncate: cut to whole pixels.
    """
    scaled = boxes * np.array([size[1], size[0], size[1], size[0]], np.float32)
    low, high = np.minimum(scaled[:, :2], scaled[:, 2:]), np.maximum(scaled[:, :2], scaled[:, 2:])
    limits = np.array([size[1], size[0]], np.float32)
    found = np.concatenate([np.clip(low, 0, limits), np.clip(high, 0, limits)], axis=1).astype(np.float32)
    return np.floor(found) if truncate else found


def _best_scores(scores: np.ndarray) -> np.ndarray:
    """The highest score of every row, float32 [P]; OpenCV takes a third of NumPy's time for it."""
    if scores.size == 0:
        return np.zeros(len(scores), np.float32)
    best: np.ndarray = cv2.reduce(np.asarray(scores, np.float32), 1, cv2.REDUCE_MAX).reshape(-1)
    return best


def _nms(boxes: np.ndarray, scores: np.ndarray, options: DetectionOptions, input_size: tuple[int, int] | None) -> Kept:
    common = {"iou_threshold": options.iou_threshold, "max_detections": options.max_detections}
    if options.nms == "cross_class":
        return cross_class_nms(boxes, scores, top_k=options.top_k, **common)  # type: ignore[arg-type]
    if options.nms == "fast":
        # A box below the threshold can drop only lower ones, so it may as well be left out beforehand.
        floor = options.score_threshold if options.threshold_after_nms else None
        return fast_nms(boxes, scores, top_k=options.top_k, floor=floor, **common)  # type: ignore[arg-type]
    if options.inclusive_pixels:
        if input_size is None:
            raise ValueError("inclusive_pixels counts in pixels of the network's input: input_size is missing")
        boxes = boxes * np.array([input_size[1], input_size[0]] * 2, np.float32)
    return traditional_nms(
        boxes,
        scores,
        floor=options.score_threshold,
        inclusive=options.inclusive_pixels,
        **common,  # type: ignore[arg-type]
    )


def _single(outputs: Mapping[str, np.ndarray], name: str, axes: int) -> np.ndarray:
    """The only element of a batch."""
    if name not in outputs:
        raise RuntimeEngineError(f"the network returned {', '.join(sorted(outputs))}, and no '{name}'")
    values = outputs[name]
    if values.ndim != axes + 1 or len(values) != 1:
        raise RuntimeEngineError(
            f"'{name}' is {list(values.shape)}, expected {axes + 1} axes with a batch of 1", remedy="run one image"
        )
    return values[0]


def _check_predictions(loc: np.ndarray, conf: np.ndarray, mask: np.ndarray, anchors: np.ndarray) -> None:
    count = len(anchors)
    if anchors.ndim != 2 or anchors.shape[1] != 4 or loc.shape != (count, 4) or {len(conf), len(mask)} != {count}:
        raise RuntimeEngineError(
            f"predictions do not fit the anchors {list(anchors.shape)}: loc {list(loc.shape)}, conf "
            f"{list(conf.shape)}, mask {list(mask.shape)}; expected [P, 4], [P, classes + 1] and [P, k]",
            remedy="take the anchors of this network at this input size, or export the folder again",
        )
    if np.isnan(conf.sum()):
        raise _not_numbers("conf")


def _not_numbers(name: str, also: str = "") -> RuntimeEngineError:
    return RuntimeEngineError(f"'{name}' holds values that are {also}no numbers (NaN)", remedy="check the weights")
