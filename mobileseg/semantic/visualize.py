"""What showing results must know about semantic segmentation (the contract: :mod:`mobileseg.viz.task`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.errors import ConfigError
from mobileseg.semantic.drawing import class_shares, legend, overlay, with_legend
from mobileseg.structures import SemanticResult
from mobileseg.viz.mask_file import write_mask
from mobileseg.viz.task import Column, Curves, Model, ScoreTable, ShownScores

LOSS_PARTS: tuple[str, ...] = ()

OPACITY = 0.55


def visualizer(model: Model, *, opacity: float | None = None, min_score: float | None = None) -> SemanticVisualizer:
    """See :meth:`mobileseg.viz.task.Visualization.visualizer`."""
    if min_score is not None:
        raise ConfigError(
            f"{model.name} is a semantic segmentation model: a minimum score belongs to instance segmentation models",
            remedy="leave it out",
        )
    return SemanticVisualizer(model, OPACITY if opacity is None else opacity)


class SemanticVisualizer:
    """Class colours over the image, a legend below it.

    Args:
        model: gives classes and colours.
        opacity: of the class colours, 0..1.
    """

    note = ""

    def __init__(self, model: Model, opacity: float) -> None:
        self._classes, self._palette, self._opacity = model.classes, model.palette, opacity
        self._strips: dict[int, np.ndarray] = {}

    def image(self, image: np.ndarray, result: SemanticResult) -> np.ndarray:
        """The legend lists the classes that occur, with their shares."""
        strip = legend(image.shape[1], self._classes, self._palette, shares=self._shares(result))
        return with_legend(self._overlay(image, result), strip)

    def frame(self, image: np.ndarray, result: SemanticResult) -> np.ndarray:
        """The legend lists all classes, so that it is the same for all frames."""
        width = image.shape[1]
        if width not in self._strips:
            self._strips[width] = legend(width, self._classes, self._palette)
        return with_legend(self._overlay(image, result), self._strips[width])

    def example(self, image: np.ndarray, result: SemanticResult, *, names: bool = True) -> np.ndarray:
        """The overlay without a legend; labels have no names to write."""
        return self._overlay(image, result)

    def present(self, result: SemanticResult) -> np.ndarray:
        """Classes of at least one pixel."""
        return np.flatnonzero(self._shares(result))

    def write_mask(self, path: Path, result: SemanticResult) -> None:
        """Class indices, shown in class colours."""
        write_mask(path, result.labels, self._palette)

    def facts(self, result: SemanticResult, name: str | int) -> dict[str, Any]:
        """Size, and pixels per class."""
        labels = result.labels
        pixels = np.bincount(labels.ravel(), minlength=256)
        return {
            "height": int(labels.shape[0]),
            "width": int(labels.shape[1]),
            "classes": [
                {"index": i, "name": kind, "pixels": int(pixels[i]), "share": round(float(pixels[i]) / labels.size, 6)}
                for i, kind in enumerate(self._classes)
                if pixels[i]
            ],
        }

    def summary(self, result: SemanticResult) -> str:
        """The three largest classes."""
        shares = self._shares(result)
        largest = [index for index in np.argsort(-shares)[:3] if shares[index] > 0]
        return ", ".join(f"{self._classes[index]} {shares[index]:.0%}" for index in largest)

    def _overlay(self, image: np.ndarray, result: SemanticResult) -> np.ndarray:
        return overlay(image, result.labels, self._palette, opacity=self._opacity)

    def _shares(self, result: SemanticResult) -> np.ndarray:
        return class_shares(result.labels, len(self._classes))


def results_file(folder: Path) -> None:
    """None: a label map is a file of its own."""


def truth(sample: Any) -> SemanticResult | None:
    """The label of a sample as a result."""
    return None if sample.label is None else SemanticResult(np.asarray(sample.label, np.uint8))


def scores(scores: Mapping[str, Any]) -> ShownScores:
    """mIoU and accuracies; IoU and share of pixels per class."""
    headline = {"mean IoU": "miou", "pixel accuracy": "accuracy", "boundary IoU": "boundary_iou"}
    found = tuple((name, scores[key]) for name, key in headline.items() if key in scores)
    values = scores.get("class_iou")
    if not values:
        return ShownScores(found)
    names = [*(scores.get("classes") or ()), *(f"class {index}" for index in range(len(values)))]
    pixels = scores.get("class_pixels") or []
    total = sum(pixels)
    columns = [Column("IoU"), *([Column("share of pixels", "{:.1%}", minor=True)] if total else [])]
    rows = tuple(
        (str(names[index]), (value, pixels[index] / total) if total else (value,)) for index, value in enumerate(values)
    )
    means = {"mIoU": "miou", "Dice": "dice", "mean recall": "mean_accuracy", "kappa": "kappa"}
    note = ", ".join(f"{name} {scores[key]:.3f}" for name, key in means.items() if scores.get(key) is not None)
    table = ScoreTable("class", tuple(columns), rows, by_class=True)
    return ShownScores(found, (table,), f"{note}. Absent classes count in no mean.")


def curves(evals: Sequence[Mapping[str, Any]]) -> Curves:
    """mIoU over the evaluations."""
    return Curves("Validation mIoU", {"mIoU": [event.get("miou") for event in evals]})
