"""From the answers of queries and mask features to boxes, scores, classes and masks (NumPy and OpenCV).

A mask is the product of a kernel and the mask features of a frame. The product is made for the queries that are kept,
not for all of them, and enlarged where it can reach the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.instance.masks import enlarge_masks
from mobileseg.pixels import resize
from mobileseg.structures import InstanceMasks, InstanceResult
from mobileseg.video.mobileinst.options import QueryOptions

_FINER = 2
"""The published form enlarges masks to twice the grid before the sigmoid, and judges them there."""
_EPSILON = 1e-6


@dataclass(frozen=True)
class Answers:
    """What the queries of an image say, all of them.

    Attributes:
        kernels: float32 [Q, k].
        logits: float32 [Q, K] of the classes.
        objectness: float32 [Q], logits.
    """

    kernels: np.ndarray
    logits: np.ndarray
    objectness: np.ndarray

    @classmethod
    def of(cls, outputs: Mapping[str, np.ndarray]) -> Answers:
        """From the tensors ``kernels`` [1, Q, k], ``logits`` [1, Q, K] and ``objectness`` [1, Q, 1].

        Raises:
            RuntimeEngineError: one is missing, has another shape, or holds values that are no finite numbers.
        """
        arrays = {}
        for name in ("kernels", "logits", "objectness"):
            values = outputs.get(name)
            if values is None:
                raise RuntimeEngineError(f"the network returned {', '.join(sorted(outputs))}, and no '{name}'")
            if values.ndim != 3 or len(values) != 1:
                raise RuntimeEngineError(
                    f"'{name}' is {list(values.shape)}, expected three axes with a batch of 1", remedy="run one image"
                )
            _require_finite(name, values)
            arrays[name] = np.asarray(values[0], np.float32)
        shapes = {name: list(array.shape) for name, array in arrays.items()}
        if len({len(array) for array in arrays.values()}) != 1 or arrays["objectness"].shape[1] != 1:
            raise RuntimeEngineError(
                f"answers do not fit each other: {shapes}; expected [Q, k], [Q, classes] and [Q, 1]",
                remedy="export the folder again",
            )
        return cls(arrays["kernels"], arrays["logits"], arrays["objectness"][:, 0])

    def __len__(self) -> int:
        return len(self.kernels)

    @property
    def scores(self) -> np.ndarray:
        """float32 [Q]: root of the best class's probability times objectness."""
        best = self.logits.max(axis=1, initial=-np.inf)
        return np.sqrt(_sigmoid(best) * _sigmoid(self.objectness))

    @property
    def classes(self) -> np.ndarray:
        """int64 [Q], the best class of every query."""
        found: np.ndarray = self.logits.argmax(axis=1).astype(np.int64)
        return found

    def take(self, indices: np.ndarray) -> Answers:
        """The answers of some queries, in the order asked for."""
        return Answers(self.kernels[indices], self.logits[indices], self.objectness[indices])


def keep(scores: np.ndarray, options: QueryOptions | None = None) -> np.ndarray:
    """Queries whose masks are made, best first: int64 [n], indices into ``scores`` float32 [Q]."""
    options = options or QueryOptions()
    chosen = np.flatnonzero(scores > options.score_threshold)
    return chosen[np.argsort(-scores[chosen], kind="stable")][: options.max_detections]


