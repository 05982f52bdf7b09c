"""From a decoded picture to the input of a graph, as the manifest says, on one thread.

The order is fixed: resize in float32 (the suite's one rule, `mobileseg.data.io.resize_bilinear`), scale,
mean and std, channels first. A picture that already has the input size takes a shorter way: every 8-bit value has
one normalised value, so each channel is one look-up in a table of 256 entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mobileseg.data.io import resize_bilinear, to_uint8
from mobileseg.errors import DataError, RuntimeEngineError
from mobileseg.runtime.artefact import InputSpec

_CHANNEL_ORDER = {"RGB": (0, 1, 2), "BGR": (2, 1, 0)}


@dataclass(frozen=True)
class Geometry:
    """Where the picture lies inside the input of the graph.

    Attributes:
        image: (height, width) of the picture as given.
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

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec
        order = _CHANNEL_ORDER[spec.color]
        self._order = order
        mean, std = np.asarray(spec.mean, np.float64), np.asarray(spec.std, np.float64)
        if spec.normalized_in_graph:
            self._factor, self._offset = np.ones(3), np.zeros(3)
        else:
            self._factor, self._offset = spec.scale / std, -mean / std
        # Padding is what the network sees as the mean colour: 0 after normalisation.
        self._padding = mean / spec.scale * self._factor + self._offset
        values = np.arange(256, dtype=np.float64)[None]
        self._tables = (values * self._factor[:, None] + self._offset[:, None]).astype(np.float32)

    @property
    def largest(self) -> float:
        """The largest absolute value that a pixel can become: what rounding is measured by."""
        return float(np.abs(self._tables).max())

    def geometry(self, image: np.ndarray) -> Geometry:
        """How a picture is placed in the input.

        Raises:
            DataError: not uint8 [H, W, 3], or empty.
            RuntimeEngineError: the graph takes one size, the manifest forbids resizing, and this is another.
        """
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            seen = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
            raise DataError(
                f"an image must be uint8 [H, W, 3] in RGB, got {seen}",
                remedy="pass the path of the file, or decode it with mobileseg.data.io.read_image",
            )
        size = int(image.shape[0]), int(image.shape[1])
        if 0 in size:
            raise DataError(f"the image is empty: {size[0]}x{size[1]} pixels")
        spec = self.spec
        if spec.resize.mode == "stretch":
            return Geometry(size, (spec.height, spec.width), (spec.height, spec.width))
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
        if self.spec.layout == "NCHW" and dtype == np.float32 and not padded:
            self._fill_planes(image, place.content, out[0])
        else:
            self._fill(image, place, out[0])
        return out

    def _fill_planes(self, image: np.ndarray, size: tuple[int, int], planes: np.ndarray) -> None:
        """The usual case: float32 [3, H, W], nothing padded."""
        if image.shape[:2] == size:
            for target, source in enumerate(self._order):
                cv2.LUT(cv2.extractChannel(image, source), self._tables[target], dst=planes[target])
            return
        resized = resize_bilinear(image, size)
        for target, source in enumerate(self._order):
            cv2.extractChannel(resized, source, dst=planes[target])
            planes[target] *= np.float32(self._factor[target])
            planes[target] += np.float32(self._offset[target])

    def _fill(self, image: np.ndarray, place: Geometry, target: np.ndarray) -> None:
        """Any layout, type and padding; ``target`` is one element of the batch."""
        pixels = resize_bilinear(image, place.content)[:, :, self._order]
        values = pixels * self._factor.astype(np.float32) + self._offset.astype(np.float32)
        padding = self._padding
        if target.dtype == np.uint8:
            values, padding = to_uint8(values), np.clip(np.rint(padding), 0, 255)
        view = target.transpose(1, 2, 0) if self.spec.layout == "NCHW" else target
        view[...] = padding
        view[: place.content[0], : place.content[1]] = values
