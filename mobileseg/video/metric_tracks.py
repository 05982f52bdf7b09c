"""Tracks of objects through videos, true and found, and how much their masks overlap in every frame.

Every score of tracks is computed from the overlaps of one class in one video at a time, so memory is that of the
largest of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask
from scipy.optimize import linear_sum_assignment

Rle = Mapping[str, Any]


@dataclass(frozen=True)
class MaskTrack:
    """An object through the frames of a video, as annotated or as found.

    Attributes:
        video: id of the video.
        label: class index.
        masks: compressed RLE of every frame, None where the object is not seen.
        score: of a found track.
        crowd: an annotated group that was not taken apart; it need not be found, and finding it is no mistake.
        stated_areas: pixels of every frame as annotated (None or 0: not seen); None: those of the masks.
    """

    video: int
    label: int
    masks: Sequence[Rle | None]
    score: float = 1.0
    crowd: bool = False
    stated_areas: Sequence[float | None] | None = None

    @cached_property
    def areas(self) -> np.ndarray:
        """int64 [frames], pixels of the masks, 0 where the object is not seen."""
        seen = [frame for frame, mask in enumerate(self.masks) if mask is not None]
        areas = np.zeros(len(self.masks), np.int64)
        if seen:
            areas[seen] = coco_mask.area([self.masks[frame] for frame in seen])
        return areas

    @property
    def mean_area(self) -> float:
        """Pixels, mean over the frames in which there are any; 0 without such a frame."""
        areas = self.areas if self.stated_areas is None else np.array([area or 0 for area in self.stated_areas])
        return float(areas[areas != 0].mean()) if areas.any() else 0.0


class FrameOverlap(NamedTuple):
    """The masks of a frame that have a pixel.

    Attributes:
        found: int64 [d], indices of found tracks.
        true: int64 [g], indices of true tracks.
        shared: int64 [d, g], pixels in both.
        found_areas: int64 [d], pixels.
        true_areas: int64 [g], pixels.
    """

    found: np.ndarray
    true: np.ndarray
    shared: np.ndarray
    found_areas: np.ndarray
    true_areas: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """float64 [d, g]."""
        return np.asarray(self.shared / (self.found_areas[:, None] + self.true_areas[None, :] - self.shared))


class FrameObjects(NamedTuple):
    """What of a frame counts when identities are judged.

    Attributes:
        found: int64 [d], indices of found tracks.
        true: int64 [g], indices of true tracks.
        iou: float64 [d, g].
    """

    found: np.ndarray
    true: np.ndarray
    iou: np.ndarray


class TrackGroup:
    """The tracks of one class in one video.

    Args:
        found: tracks of a network; best first, equal scores in the order given.
        true: annotated ones, in the order given.

    Raises:
        ValueError: masks of different sizes.
    """

    def __init__(self, found: Iterable[MaskTrack], true: Iterable[MaskTrack]) -> None:
        self.found = sorted(found, key=lambda track: -track.score)
        self.true = list(true)
        self.frames = list(self._overlaps())

    @property
    def label(self) -> int:
        """Class index."""
        return (self.found or self.true)[0].label

    def iou(self) -> np.ndarray:
        """IoU of tracks in time and space, float64 [D, G]: shared pixels of all frames over those of either mask.

        A frame with one of the masks adds to the union. Of lists of different lengths the common frames count.
        """
        shared = np.zeros((len(self.found), len(self.true)), np.int64)
        for frame in self.frames:
            shared[np.ix_(frame.found, frame.true)] += frame.shared
        lengths = np.minimum.outer(_lengths(self.found), _lengths(self.true))
        union = _areas_until(self.found, lengths) + _areas_until(self.true, lengths.T).T - shared
        return np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0)

    def objects(self) -> list[FrameObjects]:
        """The frames as far as they count when identities are judged.

        Crowd regions are not to be found. A detection with more than half of its pixels in one is neither right nor
        wrong, unless it is matched with an object at an IoU of at least 0.5 (the rule of MOTS: Voigtlaender et al.,
        Multi-Object Tracking and Segmentation, CVPR 2019).
        """
        crowd = np.array([track.crowd for track in self.true], bool)
        frames = []
        for frame in self.frames:
            in_crowd = crowd[frame.true]
            iou = frame.iou[:, ~in_crowd]
            kept = np.ones(len(frame.found), bool)
            if in_crowd.any() and frame.found.size:
                kept = 2 * frame.shared[:, in_crowd].max(axis=1) <= frame.found_areas
                rows, columns = linear_sum_assignment(np.where(iou >= 0.5, iou, 0), maximize=True)
                kept[rows[iou[rows, columns] >= 0.5]] = True
            frames.append(FrameObjects(frame.found[kept], frame.true[~in_crowd], iou[kept]))
        return frames

    def _overlaps(self) -> Iterator[FrameOverlap]:
        for number in range(max(map(len, (track.masks for track in (*self.found, *self.true))), default=0)):
            (found, found_areas, found_masks), (true, true_areas, true_masks) = (
                _seen(tracks, number) for tracks in (self.found, self.true)
            )
            if not (found.size or true.size):
                continue
            if len({tuple(mask["size"]) for mask in (*found_masks, *true_masks)}) > 1:
                raise ValueError(f"frame {number}: masks of different sizes cannot be compared")
            shared = np.zeros((found.size, true.size), np.int64)
            if found.size and true.size:
                # Of a crowd region pycocotools gives shared pixels over those of the first mask.
                shares = coco_mask.iou(found_masks, true_masks, [1] * true.size)
                shared = np.rint(shares * found_areas[:, None]).astype(np.int64)
            yield FrameOverlap(found, true, shared, found_areas, true_areas)


def grouped(found: Iterable[MaskTrack], true: Iterable[MaskTrack]) -> Iterator[TrackGroup]:
    """Tracks of the same class in the same video, one group at a time, by video and class in ascending order."""
    groups: dict[tuple[int, int], tuple[list[MaskTrack], list[MaskTrack]]] = {}
    for side, tracks in enumerate((found, true)):
        for track in tracks:
            groups.setdefault((track.video, track.label), ([], []))[side].append(track)
    for key in sorted(groups):
        yield TrackGroup(*groups[key])


def _seen(tracks: Sequence[MaskTrack], number: int) -> tuple[np.ndarray, np.ndarray, list[Rle]]:
    """Indices, areas and masks of the tracks that have a pixel in a frame."""
    chosen = [i for i, track in enumerate(tracks) if number < len(track.masks) and track.areas[number]]
    areas = np.array([tracks[index].areas[number] for index in chosen], np.int64)
    masks = [mask for index in chosen if (mask := tracks[index].masks[number]) is not None]
    return np.array(chosen, np.int64), areas, masks


def _lengths(tracks: Sequence[MaskTrack]) -> np.ndarray:
    return np.array([len(track.masks) for track in tracks], np.int64)


def _areas_until(tracks: Sequence[MaskTrack], lengths: np.ndarray) -> np.ndarray:
    """Pixels of each track in its first frames, int64 [tracks, n] for the numbers of frames [tracks, n]."""
    sums = [np.concatenate([[0], np.cumsum(track.areas)])[row] for track, row in zip(tracks, lengths, strict=True)]
    return np.array(sums, np.int64).reshape(lengths.shape)
