"""What is kept of an image on which a network detects, and when two sets of detections are the same.

In golden.npz, for the item ``i``, beside what :mod:`mobileseg.export.golden` lists:

- ``rows.i`` int32 [R]: the anchors at which ``output.i.loc``, ``.conf`` and ``.mask`` are kept: those that can
  become a detection, best first, and every so many-th of the others; ``complete.i`` says whether none of the former
  had to be left out;
- ``output.i.proto`` at every ``proto_stride.i``-th pixel;
- ``result.i.boxes`` float32 [n,4] pixels, ``.scores`` float32 [n], ``.classes`` int64 [n], ``.masks`` uint8
  [n, ceil(h*w/8)], rows of bits: the detections in the image;
- ``result.i.sure`` bool [n] and ``result.i.unsteady`` int64 [n], ``other.i.boxes``, ``other.i.classes``: see below.

**The rule.** Which boxes survive is decided by comparisons: of a score with a threshold, of an overlap with a
threshold, of two scores with each other. An engine that differs by the permitted rounding may decide the close ones
otherwise. Which these are is tried out: the network's own outputs are changed `SHAKES` times at random, every value
by up to twice the permitted difference, and put through NMS again. A detection is *sure* when it comes out every time;
a detection that comes out only of changed outputs is *possible*. An engine must then give

- every sure detection: same class, corners within `_CORNERS` of the image's longer side (at least a pixel), score
  within three times the permitted difference (at least 1e-3);
- no detection beyond those of the network and the possible ones;
- masks that differ by at most 1 % of the mask's pixels, 4 pixels, or what the changes did to it, whichever is most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from mobileseg.export.golden import GoldenItem, Reference, loaded_fields, named, stride_for, subsample
from mobileseg.export.task import NEEDED_CLASSES
from mobileseg.export.tolerance import LIMIT
from mobileseg.structures import InstanceMasks, InstanceResult

SHAKES = 12
_CORNERS = 0.005
_ROW_BYTES = {True: 450_000, False: 120_000}  # of loc, conf and mask together, by whether it is the first item
_PROTO_BYTES = {True: 2_500_000, False: 40_000}
_INPUT_BYTES = {True: 200_000, False: 50_000}
_SPOT_CHECKS = 64  # rows of anchors that detect nothing
PER_ANCHOR = ("loc", "conf", "mask")

Item = TypeVar("Item", bound="InstanceItem")


@dataclass(frozen=True, kw_only=True)
class InstanceItem(GoldenItem):
    """One image with its detections; arrays as in the module's list.

    Attributes:
        result: the detections, in the image's pixels.
        sure: bool [n].
        unsteady: int64 [n], pixels of each mask that may differ.
        other: boxes float32 [m,4] and classes int64 [m] of the possible detections.
        candidates: anchors that can become a detection, best first; of outputs that are whole.
        rows: anchors that the outputs are kept at, None when they are whole.
        complete: no candidate is left out of them.
        proto_stride: of the prototypes.
        raw: raw predictions, where the outputs are others; they are not stored.
    """

    result: InstanceResult
    sure: np.ndarray
    unsteady: np.ndarray
    other: tuple[np.ndarray, np.ndarray]
    candidates: np.ndarray
    rows: np.ndarray | None = None
    complete: bool = True
    proto_stride: int = 1
    raw: dict[str, np.ndarray] = field(default_factory=dict)

    def shown(self) -> set[int]:
        return set(np.unique(self.result.classes).tolist())

    def richness(self) -> int:
        return len(self.result)

    def sampled(self, name: str, value: np.ndarray) -> np.ndarray:
        """The part of an engine's output that there is a reference for."""
        if name == "proto":
            return subsample(value, self.proto_stride)
        return value if self.rows is None or name not in PER_ANCHOR else value[:, self.rows]

    def whole(self, anchors: int) -> dict[str, np.ndarray]:
        """``loc``, ``conf`` and ``mask`` for all anchors; those that are not kept are background."""
        values = {name: self.outputs[name] for name in PER_ANCHOR}
        if self.rows is None:
            return values
        filled = {}
        for name, value in values.items():
            array = np.zeros((1, anchors, value.shape[2]), np.float32)
            if name == "conf":
                array[..., 0] = 1.0
            array[:, self.rows] = value
            filled[name] = array
        return filled

    def stored(self, first: bool) -> dict[str, np.ndarray]:
        proto_stride = stride_for(self.outputs["proto"].nbytes, _PROTO_BYTES[first])
        arrays = self.detections(first) | {
            "proto_stride": np.array(proto_stride),
            "output.proto": subsample(self.outputs["proto"], proto_stride),
        }
        if "loc" in self.outputs:
            rows, complete = self._kept_rows(_ROW_BYTES[first])
            arrays |= {"rows": rows.astype(np.int32), "complete": np.array(complete)}
            arrays |= {f"output.{name}": self.outputs[name][:, rows] for name in PER_ANCHOR}
        else:
            arrays |= {f"output.{name}": value for name, value in self.outputs.items() if name != "proto"}
        return arrays

    def detections(self, first: bool) -> dict[str, np.ndarray]:
        """What :meth:`stored` keeps whatever the raw outputs are: image, input, detections, scales."""
        stride = stride_for(self.input.nbytes, _INPUT_BYTES[first])
        height, width = self.image.shape[:2]
        masks = self.result.masks.to_array().reshape(len(self.result), height * width)
        arrays = {
            "stride": np.array(stride),
            "image": self.image,
            "input": subsample(self.input, stride),
            "result.boxes": self.result.boxes,
            "result.scores": self.result.scores,
            "result.classes": self.result.classes,
            "result.masks": np.packbits(masks, axis=1),
            "result.sure": self.sure,
            "result.unsteady": self.unsteady,
            "other.boxes": self.other[0],
            "other.classes": self.other[1],
        }
        return arrays | {f"scale.{name}": np.array(scale) for name, scale in self.scales.items()}

    def _kept_rows(self, budget: int) -> tuple[np.ndarray, bool]:
        count = self.outputs["loc"].shape[1]
        width = sum(self.outputs[name].shape[2] for name in PER_ANCHOR)
        room = max(1, budget // (4 * width) - _SPOT_CHECKS)
        spots = np.arange(0, count, max(1, count // _SPOT_CHECKS))
        rows = np.union1d(self.candidates[:room], spots)
        return rows, len(self.candidates) <= room


def load(arrays: Mapping[str, np.ndarray], kind: type[Item] = InstanceItem) -> Item:  # type: ignore[assignment]
    """An item of golden.npz; raises KeyError or ValueError where the file is damaged."""
    image, found = arrays["image"], named(arrays, "result")
    height, width = image.shape[:2]
    bits = np.unpackbits(found["masks"], axis=1, count=height * width)
    masks = InstanceMasks.from_array(bits.reshape(len(bits), height, width).astype(bool))
    return kind(
        **loaded_fields(arrays),
        result=InstanceResult(found["boxes"], found["scores"], found["classes"], masks),
        sure=found["sure"],
        unsteady=found["unsteady"],
        other=(arrays["other.boxes"], arrays["other.classes"]),
        candidates=np.zeros(0, np.int64),
        rows=arrays.get("rows"),
        complete=bool(arrays.get("complete", True)),
        proto_stride=int(arrays.get("proto_stride", 1)),
    )


@dataclass(frozen=True)
class Pairs:
    """Detections of two results that are the same.

    Attributes:
        first: int64 [p], indices into the first result.
        second: int64 [p].
    """

    first: np.ndarray
    second: np.ndarray

    def left_of(self, count: int, second: bool = False) -> np.ndarray:
        """Indices without a partner, of a result of ``count`` detections."""
        return np.setdiff1d(np.arange(count), self.second if second else self.first)


def pair(first: InstanceResult, second: InstanceResult, score_scale: float) -> Pairs:
    """Partners by the module's rule, the closest first."""
    side = max(first.masks.size)
    distance = np.abs(first.boxes[:, None] - second.boxes[None]).max(axis=2, initial=0)
    scores = np.abs(first.scores[:, None] - second.scores[None])
    fits = first.classes[:, None] == second.classes[None]
    fits &= distance <= max(1.0, _CORNERS * side)
    fits &= scores <= max(1e-3, 3 * LIMIT * score_scale)
    rows, columns = np.nonzero(fits)
    order = np.argsort(distance[rows, columns] / side + scores[rows, columns], kind="stable")
    taken: tuple[list[int], list[int]] = ([], [])
    for index in order:
        row, column = int(rows[index]), int(columns[index])
        if row not in taken[0] and column not in taken[1]:
            taken[0].append(row)
            taken[1].append(column)
    return Pairs(np.array(taken[0], np.int64), np.array(taken[1], np.int64))


def mask_differences(first: InstanceResult, second: InstanceResult, pairs: Pairs) -> np.ndarray:
    """Pixels by which the masks of each pair differ, int64 [p]."""
    return np.array(
        [
            np.count_nonzero(first.masks[int(one)] ^ second.masks[int(other)])
            for one, other in zip(pairs.first, pairs.second, strict=True)
        ],
        np.int64,
    )


def steadied(item: InstanceItem, shaken: list[InstanceResult], score_scale: float) -> InstanceItem:
    """The item with what changed outputs say about its detections.

    Args:
        item: with its result.
        shaken: results of changed outputs.
        score_scale: standard deviation of the scores.
    """
    count = len(item.result)
    sure, unsteady = np.ones(count, np.bool_), np.zeros(count, np.int64)
    boxes, classes = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.int64)]
    for result in shaken:
        pairs = pair(item.result, result, score_scale)
        sure[pairs.left_of(count)] = False
        np.maximum.at(unsteady, pairs.first, mask_differences(item.result, result, pairs))
        new = pairs.left_of(len(result), second=True)
        boxes.append(result.boxes[new])
        classes.append(result.classes[new])
    found, kinds = np.concatenate(boxes), np.concatenate(classes)
    _, first = np.unique(np.column_stack([kinds, np.rint(found)]), axis=0, return_index=True)
    return replace(item, sure=sure, unsteady=unsteady, other=(found[first], kinds[first]))


def weakness(reference: Reference, num_classes: int) -> str:
    """Why a reference proves little, '' when it does not: without objects a network agrees with every graph without.

    See `mobileseg.export.task.ExportTask.weakness`.
    """
    present, needed = len(reference.classes_present), min(NEEDED_CLASSES, num_classes)
    if present >= needed:
        return ""
    count = sum(len(item.result) for item in reference.items)
    return (
        f"weak verification: on {reference.source} the network finds {count} objects of {present} of its "
        f"{num_classes} classes; at least {needed} are needed to tell a right graph from a wrong one"
    )


def disagreements(item: InstanceItem, result: InstanceResult, masks: bool = True) -> tuple[int, int, list[str]]:
    """Compare an engine's detections with the network's by the module's rule.

    Args:
        item: of the reference.
        result: the engine's detections.
        masks: compare the masks too.

    Returns:
        Detections found again, detections of both in all, and what breaks the rule.
    """
    own = item.result
    pairs = pair(own, result, item.scales.get("conf", 0.0))
    problems = []
    missing = [int(index) for index in pairs.left_of(len(own)) if item.sure[index]]
    if missing:
        problems.append(f"{len(missing)} of {len(own)} detections are missing, the first is {_named(own, missing[0])}")
    extra = [int(index) for index in pairs.left_of(len(result), second=True) if not _possible(item, result, index)]
    if extra:
        problems.append(
            f"{len(extra)} of {len(result)} detections are not the network's, the first is {_named(result, extra[0])}"
        )
    if not masks:
        return len(pairs.first), len(own) + len(result) - len(pairs.first), problems
    off = mask_differences(own, result, pairs)
    allowed = np.maximum(np.maximum(item.unsteady, own.masks.areas() // 100), 4)[pairs.first]
    wrong = np.flatnonzero(off > allowed)
    if len(wrong):
        worst = wrong[off[wrong].argmax()]
        problems.append(
            f"{len(wrong)} of {len(off)} masks differ, most that of {_named(own, int(pairs.first[worst]))}: "
            f"{off[worst]} pixels (allowed {allowed[worst]})"
        )
    return len(pairs.first), len(own) + len(result) - len(pairs.first), problems


def _possible(item: InstanceItem, result: InstanceResult, index: int) -> bool:
    boxes, classes = item.other
    near = np.abs(boxes - result.boxes[index]).max(axis=1, initial=0) <= max(1.0, _CORNERS * max(result.masks.size))
    return bool((near & (classes == result.classes[index])).any())


def _named(result: InstanceResult, index: int) -> str:
    box = ", ".join(f"{value:.0f}" for value in result.boxes[index])
    return f"class {result.classes[index]} with score {result.scores[index]:.3f} at [{box}]"
