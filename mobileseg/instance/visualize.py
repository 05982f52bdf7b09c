"""What showing results must know about instance segmentation (the contract: :mod:`mobileseg.viz.task`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.instance.coco_results import CocoResultsFile, ImageIds, coco_results
from mobileseg.instance.drawing import instance_index, instance_overlay
from mobileseg.instance.track_files import TrackFiles
from mobileseg.structures import InstanceMasks, InstanceResult
from mobileseg.viz.mask_file import write_mask
from mobileseg.viz.palette import palette
from mobileseg.viz.task import Column, Curves, Model, ScoreTable, ShownScores

LOSS_PARTS = ("box", "class", "mask", "segm")

OPACITY = 0.45
MIN_SCORE = 0.3
"""Instances below it are not shown, unless the caller says otherwise."""

RESULTS_FILE = "coco_results.json"
"""All instances of all images in one file, beside the folders of results."""

_TWELVE = {
    "ap": "AP", "ap50": "AP50", "ap75": "AP75", "ap_small": "AP small", "ap_medium": "AP medium",
    "ap_large": "AP large", "ar1": "AR1", "ar10": "AR10", "ar100": "AR100", "ar_small": "AR small",
    "ar_medium": "AR medium", "ar_large": "AR large",
}  # fmt: skip


def visualizer(model: Model, *, opacity: float | None = None, min_score: float | None = None) -> InstanceVisualizer:
    """See :meth:`mobileseg.viz.task.Visualization.visualizer`."""
    return InstanceVisualizer(
        model, OPACITY if opacity is None else opacity, MIN_SCORE if min_score is None else min_score
    )


class InstanceVisualizer:
    """Masks, boxes and names over the image; instances in COCO's results format.

    Args:
        model: gives classes, colours and category ids.
        opacity: of the colour inside of masks, 0..1.
        min_score: instances below it are left out everywhere, 0..1; those of tracks are not.
    """

    def __init__(self, model: Model, opacity: float, min_score: float) -> None:
        self._classes, self._palette, self._opacity = model.classes, model.palette, opacity
        self._category_ids = model.category_ids
        self._min_score = min_score
        self._image_ids = ImageIds()
        self.note = f"Instances with a score of at least {min_score:g}."

    def image(self, image: np.ndarray, result: InstanceResult) -> np.ndarray:
        """The image's own size: names stand in it."""
        return self.example(image, result)

    def frame(self, image: np.ndarray, result: InstanceResult) -> np.ndarray:
        """As an image; the colours are those of the tracks where there are any."""
        return self.example(image, result)

    def example(self, image: np.ndarray, result: InstanceResult, *, names: bool = True) -> np.ndarray:
        """Masks and boxes, with names where they are wanted."""
        shown = self._shown(result)
        return instance_overlay(image, shown, self._classes, self._palette, opacity=self._opacity, names=names)

    def present(self, result: InstanceResult) -> np.ndarray:
        """Classes of the instances that are shown."""
        return np.unique(self._shown(result).classes)

    def write_mask(self, path: Path, result: InstanceResult) -> None:
        """The number of the instance at every pixel, 0 for none; in the order of the JSON."""
        colours = np.concatenate([np.zeros((1, 3), np.uint8), palette(255)])
        write_mask(path, instance_index(self._shown(result)), colours, ignore_index=-1)

    def facts(self, result: InstanceResult, name: str | int) -> dict[str, Any]:
        """Size, and the instances."""
        height, width = result.masks.size
        image_id = name if isinstance(name, int) else self._image_ids.of(name)
        results = coco_results(self._shown(result), image_id, self._classes, self._category_ids)
        return {"height": height, "width": width, "results": results}

    def summary(self, result: InstanceResult) -> str:
        """How many of what."""
        counts = Counter(self._classes[kind] for kind in self._shown(result).classes)
        return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "nothing"

    def _shown(self, result: InstanceResult) -> InstanceResult:
        """The tracker has chosen already: a track goes on through weaker frames."""
        return result if result.track_ids is not None else result.above(self._min_score)


def results_file(folder: Path) -> CocoResultsFile:
    """All instances of all images, for pycocotools."""
    return CocoResultsFile(folder / RESULTS_FILE)


def track_files(folder: Path, kinds: Collection[str], model: Model) -> TrackFiles:
    """See :meth:`mobileseg.viz.task.Visualization.track_files`."""
    return TrackFiles(folder, kinds, model.classes, model.category_ids)


def truth(sample: Any) -> InstanceResult | None:
    """Annotated instances as if they had been found, all with score 1; crowd regions are left out."""
    if sample.instances is None:
        return None
    real = sample.instances.select(~sample.instances.crowd)
    regions = [(region.top, region.left, region.bitmap.astype(bool)) for region in real.regions]
    return InstanceResult(
        boxes=real.boxes,
        scores=np.ones(len(real), np.float32),
        classes=real.classes,
        masks=InstanceMasks(real.size, regions),
    )


def scores(scores: Mapping[str, Any]) -> ShownScores:
    """Mask and box AP; the APs of every class; COCO's twelve numbers of masks and boxes."""
    mask, box = scores.get("mask"), scores.get("box")
    if not mask or not box:
        return ShownScores()
    headline = (("mask AP", mask["ap"]), ("mask AP50 (IoU .50)", mask["ap50"]), ("box AP", box["ap"]))
    twelve = ScoreTable(
        "",
        tuple(Column(title) for title in _TWELVE.values()),
        tuple((kind, tuple(scores[kind].get(key) for key in _TWELVE)) for kind in ("mask", "box")),
    )
    by_class = scores.get("class_ap") or {}
    columns = {"mask AP": "mask_ap", "mask AP50": "mask_ap50", "box AP": "box_ap"}
    counted = scores.get("class_objects")  # the log of a run does not keep them
    counts = [(count,) for count in counted] if counted else [()] * len(by_class)
    rows = tuple(
        (str(name), (*(row[key] for key in columns.values()), *count))
        for (name, row), count in zip(by_class.items(), counts, strict=True)
    )
    titles = (*map(Column, columns), *((Column("objects", "{:d}"),) if counted else ()))
    tables = (ScoreTable("class", titles, rows, by_class=True), twelve) if rows else (twelve,)
    note = (
        "AP: mean over IoU .50:.05:.95 as COCO defines it; AP50 counts an overlap of one half as a hit. Small, medium, "
        "large: below 32², below 96² pixels, above. Absent classes count in no mean."
    )
    return ShownScores(headline, tables, note)


def curves(evals: Sequence[Mapping[str, Any]]) -> Curves:
    """Mask and box AP over the evaluations."""
    shown = {"mask AP": ("mask", "ap"), "mask AP50": ("mask", "ap50"), "box AP": ("box", "ap")}
    values = {name: [(event.get(kind) or {}).get(key) for event in evals] for name, (kind, key) in shown.items()}
    return Curves("Validation AP", values)