def mask_features_of(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Mask features of a frame, float32 [k, h, w].

    Raises:
        RuntimeEngineError: they are missing, have another shape, or hold values that are no finite numbers.
    """
    values = outputs.get("mask_features")
    if values is None or values.ndim != 4 or len(values) != 1:
        seen = "is missing" if values is None else f"is {list(values.shape)}"
        raise RuntimeEngineError(f"'mask_features' {seen}, expected [1, k, h, w]", remedy="export the folder again")
    _require_finite("mask_features", values)
    return np.ascontiguousarray(values[0], np.float32)


def make_masks(
    kernels: np.ndarray,
    mask_features: np.ndarray,
    stride: int,
    input_size: tuple[int, int],
    size: tuple[int, int],
    options: QueryOptions | None = None,
) -> tuple[InstanceMasks, np.ndarray]:
    """Masks in the pixels of the image, and how sure they are.

    Args:
        kernels: float32 [n, k], of the queries that are kept.
        mask_features: float32 [k, h, w].
        stride: pixels of the network's input per cell of the mask features.
        input_size: (height, width) of the network's input.
        size: (height, width) of the image that the input was stretched from.
        options: ``mask_threshold`` and ``resize_twice``.

    Returns:
        Masks, and float32 [n]: the mean probability of the pixels above the threshold.

    Raises:
        RuntimeEngineError: kernels of another length than there are mask features.
    """
    options = options or QueryOptions()
    channels, height, width = mask_features.shape
    if kernels.shape[1] != channels:
        raise RuntimeEngineError(
            f"kernels are of length {kernels.shape[1]}, and there are {channels} mask features",
            remedy="export the folder again",
        )
    logits = (kernels @ mask_features.reshape(channels, -1)).reshape(-1, height, width)
    reach = height * stride, width * stride
    if options.resize_twice or reach != tuple(input_size):
        fine = np.stack([resize(one, (height * _FINER, width * _FINER)) for one in logits]) if len(logits) else logits
        probabilities = _sigmoid(fine)
        return _twice(probabilities, reach, input_size, size, options), foreground(probabilities, options)
    sure = foreground(_sigmoid(logits), options)
    boxes = _boxes_of_cells(logits, options.mask_threshold)
    return enlarge_masks(np.negative(logits, out=logits), boxes, size, options.mask_threshold), sure


def foreground(probabilities: np.ndarray, options: QueryOptions | None = None) -> np.ndarray:
    """Mean probability of the pixels of each mask [n, h, w] above the threshold, float32 [n]; 0 without such pixels."""
    options = options or QueryOptions()
    inside = probabilities > np.float32(options.mask_threshold)
    sums = np.where(inside, probabilities, 0).sum(axis=(1, 2), dtype=np.float32)
    return (sums / (inside.sum(axis=(1, 2)) + _EPSILON)).astype(np.float32)


def finish(
    answers: Answers,
    chosen: np.ndarray,
    mask_features: np.ndarray,
    stride: int,
    input_size: tuple[int, int],
    size: tuple[int, int],
    options: QueryOptions | None = None,
) -> tuple[InstanceResult, np.ndarray, np.ndarray]:
    """Instances of a frame from the kernels of this frame or of an earlier one.

    Args:
        answers: of all queries.
        chosen: int64 [n], queries that are kept (:func:`keep`).
        mask_features: float32 [k, h, w] of this frame.
        stride: as in :func:`make_masks`.
        input_size: as in :func:`make_masks`.
        size: (height, width) of the image.
        options: see :class:`~mobileseg.video.mobileinst.options.QueryOptions`.

    Returns:
        Objects, best first; int64 [n]: the query that each comes from; float32 [len(chosen)]: how sure the masks of the
        chosen queries are, in their order. Boxes are those of the masks; an object whose mask has no pixel is left out.

    Raises:
        RuntimeEngineError: see :func:`make_masks`.
    """
    options = options or QueryOptions()
    kept = answers.take(chosen)
    masks, sure = make_masks(kept.kernels, mask_features, stride, input_size, size, options)
    scores = kept.scores * sure if options.rescore else kept.scores
    boxes, filled = boxes_of(masks)
    order = np.argsort(-scores, kind="stable")
    order = order[filled[order]]
    result = InstanceResult(boxes[order], scores[order].astype(np.float32), kept.classes[order], masks.take(order))
    return result, np.asarray(chosen, np.int64)[order], sure


def instances_from_outputs(
    outputs: Mapping[str, np.ndarray],
    stride: int,
    input_size: tuple[int, int],
    size: tuple[int, int],
    options: QueryOptions | None = None,
) -> InstanceResult:
    """Everything for an image by itself.

    Args:
        outputs: ``mask_features`` [1, k, h, w], ``kernels`` [1, Q, k], ``logits`` [1, Q, K], ``objectness`` [1, Q, 1];
            float32.
        stride: as in :func:`make_masks`.
        input_size: (height, width) of the network's input.
        size: (height, width) of the image.
        options: see :class:`~mobileseg.video.mobileinst.options.QueryOptions`.

    Raises:
        RuntimeEngineError: shapes that do not fit each other, or values that are no finite numbers.
    """
    answers = Answers.of(outputs)
    chosen = keep(answers.scores, options)
    return finish(answers, chosen, mask_features_of(outputs), stride, input_size, size, options)[0]


def boxes_of(masks: InstanceMasks) -> tuple[np.ndarray, np.ndarray]:
    """Tight boxes float32 [n, 4] of masks, and bool [n]: which masks have a pixel."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, (top, left, bitmap) in zip(boxes, masks.regions, strict=True):
        x, y, width, height = cv2.boundingRect(np.ascontiguousarray(bitmap).view(np.uint8)) if bitmap.size else (0,) * 4
        box[:] = (left + x, top + y, left + x + width, top + y + height) if width else 0
    return boxes, boxes[:, 2] > boxes[:, 0]


def _boxes_of_cells(logits: np.ndarray, threshold: float) -> np.ndarray:
    """Boxes float32 [n, 4] (x1, y1, x2, y2 as shares of the grid) around the cells whose probability is above the
    threshold; no pixel that is more than a cell away from them can be."""
    height, width = logits.shape[1:]
    floor = np.float32(np.log(threshold / (1 - threshold))) if threshold > 0 else np.float32(-np.inf)
    boxes = np.zeros((len(logits), 4), np.float32)
    for box, one in zip(boxes, logits, strict=True):
        x, y, columns, rows = cv2.boundingRect((one >= floor).view(np.uint8))
        box[:] = (x / width, y / height, (x + columns) / width, (y + rows) / height)
    return boxes


def _twice(
    probabilities: np.ndarray,
    reach: tuple[int, int],
    input_size: tuple[int, int],
    size: tuple[int, int],
    options: QueryOptions,
) -> InstanceMasks:
    """Enlarged to all that the grid covers, cut to the input, resized to the image, compared."""
    regions = []
    for one in probabilities:
        whole = resize(one, reach)[: input_size[0], : input_size[1]]
        found = resize(np.ascontiguousarray(whole), size) > np.float32(options.mask_threshold)
        regions.append(InstanceMasks.from_array(found[None]).regions[0])
    return InstanceMasks(size, regions)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # exp of a large number is inf, and 1 / inf is the 0 that it should be
        found: np.ndarray = 1 / (1 + np.exp(-values, dtype=np.float32))
    return found


def _require_finite(name: str, values: np.ndarray) -> None:
    with np.errstate(invalid="ignore", over="ignore"):
        finite = np.isfinite(values.sum())  # whatever is infinite or NaN stays so in a sum
    if not finite:
        raise RuntimeEngineError(f"'{name}' holds values that are infinite or no numbers", remedy="check the weights")
