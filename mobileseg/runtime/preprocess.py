"""From a decoded image to the input of a graph, as the manifest says, on one thread.

The order is fixed: resize in float32 (the suite's one rule, `mobileseg.pixels.resize_bilinear`), scale,
mean and std, channels first. An image that is no larger than the input takes a shorter way: every 8-bit value has
one normalised value, so each channel is one look-up in a table of 256 entries. It is then enlarged: weights of a mean
sum to 1, so that normalising before it or after it is the same but for rounding in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mobileseg.errors import DataError, RuntimeEngineError
from mobileseg.pixels import resize, resize_bilinear, to_uint8
from mobileseg.runtime.specs import ImageSpec

_CHANNEL_ORDER = {"RGB": (0, 1, 2), "BGR": (2, 1, 0)}


@dataclass(frozen=True)
class Geometry:
    """Where the image lies inside the input of the graph.

    Attributes:
        image: (height, width) of the image as given.
        content: (height, width) it takes up in the input, from the top left corner.
        input: (height, width) of the input; what is beyond `content` is padding.
    """

    image: tuple[int, int]
    content: tuple[int, int]
    input: tuple[int, int]


class Preprocessor:
    """Executes the input side of a manifest.

    Args:
        spec: input of the manifest.
    """

    def __init__(self, spec: ImageSpec) -> None:
        self.spec = spec
        self._order = _CHANNEL_ORDER[spec.color] if spec.channels == 3 else tuple(range(spec.channels))
        mean, std = np.asarray(spec.mean, np.float64), np.asarray(spec.std, np.float64)
        if spec.normalized_in_graph:
            self._factor, self._offset = np.ones(spec.channels), np.zeros(spec.channels)
        else:
            self._factor, self._offset = spec.scale / std, -mean / std
        # Without a value, padding is what the network sees as the mean colour: 0 after normalisation.
        padding = spec.resize.padding
        pixels = mean / spec.scale if padding is None else np.asarray(padding, np.float64)
        self._padding = pixels * self._factor + self._offset
        values = np.arange(256, dtype=np.float64)[None]
        self._tables = (values * self._factor[:, None] + self._offset[:, None]).astype(np.float32)

    @property
    def _is_usual(self) -> bool:
        spec = self.spec
        return spec.layout == "NCHW" and spec.dtype == "float32" and spec.channels == 3 and spec.range[1] <= 255

    @property
    def largest(self) -> float:
        """The largest absolute value that a pixel can become: what rounding is measured by."""
        return float(np.abs(self._tables).max())

    def geometry(self, image: np.ndarray) -> Geometry:
        """How an image is placed in the input.

        Raises:
            DataError: not [H, W, channels] of the type that the manifest says, or empty.
            RuntimeEngineError: the graph takes one size, the manifest forbids resizing, and this is another.
        """
        spec = self.spec
        wanted = np.dtype(spec.pixel_dtype)
        fits = isinstance(image, np.ndarray) and image.dtype == wanted and image.ndim == 3
        if not fits or image.shape[2] != spec.channels:
            seen = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
            order = " in RGB" if spec.channels == 3 else ""
            raise DataError(
                f"an image must be {wanted} [H, W, {spec.channels}]{order}, got {seen}",
                remedy="pass the path of the file, or decode it with Segmenter.pixels.read",
            )
        size = int(image.shape[0]), int(image.shape[1])
        if 0 in size:
            raise DataError(f"the image is empty: {size[0]}x{size[1]} pixels")
        whole = spec.height, spec.width
        if spec.resize.mode == "stretch":
            return Geometry(size, whole, whole)
        if spec.resize.mode == "keep-ratio":
            return Geometry(size, largest_inside(size, whole), whole)
        if not spec.dynamic and size != (spec.height, spec.width):
            raise RuntimeEngineError(
                f"the image is {size[0]}x{size[1]} (height x width), the graph takes {spec.height}x{spec.width} and "
                "its manifest forbids resizing",
                remedy="bring the image to that size, or export with resizing or a dynamic shape",
            )
        return Geometry(size, size, spec.padded(*size))

    def __call__(self, image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Make the input of the graph.

        Args:
            image: uint8 [H, W, 3], RGB.
            out: array of the result's shape and type to fill; a new one is made when it does not fit.

        Returns:
            The manifest's type and layout, batch 1: float32 [1, 3, H, W] in most folders.
        """
        place = self.geometry(image)
        shape, dtype = self.spec.shape(*place.input), np.dtype(self.spec.dtype)
        if out is None or out.shape != shape or out.dtype != dtype:
            out = np.empty(shape, dtype)
        padded = place.content != place.input
        if self._is_usual and not padded:
            self._fill_planes(image, place.content, out[0])
        else:
            self._fill(image, place, out[0])
        return out

    def _fill_planes(self, image: np.ndarray, size: tuple[int, int], planes: np.ndarray) -> None:
        """The usual case: float32 [3, H, W], nothing padded."""
        height, width = image.shape[:2]
        if height * width <= size[0] * size[1]:  # normalise before resizing: the means are the same, of fewer pixels
            for target, source in enumerate(self._order):
                channel, table = cv2.extractChannel(image, source), self._tables[target]
                if (height, width) == size:
                    cv2.LUT(channel, table, dst=planes[target])
                else:
                    resize(cv2.LUT(channel, table), size, out=planes[target])
            return
        resized = resize_bilinear(image, size)
        for target, source in enumerate(self._order):
            cv2.extractChannel(resized, source, dst=planes[target])
            planes[target] *= np.float32(self._factor[target])
            planes[target] += np.float32(self._offset[target])

    def _fill(self, image: np.ndarray, place: Geometry, target: np.ndarray) -> None:
        """Any layout, type and padding; ``target`` is one element of the batch."""
        pixels = np.atleast_3d(resize_bilinear(image, place.content))[:, :, self._order]
        values = pixels * self._factor.astype(np.float32) + self._offset.astype(np.float32)
        padding = self._padding
        if target.dtype == np.uint8:
            values, padding = to_uint8(values), np.clip(np.rint(padding), 0, 255)
        view = target.transpose(1, 2, 0) if self.spec.layout == "NCHW" else target
        view[...] = padding
        view[: place.content[0], : place.content[1]] = values


def largest_inside(size: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """The largest (height, width) of the aspect ratio of ``size`` that fits into ``room``, at least one pixel.

    Sides are rounded half up, as the C++ core does: ``floor(side * scale + 0.5)``.
    """
    scale = min(room[0] / size[0], room[1] / size[1])
    return tuple(max(1, min(most, int(side * scale + 0.5))) for side, most in zip(size, room, strict=True))  # type: ignore[return-value]
