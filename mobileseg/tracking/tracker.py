"""Identities of objects through the frames of a stream: masks and boxes, motion, an optimal assignment per frame.

In the manner of SORT (Bewley et al. 2016) and ByteTrack (Zhang et al. 2022): a track is expected where its last box and
mask have moved at constant velocity; objects are assigned to tracks by what they have in common with them there; first
the objects of high scores, then those of low ones to the tracks of the frame before. What is left is compared once more
with boxes that have room around them (C-BIoU, Yang et al. 2023), which finds the objects that moved unexpectedly or
come back. Masks are compared on a coarse grid.

Everything is integers from the boxes on, so the C++ program (`deploy/lite/src/tracker.cc`) gives the same ids: places
are in 1/256 pixel, what two objects have in common is in thousandths, quotients are rounded down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mobileseg.structures import InstanceResult
from mobileseg.tracking.assignment import assign
from mobileseg.tracking.grid import CoarseMask, sample, shared, spacing
from mobileseg.tracking.options import TrackingOptions

UNIT = 256
"""Places per pixel."""

ONE = 1000
"""Overlap of what is equal."""

_GAIN = 4
"""A track's velocity moves by one part in so many towards what a frame shows."""

_ROOM = 300
"""Thousandths of a box's sides that are added on each side when what is left is compared once more, ..."""

_ROOM_PER_FRAME = 200
"""... and for each frame that the track was missing in, ..."""

_MOST_ROOM = 2000
"""... up to these."""

_LEAST_AROUND = 100
"""What boxes with room must have in common."""

_FORESIGHT = 15
"""Frames for which a missing object is thought to move on; later it is looked for where it was then."""

_LIFE = 3
"""Frames that a young track is kept for after each that it was seen in: false detections end soon."""


@dataclass(frozen=True)
class Track:
    """What is known of one object after a frame.

    Attributes:
        id: its number.
        label: class index.
        box: x1, y1, x2, y2 where it was seen last, in 1/256 pixel.
        velocity: of the centre of the box, columns and rows per frame, in 1/256 pixel.
        mask: where it was seen last, on the coarse grid.
        hits: frames that it was seen in.
        missed: frames since.
        confirmed: it is reported (`TrackingOptions.min_hits`).
    """

    id: int
    label: int
    box: tuple[int, int, int, int]
    velocity: tuple[int, int]
    mask: CoarseMask
    hits: int = 1
    missed: int = 0
    confirmed: bool = True


@dataclass(frozen=True)
class TrackerState:
    """What is known after a frame: a plain value, which nothing changes in place.

    Attributes:
        size: (height, width) of the frames, None before the first.
        next_id: number of the next new object.
        tracks: by ascending id.
    """

    size: tuple[int, int] | None = None
    next_id: int = 0
    tracks: tuple[Track, ...] = ()


def track(
    state: TrackerState, result: InstanceResult, options: TrackingOptions | None = None
) -> tuple[np.ndarray, TrackerState]:
    """The ids of the objects of the next frame.

    Args:
        state: after the frame before, `TrackerState()` for the first.
        result: objects of the frame.
        options: None takes the usual ones.

    Returns:
        int64 [n]: the id of every object, -1 of those that belong to no track (a low score, or a track that has not
        been seen often enough); and the state after this frame.

    Raises:
        ValueError: a frame of another size than those before it, or a box that is not finite.
    """
    if state.size not in (None, result.masks.size):
        raise ValueError(f"a frame is {list(result.masks.size)} (height, width), those before it {list(state.size)}")
    return _Frame(result, options or TrackingOptions()).follow(state)


def overlaps(state: TrackerState, result: InstanceResult, options: TrackingOptions | None = None) -> np.ndarray:
    """What the tracks and the objects of the next frame have in common, in thousandths, int64 [tracks, objects].

    It is the mean of the IoU of the boxes and that of the masks, 0 of other classes.
    """
    return _Frame(result, options or TrackingOptions()).overlaps(state.tracks)


def with_ids(result: InstanceResult, memory: dict[str, Any], options: TrackingOptions) -> InstanceResult:
    """The objects of the next frame that belong to tracks, with their ids.

    Args:
        result: objects of the frame.
        memory: what is kept between the frames of a stream; the tracker's state in it is replaced, not changed.
        options: of the tracker.

    Raises:
        ValueError: see :func:`track`.
    """
    ids, memory[_KEY] = track(memory.get(_KEY, TrackerState()), result, options)
    return replace(result, track_ids=ids).of_tracks()


