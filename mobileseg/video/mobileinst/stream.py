"""The frames of a stream: kernels of a key frame are kept and applied to the frames behind it (NumPy).

The state is a value: a frame makes a new one and leaves the old one as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mobileseg.structures import InstanceResult
from mobileseg.video.mobileinst.association import KernelTracks, associate
from mobileseg.video.mobileinst.options import KernelOptions, QueryOptions
from mobileseg.video.mobileinst.postprocess import Answers, finish, keep


@dataclass(frozen=True)
class KernelMemory:
    """What a stream remembers between frames.

    Attributes:
        answers: of the queries of the last key frame that are kept.
        ids: int64 [n], their tracks; -1 of those too weak to begin one.
        sure: mean certainty of the key frame's masks; None until there are some.
        stale: the masks of the last frame were not sure enough for another one.
        tracks: all objects that are remembered.
    """

    answers: Answers
    ids: np.ndarray
    sure: float | None
    stale: bool
    tracks: KernelTracks


def start(state: KernelMemory | None, answers: Answers, queries: QueryOptions, options: KernelOptions) -> KernelMemory:
    """The state with the kernels of a new key frame; its masks are made by :func:`show`.

    Args:
        state: after the frame before; None at the beginning.
        answers: of all queries of the key frame.
        queries: which of them are kept.
        options: how they are matched with the objects before.
    """
    tracks = KernelTracks.none(answers.kernels.shape[1]) if state is None else state.tracks
    scores = answers.scores
    chosen = keep(scores, queries)
    kept = answers.take(chosen)
    tracks, ids = associate(tracks, kept.kernels, kept.classes, scores[chosen], options)
    return KernelMemory(kept, ids, None, False, tracks)


def show(
    state: KernelMemory,
    mask_features: np.ndarray,
    stride: int,
    input_size: tuple[int, int],
    size: tuple[int, int],
    queries: QueryOptions,
    options: KernelOptions,
) -> tuple[KernelMemory, InstanceResult]:
    """The objects of a frame: the kept kernels applied to its mask features.

    Args:
        state: of the frame before, or a new key frame's (:func:`start`).
        mask_features: float32 [k, h, w] of this frame.
        stride: pixels of the network's input per cell of the mask features.
        input_size: (height, width) of the network's input.
        size: (height, width) of the frame.
        queries: how masks are made.
        options: when masks are too unsure.

    Returns:
        The state, and the objects with ``track_ids``. Classes are those of the key frame; so are scores, but for the
        certainty of this frame's masks.

    Raises:
        RuntimeEngineError: kernels of another length than there are mask features.
    """
    found, rows, sure = finish(
        state.answers, np.arange(len(state.answers)), mask_features, stride, input_size, size, queries
    )
    level = float(sure.mean()) if len(sure) else None
    first = level if state.sure is None else state.sure
    stale = first is not None and level is not None and level < options.rekey_below * first
    return replace(state, sure=first, stale=stale), replace(found, track_ids=state.ids[rows])
