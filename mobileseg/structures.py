"""What the suite returns for an image, whatever network and engine produced it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mobileseg.rle import encode_region


@dataclass(frozen=True)
class SemanticResult:
    """A label for every pixel.

    Attributes:
        labels: uint8 [H, W], class index of every pixel of the image as it was given.
        scores: float32 [K, H, W] class probabilities, or None when the graph gives labels only.
        times: milliseconds per stage ('preprocess', 'inference', 'postprocess').
    """

    labels: np.ndarray
    scores: np.ndarray | None = None
    times: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or self.labels.dtype != np.uint8:
            raise ValueError(f"labels must be uint8 [H, W], got {self.labels.dtype} {list(self.labels.shape)}")


class InstanceMasks:
    """Masks of the instances of one image, each kept as the bitmap of a region with nothing outside of it.

    A region need not be tight, and it may be empty. Indexing with an integer gives a whole bitmap, bool [H, W].

    Args:
        size: (height, width) of the image.
        regions: (top, left, bool [h, w]) per instance, inside the image.

    Raises:
        ValueError: a region that is not bool [h, w], or not inside the image.
    """

    def __init__(self, size: tuple[int, int], regions: Sequence[tuple[int, int, np.ndarray]] = ()) -> None:
        self.size = int(size[0]), int(size[1])
        self.regions = list(regions)
        for top, left, bitmap in self.regions:
            if bitmap.dtype != np.bool_ or bitmap.ndim != 2:
                raise ValueError(f"a region must be bool [h, w], got {bitmap.dtype} {list(bitmap.shape)}")
            bottom, right = top + bitmap.shape[0], left + bitmap.shape[1]
            if top < 0 or left < 0 or bottom > self.size[0] or right > self.size[1]:
                raise ValueError(
                    f"the region of rows {top}..{bottom} and columns {left}..{right} is not inside the image of "
                    f"{self.size[0]}x{self.size[1]} (height x width)"
                )

    @classmethod
    def from_array(cls, masks: np.ndarray) -> InstanceMasks:
        """From whole bitmaps [n, H, W], bool or 0 and 1; the regions are tight.

        Raises:
            ValueError: not three axes.
        """
        if masks.ndim != 3:
            raise ValueError(f"masks must be [n, H, W], got {list(masks.shape)}")
        regions = []
        for mask in masks.astype(bool, copy=False):
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            if len(rows) == 0:
                regions.append((0, 0, np.zeros((0, 0), np.bool_)))
                continue
            top, left = int(rows[0]), int(columns[0])
            regions.append((top, left, mask[top : rows[-1] + 1, left : columns[-1] + 1].copy()))
        return cls((masks.shape[1], masks.shape[2]), regions)

    def __len__(self) -> int:
        return len(self.regions)

    def __getitem__(self, index: int) -> np.ndarray:
        """The whole bitmap of one instance, bool [H, W]."""
        top, left, bitmap = self.regions[index]
        mask = np.zeros(self.size, np.bool_)
        mask[top : top + bitmap.shape[0], left : left + bitmap.shape[1]] = bitmap
        return mask

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def take(self, indices: Sequence[int] | np.ndarray) -> InstanceMasks:
        """The masks of some instances, in the order asked for."""
        return InstanceMasks(self.size, [self.regions[int(index)] for index in indices])

    def areas(self) -> np.ndarray:
        """Pixels of every mask, int64 [n]."""
        return np.array([np.count_nonzero(bitmap) for _, _, bitmap in self.regions], np.int64)

    def to_array(self) -> np.ndarray:
        """Whole bitmaps, bool [n, H, W]."""
        masks = np.zeros((len(self), *self.size), np.bool_)
        for mask, (top, left, bitmap) in zip(masks, self.regions, strict=True):
            mask[top : top + bitmap.shape[0], left : left + bitmap.shape[1]] = bitmap
        return masks

    def to_rle(self) -> list[dict[str, object]]:
        """COCO's compressed run-length encoding: ``{"size": [H, W], "counts": str}`` per instance."""
        return [encode_region(self.size, *region) for region in self.regions]


NO_TRACK = -1
"""In place of the id of an object that belongs to no track."""


@dataclass(frozen=True)
class InstanceResult:
    """The objects of an image, best first.

    Attributes:
        boxes: float32 [n, 4], x1, y1, x2, y2 in pixels of the image (x2 and y2 are right and lower edges), inside it.
        scores: float32 [n], descending.
        classes: int64 [n], class indices.
        masks: n masks of the image's size.
        times: milliseconds per stage ('preprocess', 'inference', 'postprocess').
        track_ids: int64 [n], of the frame of a stream: the same number for the same object in every frame, at least 0,
            no number twice, or -1 for an object that belongs to no track; None for an image.
        pipeline: name of the pipeline of graphs that gave it, of a network that has several; None otherwise.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    masks: InstanceMasks
    times: dict[str, float] = field(default_factory=dict)
    track_ids: np.ndarray | None = None
    pipeline: str | None = None

    def __post_init__(self) -> None:
        count = len(self.masks)
        expected = {"boxes": ((count, 4), "f"), "scores": ((count,), "f"), "classes": ((count,), "i")}
        if self.track_ids is not None:
            expected["track_ids"] = ((count,), "i")
        for name, (shape, kind) in expected.items():
            values = getattr(self, name)
            if values.shape != shape or values.dtype.kind != kind:
                raise ValueError(
                    f"{name} must be {'float' if kind == 'f' else 'int'} {list(shape)} for {count} masks, got "
                    f"{values.dtype} {list(values.shape)}"
                )
        if self.track_ids is not None:
            tracks = self.track_ids[self.track_ids != NO_TRACK]
            if len(np.unique(tracks)) < len(tracks) or (tracks < 0).any():
                raise ValueError(f"track_ids must be {NO_TRACK} or differ, got {self.track_ids.tolist()}")

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, indices: Sequence[int] | np.ndarray) -> InstanceResult:
        """Some of the instances, in the order asked for."""
        chosen = np.asarray(indices, np.int64).reshape(-1)
        return replace(
            self,
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            classes=self.classes[chosen],
            masks=self.masks.take(chosen),
            track_ids=None if self.track_ids is None else self.track_ids[chosen],
        )

    def of_tracks(self) -> InstanceResult:
        """The instances that belong to tracks.

        Raises:
            ValueError: there are no track ids.
        """
        if self.track_ids is None:
            raise ValueError("the result has no track ids")
        return self.take(np.flatnonzero(self.track_ids != NO_TRACK))

    def above(self, score: float) -> InstanceResult:
        """The instances whose score is at least ``score``."""
        return self.take(np.flatnonzero(self.scores >= score))


def of_image(result: Any) -> Any:
    """A result without what belongs to streams: an image has no tracks."""
    return replace(result, track_ids=None) if isinstance(result, InstanceResult) else result
