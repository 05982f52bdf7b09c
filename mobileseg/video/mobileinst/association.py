"""Which query of a key frame is which object of the key frames before: kernels that point the same way belong together.

Two rules (NumPy and SciPy, functions on states that do not change):

- the published one (:func:`permute`): all queries are put into the order of the frame before, which makes every query a
  track through the whole video, and the scores of a track are means over frames (MinVIS, Huang et al., NeurIPS 2022,
  arXiv:2208.02245);
- the one for streams (:func:`associate`): only objects that are seen have tracks, which begin, end, and go on after
  a gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mobileseg.structures import NO_TRACK
from mobileseg.tracking.assignment import assign
from mobileseg.video.mobileinst.options import KernelOptions

_TINY = 1e-12
_STEPS = 1 << 20
"""Of a cosine, when objects are paired: in integers, `deploy/lite/src/kernel_tracks.cc` pairs alike."""


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float64 [n, m] from kernels [n, k] and [m, k]; 0 where one of them is zero."""
    first, second = (kernels.astype(np.float64) for kernels in (first, second))
    lengths = np.linalg.norm(first, axis=1)[:, None] * np.linalg.norm(second, axis=1)
    found: np.ndarray = first @ second.T / np.maximum(lengths, _TINY)
    return found


def permutation(previous: np.ndarray, current: np.ndarray) -> np.ndarray:
    """The order in which the kernels of a frame belong to those of the frame before: int64 [Q].

    It minimises the sum of ``1 - cosine`` over all queries.

    Args:
        previous: float32 [Q, k].
        current: float32 [Q, k]; query i of the frame before goes on as query ``permutation[i]`` of this one.
    """
    order: np.ndarray = linear_sum_assignment(1 - cosines(previous, current))[1].astype(np.int64)
    return order


@dataclass(frozen=True)
class QueryTracks:
    """All queries as tracks through a video.

    Attributes:
        kernels: float32 [Q, k] of the last key frame, in the order of the first.
        totals: float64 [Q, c]: sum over key frames of what is averaged, class logits or scores, in that order.
        frames: key frames so far.
    """

    kernels: np.ndarray
    totals: np.ndarray
    frames: int

    @property
    def means(self) -> np.ndarray:
        """float64 [Q, c], means over the keyframes."""
        found: np.ndarray = self.totals / self.frames
        return found


def permute(tracks: QueryTracks | None, kernels: np.ndarray, values: np.ndarray) -> tuple[QueryTracks, np.ndarray]:
    """Go on with the next key frame.

    Args:
        tracks: of the frames before; None for the first frame.
        kernels: float32 [Q, k].
        values: float32 [Q, c], what is averaged.

    Returns:
        The tracks, and the order int64 [Q]: track i is query ``order[i]`` of this frame.
    """
    if tracks is None:
        return QueryTracks(kernels, values.astype(np.float64), 1), np.arange(len(kernels))
    order = permutation(tracks.kernels, kernels)
    return QueryTracks(kernels[order], tracks.totals + values[order], tracks.frames + 1), order


def best_tracks(scores: np.ndarray, count: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """The best pairs of track and class, best first; a track may come with several classes.

    Args:
        scores: float [Q, K].
        count: how many.

    Returns:
        Tracks and classes, int64 [min(count, Q * K)] each.
    """
    flat = np.argsort(-scores.reshape(-1), kind="stable")[:count].astype(np.int64)
    return flat // scores.shape[1], flat % scores.shape[1]


@dataclass(frozen=True)
class KernelTracks:
    """Objects that were seen in a stream.

    Attributes:
        ids: int64 [n].
        kernels: float32 [n, k] of the last key frame in which each was seen.
        classes: int64 [n], likewise.
        missed: int64 [n], key frames since.
        next_id: of the next new object.
    """

    ids: np.ndarray
    kernels: np.ndarray
    classes: np.ndarray
    missed: np.ndarray
    next_id: int = 0

    @classmethod
    def none(cls, length: int) -> KernelTracks:
        """Before the first frame; kernels are of that length."""
        nothing = np.zeros(0, np.int64)
        return cls(nothing, np.zeros((0, length), np.float32), nothing, nothing)


def associate(
    tracks: KernelTracks,
    kernels: np.ndarray,
    classes: np.ndarray,
    scores: np.ndarray,
    options: KernelOptions | None = None,
) -> tuple[KernelTracks, np.ndarray]:
    """Go on with the objects of the next key frame.

    Objects and remembered tracks are paired so that the sum of their cosines (less ``class_penalty`` where the classes
    differ) is largest; pairs below ``similarity`` do not count. An object without a track starts one if its score is at
    least ``birth_score``.

    Args:
        tracks: of the key frames before.
        kernels: float32 [n, k] of the objects of this key frame.
        classes: int64 [n].
        scores: float32 [n].
        options: see :class:`~mobileseg.video.mobileinst.options.KernelOptions`.

    Returns:
        The tracks, and the ids int64 [n]; `NO_TRACK` for objects that have none.
    """
    options = options or KernelOptions()
    alike = cosines(tracks.kernels, kernels) - options.class_penalty * (tracks.classes[:, None] != classes)
    steps = np.floor((alike + 2) * _STEPS + 0.5).astype(np.int64)  # any pair that counts is better than none
    gain = np.where(alike >= options.similarity, steps, 0)
    rows, columns = assign(-gain)
    real = gain[rows, columns] > 0
    rows, columns = rows[real], columns[real]
    ids = np.full(len(kernels), NO_TRACK, np.int64)
    ids[columns] = tracks.ids[rows]
    old = tracks.kernels.copy()
    keep = np.float32(options.momentum)
    old[rows] = keep * old[rows] + (1 - keep) * kernels[columns]
    labels, missed = tracks.classes.copy(), tracks.missed + 1
    labels[rows], missed[rows] = classes[columns], 0
    born = np.flatnonzero((ids == NO_TRACK) & (scores >= options.birth_score))
    ids[born] = tracks.next_id + np.arange(len(born))
    alive = missed <= options.lost_keyframes
    found = KernelTracks(
        np.concatenate([tracks.ids[alive], ids[born]]),
        np.concatenate([old[alive], kernels[born].astype(np.float32)]),
        np.concatenate([labels[alive], classes[born]]),
        np.concatenate([missed[alive], np.zeros(len(born), np.int64)]),
        tracks.next_id + len(born),
    )
    return found, ids
