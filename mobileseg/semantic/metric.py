"""Segmentation metrics from one confusion matrix (NumPy).

Everything is accumulated over the whole set before dividing; nothing is averaged per image except the boundary sets
of the boundary IoU, which are per image by definition and accumulated too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from mobileseg.errors import DataError

BOUNDARY_RATIO = 0.02
"""Width of the boundary band as a share of the image diagonal (Cheng et al., Boundary IoU, CVPR 2021)."""


def _checked(name: str, array: np.ndarray) -> np.ndarray:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "ui":
        got = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        raise DataError(
            f"{name} must be an integer array of class indices, got {got}",
            remedy="take the argmax of scores, and do not rescale label maps",
        )
    return array


def _checked_pair(prediction: np.ndarray, label: np.ndarray) -> None:
    _checked("prediction", prediction)
    _checked("label", label)
    if prediction.shape != label.shape:
        raise DataError(
            f"prediction is {list(prediction.shape)} and label is {list(label.shape)}; labels are never resized for "
            "scoring",
            remedy="bring the prediction to the size of the label first",
        )


class ConfusionMatrix:
    """Counts of (true class, predicted class) over all scored pixels.

    Args:
        num_classes: K.
        ignore_index: label value of pixels that are not scored.

    Attributes:
        matrix: int64 [K, K], rows are the truth, columns the prediction.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.matrix = np.zeros((num_classes, num_classes), dtype=np.int64)

    def update(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Count the pixels of one image or of a batch.

        Args:
            prediction: integer, any shape, class indices.
            label: integer, the same shape, class indices or `ignore_index`.

        Raises:
            DataError: not integers, different shapes, or a class outside 0..K-1; nothing is counted then.
        """
        _checked_pair(prediction, label)
        k = self.num_classes
        scored = label != self.ignore_index
        truth = label[scored].astype(np.int64)
        guess = prediction[scored].astype(np.int64)
        for name, values in (("label", truth), ("prediction", guess)):
            if values.size and (values.min() < 0 or values.max() >= k):
                wrong = np.unique(values[(values < 0) | (values >= k)])
                raise DataError(
                    f"{name} holds the values {', '.join(map(str, wrong[:8]))} outside the classes 0..{k - 1}"
                    f" (ignored: {self.ignore_index})",
                    remedy="map the values with label_map in the dataset, or correct num_classes",
                )
        self.matrix += np.bincount(truth * k + guess, minlength=k * k).reshape(k, k)

    def merge(self, other: ConfusionMatrix) -> None:
        """Add the counts of another matrix of the same classes (another process or shard)."""
        if other.matrix.shape != self.matrix.shape:
            raise ValueError(f"cannot merge {other.num_classes} classes into {self.num_classes}")
        self.matrix += other.matrix


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, NaN where the denominator is zero."""
    result = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _listed(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def summary(matrix: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Scores of a confusion matrix.

    A class is *absent* when it has no pixel in the truth and none in the prediction: there is nothing to score, its
    entries are None and no mean counts it. A class without truth that was predicted scores 0 and is counted.

    Args:
        matrix: int64 [K, K], rows are the truth.
        classes: K names.

    Returns:
        ``miou``, ``dice`` (means over classes that are not absent), ``accuracy`` (pixels), ``mean_accuracy`` (mean
        recall of the classes in the truth), ``kappa`` (Cohen), per class ``class_iou``, ``class_dice``,
        ``class_accuracy`` (recall), ``class_precision``, ``class_pixels``, and ``absent``: names of absent classes.
        A mean over nothing is None.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] != len(classes):
        raise ValueError(f"expected a square matrix of {len(classes)} classes, got {list(matrix.shape)}")
    counts = matrix.astype(np.float64)
    hit, truth, guess = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    total = counts.sum()
    iou = _divide(hit, truth + guess - hit)
    dice = _divide(2 * hit, truth + guess)
    recall = _divide(hit, truth)
    accuracy = float(hit.sum() / total) if total else None
    kappa: float | None = None
    if accuracy is not None:
        chance = float((truth * guess).sum() / total**2)
        # One class alone, all right: agreement is complete and cannot be better than chance.
        kappa = (accuracy - chance) / (1 - chance) if chance < 1 else 1.0
    return {
        "miou": _mean(iou),
        "accuracy": accuracy,
        "mean_accuracy": _mean(recall),
        "dice": _mean(dice),
        "kappa": kappa,
        "class_iou": _listed(iou),
        "class_dice": _listed(dice),
        "class_accuracy": _listed(recall),
        "class_precision": _listed(_divide(hit, guess)),
        "class_pixels": [int(value) for value in truth],
        "absent": [name for name, value in zip(classes, iou, strict=True) if np.isnan(value)],
        "classes": list(classes),
    }


def inner_boundary(mask: np.ndarray, width: int) -> np.ndarray:
    """Pixels of a mask within `width` (chessboard distance) of its outline; the image border is part of the outline.

    Args:
        mask: bool [H, W].
        width: pixels, at least 1.

    Returns:
        bool [H, W].
    """
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]
    return mask & (eroded == 0)


class BoundaryIoU:
    """Boundary IoU, accumulated over images (Cheng et al., Boundary IoU, CVPR 2021).

    For every image and class the masks are replaced by their inner boundary bands; intersections and unions of the
    bands are summed over the set, then divided. Ignored pixels belong to neither mask.

    Args:
        num_classes: K.
        ignore_index: label value of pixels that are not scored.
        ratio: width of the band as a share of the image diagonal, at least one pixel.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255, ratio: float = BOUNDARY_RATIO) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.ratio = ratio
        self.intersection = np.zeros(num_classes, dtype=np.int64)
        self.union = np.zeros(num_classes, dtype=np.int64)

    def update(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Add one image: integer [H, W] class indices and labels.

        Raises:
            DataError: not integers, or different shapes.
        """
        _checked_pair(prediction, label)
        width = max(1, round(self.ratio * math.hypot(*label.shape)))
        scored = label != self.ignore_index
        for index in np.union1d(np.unique(prediction[scored]), np.unique(label[scored])):
            if index >= self.num_classes:
                continue
            truth = inner_boundary((label == index) & scored, width)
            guess = inner_boundary((prediction == index) & scored, width)
            self.intersection[index] += int((truth & guess).sum())
            self.union[index] += int((truth | guess).sum())

    def merge(self, other: BoundaryIoU) -> None:
        """Add the counts of another process or shard."""
        self.intersection += other.intersection
        self.union += other.union

    def summary(self) -> dict[str, Any]:
        """``boundary_iou`` (mean over classes with a boundary, None without any) and ``class_boundary_iou``."""
        values = _divide(self.intersection.astype(np.float64), self.union.astype(np.float64))
        return {"boundary_iou": _mean(values), "class_boundary_iou": _listed(values)}


def boundary_iou(
    prediction: np.ndarray,
    label: np.ndarray,
    num_classes: int,
    ignore_index: int = 255,
    ratio: float = BOUNDARY_RATIO,
) -> list[float | None]:
    """Boundary IoU of every class in one image; None for classes in neither map. See `BoundaryIoU`."""
    scores = BoundaryIoU(num_classes, ignore_index, ratio)
    scores.update(prediction, label)
    result: list[float | None] = scores.summary()["class_boundary_iou"]
    return result


def render_table(scores: Mapping[str, Any]) -> str:
    """Scores of `summary` (and optionally `BoundaryIoU.summary`) as text: one row per class, then the totals."""
    columns = [("IoU", "class_iou"), ("Dice", "class_dice"), ("recall", "class_accuracy"), ("prec.", "class_precision")]
    if "class_boundary_iou" in scores:
        columns.append(("bIoU", "class_boundary_iou"))
    names = [str(name) for name in scores["classes"]]
    width = max([len("class"), *(len(name) for name in names)])
    lines = [f"{'class':<{width}}" + "".join(f"{title:>9}" for title, _ in columns) + f"{'pixels':>12}"]
    for index, name in enumerate(names):
        cells = "".join(_cell(scores[key][index]) for _, key in columns)
        note = "  absent" if name in scores["absent"] else ""
        lines.append(f"{name:<{width}}{cells}{scores['class_pixels'][index]:>12}{note}")
    totals = [("mIoU", "miou"), ("Dice", "dice"), ("accuracy", "accuracy"), ("kappa", "kappa")]
    if "boundary_iou" in scores:
        totals.append(("boundary IoU", "boundary_iou"))
    lines.append("  ".join(f"{title} {_cell(scores[key]).strip()}" for title, key in totals))
    if scores["absent"]:
        lines.append(f"absent, not counted in the means: {', '.join(scores['absent'])}")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:>9.4f}"
