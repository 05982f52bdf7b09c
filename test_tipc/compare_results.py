"""Compare what two runs of `mobileseg predict` wrote for the same images: a network's, and an engine's.

Label images are compared pixel by pixel. Objects are paired: an object is found again when the other run has one of
its class, of nearly its score, whose box and mask it covers almost exactly; what one run alone has counts against both.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.data.io import read_label
from mobileseg.errors import DataError
from mobileseg.files import write_whole


@dataclass(frozen=True)
class Sameness:
    """When two objects of a class are taken for one.

    Attributes:
        score: largest difference of the scores.
        box: least IoU of the boxes.
        mask: least IoU of the masks.
    """

    score: float
    box: float
    mask: float


FLOAT = Sameness(score=1e-3, box=0.99, mask=0.98)  # a mask of 50 pixels may differ in one
SAME_PIXELS = 0.02  # twice what the numbers in the files are rounded to
INT8 = Sameness(score=0.1, box=0.5, mask=0.5)

DIFFERENT, UNUSABLE = 1, 2
"""Exit codes: the results differ; there is nothing to compare."""


class Unusable(Exception):
    """The two folders cannot be compared; the message says why."""


@dataclass(frozen=True)
class Agreement:
    """How far two runs agree.

    Attributes:
        kind: 'labels' or 'json' (objects).
        images: number of images.
        equal: share of equal pixels, or of objects found again, 0..1.
        count: pixels, or objects of both runs.
        classes: number of classes that occur in the reference.
        worst: the image that agrees least.
        worst_equal: its share.
    """

    kind: str
    images: int
    equal: float
    count: int
    classes: int
    worst: str
    worst_equal: float


Compared = tuple[int, int, set[int]]
"""Equal ones, all of them, classes of the reference."""


def compare(reference: Path, result: Path, kind: str, sameness: Sameness = FLOAT) -> Agreement:
    """Compare two folders of predictions.

    Args:
        reference: folder of the network's predictions.
        result: folder of an engine's.
        kind: 'labels' compares the PNG files of ``labels/``, 'json' the objects of ``json/``.
        sameness: of objects.

    Raises:
        Unusable: no images, others than in the reference, another size, or a reference that shows nothing.
    """
    suffix = {"labels": ".png", "json": ".json"}[kind]
    objects = partial(_objects, sameness=sameness)
    one: Callable[[Path, Path], Compared] = _labels if kind == "labels" else objects
    names = _names(reference / kind, suffix)
    if names != _names(result / kind, suffix):
        raise Unusable(f"{result} and {reference} do not hold the same images")
    found = {name: one(reference / kind / f"{name}{suffix}", result / kind / f"{name}{suffix}") for name in names}
    shares = {name: equal / count if count else 1.0 for name, (equal, count, _) in found.items()}
    classes = set().union(*(kinds for _, _, kinds in found.values()))
    # Agreement about nothing shows nothing: labels of one class, or no object at all.
    if len(classes) < (2 if kind == "labels" else 1):
        raise Unusable(f"{reference} shows {len(classes)} class(es): too little to compare")
    count = sum(count for _, count, _ in found.values())
    worst = min(shares, key=lambda name: shares[name])
    equal = sum(equal for equal, _, _ in found.values()) / count
    return Agreement(kind, len(names), equal, count, len(classes), worst, shares[worst])


def _names(folder: Path, suffix: str) -> list[str]:
    names = sorted(path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}"))
    if not names:
        raise Unusable(f"{folder} holds no {suffix} file")
    return names


def _labels(reference: Path, result: Path) -> Compared:
    try:
        one, other = read_label(reference), read_label(result)
    except DataError as error:
        raise Unusable(str(error)) from error
    if one.shape != other.shape:
        raise Unusable(f"{result} is {other.shape[1]}x{other.shape[0]}, {reference} {one.shape[1]}x{one.shape[0]}")
    return int(np.count_nonzero(one == other)), one.size, set(np.unique(one).tolist())


def _objects(reference: Path, result: Path, sameness: Sameness) -> Compared:
    one, other = (_entries(path) for path in (reference, result))
    pairs = _pairs(one, other, sameness)
    return 2 * pairs, len(one) + len(other), {int(entry["category_id"]) for entry in one}


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))["results"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable(f"{path} holds no objects: {error}") from error


def _pairs(one: list[dict[str, Any]], other: list[dict[str, Any]], sameness: Sameness) -> int:
    """Number of objects of ``one`` found again in ``other``, each of which is used once; the best score first."""
    if not one or not other:
        return 0
    boxes = coco_mask.iou([entry["bbox"] for entry in other], [entry["bbox"] for entry in one], [0] * len(one))
    masks = coco_mask.iou(
        [entry["segmentation"] for entry in other], [entry["segmentation"] for entry in one], [0] * len(one)
    )
    kinds, other_kinds = ([entry["category_id"] for entry in entries] for entries in (one, other))
    scores, other_scores = (np.array([entry["score"] for entry in entries]) for entries in (one, other))
    empty, other_empty = (_areas(entries) == 0 for entries in (one, other))
    same = np.equal.outer(np.array(other_kinds), np.array(kinds))
    same &= np.abs(np.subtract.outer(other_scores, scores)) <= sameness.score
    same &= (boxes >= sameness.box) | (_distances(other, one) <= SAME_PIXELS)
    same &= (masks >= sameness.mask) | np.logical_and.outer(other_empty, empty)
    used = np.zeros(len(other), np.bool_)
    for column in same.T:
        free = np.flatnonzero(column & ~used)
        used[free[:1]] = True
    return int(used.sum())


def _distances(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> np.ndarray:
    """Largest difference of x, y, width and height of every pair; boxes at the border may have no area, and no IoU."""
    boxes, others = (np.array([entry["bbox"] for entry in entries], np.float64) for entries in (one, other))
    distances: np.ndarray = np.abs(boxes[:, None] - others[None]).max(axis=2)
    return distances


def _areas(entries: list[dict[str, Any]]) -> np.ndarray:
    return np.asarray(coco_mask.area([entry["segmentation"] for entry in entries]))


def main() -> int:
    """Compare, print, write; 1 when too little is equal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", required=True, type=Path, help="what the network in Paddle gave")
    parser.add_argument("--result", required=True, type=Path, help="what the exported graph gave")
    parser.add_argument(
        "--kind", required=True, choices=("labels", "json"), help="labels (semantic) or json (instance)"
    )
    parser.add_argument("--min_equal", required=True, type=float, help="share that must be equal, 0 to 1")
    parser.add_argument("--int8", action="store_true", help="objects of IoU 0.5, scores within 0.1, are the same")
    parser.add_argument("--name", default="", help="of the engine, for the table")
    parser.add_argument("--json", type=Path, help="write the numbers there")
    args = parser.parse_args()
    try:
        agreement = compare(args.reference, args.result, args.kind, INT8 if args.int8 else FLOAT)
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    unit = "pixels" if agreement.kind == "labels" else "objects of both"
    print(
        f"{args.name or args.result}: {agreement.equal:.6f} of {agreement.count} {unit} equal in {agreement.images} "
        f"images, {agreement.classes} classes; least in {agreement.worst}: {agreement.worst_equal:.6f}"
    )
    if args.json:
        write_whole(args.json, json.dumps({"engine": args.name, **asdict(agreement)}, indent=1) + "\n")
    if agreement.equal < args.min_equal:
        print(f"error: at least {args.min_equal} must be equal", file=sys.stderr)
        return DIFFERENT
    return 0


if __name__ == "__main__":
    sys.exit(main())
