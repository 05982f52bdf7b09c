"""Short streams of which the reference of a video network is made.

Of every image a stream is made by moving a window over it, so that there is motion whatever images are at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from mobileseg.export.golden import GoldenItem
from mobileseg.export.options import ExportOptions
from mobileseg.export.recording import CANDIDATES, prepared
from mobileseg.names import IMAGE
from mobileseg.video.names import KEY, NONKEY

if TYPE_CHECKING:
    from mobileseg.nn.graphs import Deployment

STREAMS = 2
PIPELINES = (KEY, NONKEY, NONKEY)
"""Of the frames of a recorded stream."""

Item = TypeVar("Item", bound=GoldenItem)

_STEP = 0.02  # of the image's sides, by which the window moves from frame to frame
_KEPT = 12, 16  # pixels of a side, and channels, of a tensor between graphs


class StreamFrame(NamedTuple):
    """A frame of a stream that was run in Paddle.

    Attributes:
        pipeline: that it ran.
        image: uint8 [h, w, 3] RGB, as it is stored.
        fed: what graphs are fed.
        made: tensors that the graphs of the frame gave, by name.
    """

    pipeline: str
    image: np.ndarray
    fed: np.ndarray
    made: dict[str, Any]


def frames_of(
    deployed: Deployment, options: ExportOptions, image: np.ndarray, size: tuple[int, int], length: int
) -> Iterator[StreamFrame]:
    """Frames of a stream, run in Paddle as a runtime runs them.

    Args:
        deployed: graphs of a network in evaluation mode.
        options: form of the export.
        image: uint8 [h, w, 3] RGB, of which the stream is made.
        size: (height, width) of the input.
        length: frames, at most those of `PIPELINES`.
    """
    kept: dict[str, Any] = {}
    for index, pipeline in enumerate(PIPELINES[:length]):
        shown, fed, batch = prepared(window(image, index), options, size)
        made: dict[str, Any] = {}
        for run in deployed.run(pipeline, {IMAGE: batch, **kept}):
            made |= run.outputs
        kept |= deployed.kept(pipeline, made)
        yield StreamFrame(pipeline, shown, fed, made)


def recorded(
    deployed: Deployment,
    options: ExportOptions,
    images: Sequence[np.ndarray],
    size: tuple[int, int],
    items: Callable[[Iterator[StreamFrame], int], list[Item]],
) -> list[Item]:
    """Frames of the streams of those `STREAMS` images whose first frames show the most classes, then the most objects.

    Args:
        deployed: graphs of a network in evaluation mode.
        options: form of the export.
        images: uint8 [h, w, 3] RGB; the first `CANDIDATES` are tried.
        size: (height, width) of the input.
        items: makes the items of the frames of a stream, and of its number.
    """
    import paddle

    def stream(image: np.ndarray, sequence: int, length: int) -> list[Item]:
        return items(frames_of(deployed, options, image, size, length), sequence)

    with paddle.no_grad():
        firsts = [stream(image, 0, 1)[0] for image in images[:CANDIDATES]]
        best = sorted(range(len(firsts)), key=lambda index: (-len(firsts[index].shown()), -firsts[index].richness()))
        return [
            item
            for sequence, index in enumerate(best[:STREAMS])
            for item in stream(images[index], sequence, len(PIPELINES))
        ]


def thinned(value: np.ndarray) -> np.ndarray:
    """Evenly spaced channels, rows and columns of [1, C, h, w]: steps that leave at most 16 and 12 by 12."""
    channels = -(-value.shape[1] // _KEPT[1])
    pixels = -(-max(value.shape[2:]) // _KEPT[0])
    return value[:, ::channels, ::pixels, ::pixels]


def window(image: np.ndarray, index: int) -> np.ndarray:
    """The part of an image that is frame ``index`` of its stream, uint8 [h, w, 3]."""
    steps = len(PIPELINES) - 1
    height, width = image.shape[:2]
    down, right = (min(max(1, round(_STEP * side)), (side - 1) // steps) for side in (height, width))
    left = steps - index
    return image[index * down : height - left * down, index * right : width - left * right]
