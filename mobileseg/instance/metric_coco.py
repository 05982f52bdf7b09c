"""COCO's evaluation of boxes and masks: precision and recall by pycocotools, or by a faster package with equal numbers.

The definition (Lin et al., Microsoft COCO, ECCV 2014, and its reference code): for each class and IoU threshold
detections are taken in descending order of score, each claims the best object of its image that is still free and
overlaps it by at least the threshold; precision is made monotonous and read off at 101 recalls. Crowd regions, and
objects outside the area range, are neither hits nor misses.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from mobileseg.errors import DependencyError
from mobileseg.rle import area_of

BACKENDS = {"pycocotools": "pycocotools", "faster-coco-eval": "faster_coco_eval"}
"""Name of a backend -> package that it imports."""

_AREAS = ("all", "small", "medium", "large")  # as both packages order them; the borders are 32^2 and 96^2 pixels
_LIMITS = (1, 10, 100)  # detections per image and class
_IOU50, _IOU75 = 0, 5  # of the thresholds .50:.05:.95


@dataclass(frozen=True)
class PrecisionCurves:
    """What an evaluation measured; -1 where there is no object.

    Attributes:
        precision: float64 [10, 101, K, 4, 3] by IoU threshold, recall, class, area range and limit.
        recall: float64 [10, K, 4, 3], the highest recall that was reached.
    """

    precision: np.ndarray
    recall: np.ndarray

    def numbers(self) -> dict[str, float | None]:
        """COCO's twelve numbers; None where no object of the area range exists."""
        ap, ar = self.precision[:, :, :, :, -1], self.recall
        found = {
            "ap": _mean(ap[:, :, :, 0]),
            "ap50": _mean(ap[_IOU50, :, :, 0]),
            "ap75": _mean(ap[_IOU75, :, :, 0]),
        }
        found |= {f"ap_{name}": _mean(ap[:, :, :, area]) for area, name in enumerate(_AREAS) if area}
        found |= {f"ar{limit}": _mean(ar[:, :, 0, index]) for index, limit in enumerate(_LIMITS)}
        found |= {f"ar_{name}": _mean(ar[:, :, area, -1]) for area, name in enumerate(_AREAS) if area}
        return found

    def class_ap(self, index: int, threshold: int | None = None) -> float | None:
        """AP of a class over all thresholds or at one (0: IoU .50); None for a class without objects."""
        thresholds = slice(None) if threshold is None else threshold
        return _mean(self.precision[thresholds, :, index, 0, -1])


def _mean(values: np.ndarray) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def choose_backend(name: str = "auto") -> str:
    """The backend to use; 'auto' takes the fastest that is installed.

    Raises:
        DependencyError: it is not installed.
        ValueError: there is no such backend.
    """
    if name == "auto":
        return "faster-coco-eval" if find_spec("faster_coco_eval") else "pycocotools"
    if name not in BACKENDS:
        raise ValueError(f"no COCO evaluation is called {name!r}; there are {', '.join(BACKENDS)}")
    if not find_spec(BACKENDS[name]):
        raise DependencyError(f"the evaluation with {name} needs that package", remedy=f"pip install {name}")
    return name


def measure(
    truth: Mapping[str, Any], detections: Sequence[Mapping[str, Any]], kind: str, backend: str = "auto"
) -> PrecisionCurves:
    """Match detections with what was annotated.

    Args:
        truth: COCO dict with ``images``, ``annotations`` and ``categories``; it is not changed.
        detections: COCO results, each with ``image_id``, ``category_id``, ``score`` and ``bbox`` [x, y, w, h] or
            ``segmentation`` (RLE).
        kind: 'bbox' or 'segm'.
        backend: see :func:`choose_backend`.

    Raises:
        DependencyError: the backend is not installed.
    """
    name = choose_backend(backend)
    if name == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval as Evaluation
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as Evaluation
    with redirect_stdout(io.StringIO()):  # both print what they are doing
        sides = []
        for annotations in (_objects(truth, kind), _detected(detections, kind)):
            side = COCO()
            side.dataset = {
                "info": {},
                "images": [dict(image) for image in truth["images"]],
                "categories": [dict(category) for category in truth["categories"]],
                "annotations": annotations,
            }
            side.createIndex()
            sides.append(side)
        evaluation = Evaluation(*sides, kind)
        evaluation.evaluate()
        evaluation.accumulate()
    return PrecisionCurves(np.asarray(evaluation.eval["precision"]), np.asarray(evaluation.eval["recall"]))


def _objects(truth: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Annotations with ids from 1: to the reference code an object with id 0 is one that nothing has claimed."""
    keys = ("image_id", "category_id", "bbox", "area", "iscrowd") + (("segmentation",) if kind == "segm" else ())
    return [
        {"id": number, "iscrowd": 0} | {key: annotation[key] for key in keys if key in annotation}
        for number, annotation in enumerate(truth["annotations"], start=1)
    ]


def _detected(detections: Sequence[Mapping[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Detections with ids and areas. The area range of a mask is that of the mask, whatever its box."""
    found = []
    for number, one in enumerate(detections, start=1):
        entry = {key: one[key] for key in ("image_id", "category_id", "score")} | {"id": number, "iscrowd": 0}
        if kind == "segm":
            mask = one["segmentation"]
            entry |= {"segmentation": mask, "area": float(area_of(mask)), "bbox": [0, 0, 0, 0]}
        else:
            entry |= {"bbox": list(one["bbox"]), "area": float(one["bbox"][2] * one["bbox"][3])}
        found.append(entry)
    return found