_KEY = "tracking"


class _Frame:
    """The objects of one frame in integers, and how they are matched with tracks."""

    def __init__(self, result: InstanceResult, options: TrackingOptions) -> None:
        if not np.isfinite(result.boxes).all():
            raise ValueError("a box is not finite")
        self.size = result.masks.size
        self.options = options
        rounded = np.floor(result.boxes.astype(np.float64) * UNIT + 0.5).astype(np.int64)
        height, width = self.size
        self.boxes = np.clip(rounded, 0, np.array([width, height, width, height]) * UNIT)
        self.labels = result.classes.astype(np.int64)
        self.masks = sample(result.masks)
        self.strong = result.scores >= np.float32(options.score)
        self.weak = ~self.strong & (result.scores >= np.float32(options.low_score))

    def follow(self, state: TrackerState) -> tuple[np.ndarray, TrackerState]:
        """See :func:`track`."""
        tracks = state.tracks
        owners = np.full(len(self.labels), -1, np.int64)  # index of the track of every object
        if tracks and len(owners):
            missed = np.array([one.missed for one in tracks], np.int64)
            common = self.overlaps(tracks)
            least = max(1, int(np.floor(self.options.overlap * ONE + 0.5)))
            free = np.ones(len(tracks), np.bool_)
            self._match(common, least, free, self.strong, owners)
            self._match(common, least, free & (missed == 0), self.weak, owners)
            free[owners[owners >= 0]] = False
            if free.any() and (self.strong & (owners < 0)).any():
                room = np.minimum(_ROOM + _ROOM_PER_FRAME * missed, _MOST_ROOM)[:, None]
                around = np.where(self._allowed(tracks), box_overlaps(self._expected(tracks), self.boxes, room), 0)
                self._match(around, _LEAST_AROUND, free, self.strong, owners)
        return self._updated(state, owners)

    def overlaps(self, tracks: Sequence[Track]) -> np.ndarray:
        """What tracks and objects have in common: the mean of boxes and masks, int64 [tracks, objects]."""
        expected = self._expected(tracks)
        found = np.where(self._allowed(tracks), box_overlaps(expected, self.boxes), 0)
        cell = spacing(self.size) * UNIT
        shifts = (expected[:, :2] - _boxes(tracks)[:, :2] + cell // 2) // cell  # columns and rows of the grid
        for row, column in zip(*map(np.ndarray.tolist, np.nonzero(found)), strict=True):
            one, other = tracks[row].mask, self.masks[column]
            if one.count and other.count:
                both = shared(one, other, (int(shifts[row, 1]), int(shifts[row, 0])))
                masks = ONE * both // (one.count + other.count - both)
                found[row, column] = (int(found[row, column]) + masks) // 2
        return found

    def _expected(self, tracks: Sequence[Track]) -> np.ndarray:
        """The boxes of the tracks moved on, their centres inside of the image, int64 [n, 4]."""
        boxes = _boxes(tracks)
        ages = np.array([min(one.missed + 1, _FORESIGHT) for one in tracks], np.int64)[:, None]
        centres = (boxes[:, :2] + boxes[:, 2:]) // 2
        moved = centres + np.array([one.velocity for one in tracks], np.int64).reshape(-1, 2) * ages
        limits = np.array([self.size[1], self.size[0]], np.int64) * UNIT
        return boxes + np.tile(np.clip(moved, 0, limits) - centres, 2)

    def _allowed(self, tracks: Sequence[Track]) -> np.ndarray:
        """Whether an object may continue a track, bool [tracks, objects]."""
        labels = np.array([one.label for one in tracks], np.int64)[:, None]
        return (labels == self.labels) | (not self.options.same_class)

    @staticmethod
    def _match(overlaps: np.ndarray, least: int, free: np.ndarray, wanted: np.ndarray, owners: np.ndarray) -> None:
        """Give objects to tracks so that most is in common in all; ``free`` and ``owners`` are changed.

        Args:
            overlaps: int64 [tracks, objects].
            least: pairs with less in common are none.
            free: bool [tracks], that have no object.
            wanted: bool [objects], that may get a track.
            owners: int64 [objects], index of the track, -1 for none.
        """
        good = (overlaps >= least) & free[:, None] & (wanted & (owners < 0))
        rows, columns = np.flatnonzero(good.any(axis=1)), np.flatnonzero(good.any(axis=0))
        if not len(rows):
            return
        gains = np.where(good, overlaps, 0)[np.ix_(rows, columns)]
        chosen, partners = assign(ONE - gains)
        real = gains[chosen, partners] > 0
        owners[columns[partners[real]]] = rows[chosen[real]]
        free[rows[chosen[real]]] = False

    def _updated(self, state: TrackerState, owners: np.ndarray) -> tuple[np.ndarray, TrackerState]:
        """Ids of the objects, and what is known after the frame."""
        ids = np.full(len(owners), -1, np.int64)
        seen = {int(owner): index for index, owner in enumerate(owners) if owner >= 0}
        tracks: list[Track] = []
        for number, one in enumerate(state.tracks):
            if number in seen:
                continued = self._continued(one, seen[number])
                tracks.append(continued)
                if continued.confirmed:
                    ids[seen[number]] = one.id
            elif one.missed < self._patience(one):
                tracks.append(replace(one, missed=one.missed + 1))
        next_id = state.next_id
        confirmed = state.size is None or self.options.min_hits == 1
        for index in np.flatnonzero(self.strong & (owners < 0)).tolist():
            begun = Track(next_id, int(self.labels[index]), self._box(index), (0, 0), self.masks[index])
            tracks.append(replace(begun, confirmed=confirmed))
            if confirmed:
                ids[index] = next_id
            next_id += 1
        return ids, TrackerState(self.size, next_id, tuple(tracks))

    def _patience(self, one: Track) -> int:
        """Frames that a track is kept for when it is not seen."""
        return min(self.options.max_age, _LIFE * one.hits) if one.confirmed else 0

    def _continued(self, one: Track, index: int) -> Track:
        """A track after it was seen again."""
        box = self._box(index)
        elapsed = one.missed + 1
        velocity = []
        for axis, known in enumerate(one.velocity):
            moved = (box[axis] + box[axis + 2]) // 2 - (one.box[axis] + one.box[axis + 2]) // 2
            speed = moved // elapsed
            velocity.append(speed if one.hits == 1 else known + (speed - known + _GAIN // 2) // _GAIN)
        hits = one.hits + 1
        return Track(
            one.id,
            int(self.labels[index]),
            box,
            (velocity[0], velocity[1]),
            self.masks[index],
            hits,
            confirmed=one.confirmed or hits >= self.options.min_hits,
        )

    def _box(self, index: int) -> tuple[int, int, int, int]:
        x1, y1, x2, y2 = self.boxes[index].tolist()
        return x1, y1, x2, y2


def _boxes(tracks: Sequence[Track]) -> np.ndarray:
    return np.array([one.box for one in tracks], np.int64).reshape(-1, 4)


def box_overlaps(tracks: np.ndarray, objects: np.ndarray, room: np.ndarray | int = 0) -> np.ndarray:
    """Intersection over union of all pairs of boxes, in thousandths rounded down, int64 [n, m]; 0 of empty boxes.

    Args:
        tracks: int64 [n, 4], in 1/256 pixel.
        objects: int64 [m, 4].
        room: thousandths of their sides by which both boxes grow on each side, broadcast to [n, m].
    """
    x1, y1, x2, y2 = (tracks[:, None, axis] for axis in range(4))
    u1, v1, u2, v2 = (objects[None, :, axis] for axis in range(4))
    wide, high = (x2 - x1) * room // ONE, (y2 - y1) * room // ONE
    broad, tall = (u2 - u1) * room // ONE, (v2 - v1) * room // ONE
    across = np.minimum(x2 + wide, u2 + broad) - np.maximum(x1 - wide, u1 - broad)
    down = np.minimum(y2 + high, v2 + tall) - np.maximum(y1 - high, v1 - tall)
    both = np.maximum(across, 0) * np.maximum(down, 0)
    area = (x2 - x1 + 2 * wide) * (y2 - y1 + 2 * high) + (u2 - u1 + 2 * broad) * (v2 - v1 + 2 * tall)
    found: np.ndarray = ONE * both // np.maximum(area - both, 1)
    return found
