"""What `predict` shows and stores of a result; one class per task."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from mobileseg.data.io import write_png
from mobileseg.errors import ConfigError, DataError
from mobileseg.files import write_whole
from mobileseg.prediction.coco_results import coco_results, image_id_of
from mobileseg.structures import InstanceResult, SemanticResult
from mobileseg.viz.draw import class_shares, legend, overlay, with_legend, write_index_mask
from mobileseg.viz.draw_instances import instance_index, instance_overlay
from mobileseg.viz.palette import index_table, palette

MIN_SCORE = 0.3
"""Objects below it are left out of what is shown, unless the caller says otherwise."""


class Segments(Protocol):
    """What prediction needs of a segmenter; `Segmenter` has it, and the network's own."""

    @property
    def name(self) -> str: ...
    @property
    def engine_name(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def palette(self) -> np.ndarray: ...
    @property
    def category_ids(self) -> tuple[int, ...] | None: ...

    def __call__(self, image: np.ndarray, /) -> Any: ...


class Presenter(Protocol):
    """Shows results of one task."""

    def picture(self, image: np.ndarray, result: Any) -> np.ndarray:
        """The overlay of a single picture, uint8 [H, W, 3] RGB; it may be higher than the picture."""

    def frame(self, image: np.ndarray, result: Any) -> np.ndarray:
        """The overlay of a frame of a video; all have the same size."""

    def write_mask(self, path: Path, result: Any) -> None:
        """Write the index mask as PNG."""

    def facts(self, result: Any, name: str) -> dict[str, Any]:
        """What the JSON says of a picture beside source, model and times; ``name`` is the picture's."""

    def words(self, result: Any) -> str:
        """One line for people."""


def presenter(segmenter: Segments, *, alpha: float | None = None, min_score: float | None = None) -> Presenter:
    """The presenter of a segmenter's task.

    Args:
        segmenter: gives task, classes and colours.
        alpha: share of the colour in overlays, 0..1; None takes the task's own.
        min_score: objects below it are left out; None: `MIN_SCORE`.

    Raises:
        ConfigError: ``min_score`` for a semantic network.
    """
    if segmenter.task == "instance":
        return InstancePresenter(
            segmenter, 0.45 if alpha is None else alpha, MIN_SCORE if min_score is None else min_score
        )
    if min_score is not None:
        raise ConfigError(f"{segmenter.name} labels pixels, and a minimum score belongs to networks that find objects")
    return SemanticPresenter(segmenter, 0.55 if alpha is None else alpha)


class SemanticPresenter:
    """Class colours over the picture, a legend below it.

    Args:
        segmenter: gives classes and colours.
        alpha: share of the class colour, 0..1.
    """

    def __init__(self, segmenter: Segments, alpha: float) -> None:
        self._classes, self._palette, self._alpha = segmenter.classes, segmenter.palette, alpha
        self._strips: dict[int, np.ndarray] = {}

    def picture(self, image: np.ndarray, result: SemanticResult) -> np.ndarray:
        """The legend lists the classes that occur, with their shares."""
        strip = legend(image.shape[1], self._classes, self._palette, shares=self._shares(result))
        return with_legend(self._overlay(image, result), strip)

    def frame(self, image: np.ndarray, result: SemanticResult) -> np.ndarray:
        """The legend lists all classes, so that it is the same for all frames."""
        width = image.shape[1]
        if width not in self._strips:
            self._strips[width] = legend(width, self._classes, self._palette)
        return with_legend(self._overlay(image, result), self._strips[width])

    def write_mask(self, path: Path, result: SemanticResult) -> None:
        """Class indices, shown in class colours."""
        write_index_mask(path, result.labels, self._palette)

    def facts(self, result: SemanticResult, name: str) -> dict[str, Any]:
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

    def words(self, result: SemanticResult) -> str:
        """The three largest classes."""
        shares = self._shares(result)
        largest = [index for index in np.argsort(-shares)[:3] if shares[index] > 0]
        return ", ".join(f"{self._classes[index]} {shares[index]:.0%}" for index in largest)

    def _overlay(self, image: np.ndarray, result: SemanticResult) -> np.ndarray:
        return overlay(image, result.labels, self._palette, alpha=self._alpha)

    def _shares(self, result: SemanticResult) -> np.ndarray:
        return class_shares(result.labels, len(self._classes))


class InstancePresenter:
    """Masks, boxes and names over the picture; objects in COCO's results format.

    Args:
        segmenter: gives classes and colours.
        alpha: share of the colour inside of masks, 0..1.
        min_score: objects below it are left out everywhere.
    """

    def __init__(self, segmenter: Segments, alpha: float, min_score: float) -> None:
        self._classes, self._palette, self._alpha = segmenter.classes, segmenter.palette, alpha
        self._min_score = min_score
        self._category_ids = segmenter.category_ids

    def picture(self, image: np.ndarray, result: InstanceResult) -> np.ndarray:
        """The picture's own size: names stand in it."""
        shown = result.above(self._min_score)
        return instance_overlay(image, shown, self._classes, self._palette, alpha=self._alpha)

    def frame(self, image: np.ndarray, result: InstanceResult) -> np.ndarray:
        """As a picture."""
        return self.picture(image, result)

    def write_mask(self, path: Path, result: InstanceResult) -> None:
        """The number of the object at every pixel, 0 for none; in the order of the JSON."""
        index = instance_index(result.above(self._min_score))
        if index.dtype == np.uint8:
            colours = np.concatenate([np.zeros((1, 3), np.uint8), palette(255)])
            write_png(path, index, index_table(colours, ignore_index=-1))
            return
        _, encoded = cv2.imencode(".png", index)
        try:
            write_whole(path, encoded.tobytes())
        except OSError as error:
            raise DataError(f"cannot write {path}: {error.strerror or error}", remedy="check the disk") from error

    def facts(self, result: InstanceResult, name: str) -> dict[str, Any]:
        """Size, and the objects."""
        height, width = result.masks.size
        shown = result.above(self._min_score)
        return {
            "height": height,
            "width": width,
            "results": coco_results(shown, image_id_of(name), self._classes, self._category_ids),
        }

    def words(self, result: InstanceResult) -> str:
        """How many of what."""
        counts = Counter(self._classes[kind] for kind in result.above(self._min_score).classes)
        return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "nothing"
