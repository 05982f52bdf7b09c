"""What pixels images have: one to four channels, and the range of their values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.errors import ConfigError
from mobileseg.limits import shown

CHANNELS = (1, 2, 3, 4)
_LARGEST = 65535
_CONVERSIONS: dict[tuple[int, int], str] = {
    (1, 1): "", (3, 1): "COLOR_BGR2GRAY", (4, 1): "COLOR_BGRA2GRAY", (2, 2): "",
    (1, 3): "COLOR_GRAY2RGB", (3, 3): "COLOR_BGR2RGB", (4, 3): "COLOR_BGRA2RGB", (4, 4): "COLOR_BGRA2RGBA",
}  # fmt: skip
"""(channels of the file, channels that are wanted) -> name of OpenCV's conversion, '' for none."""


@dataclass(frozen=True)
class PixelFormat:
    """Pixels of the images of a dataset or a model.

    Attributes:
        channels: 1 (grey; colours become their luma), 2 (grey and alpha), 3 (RGB; grey becomes three equal channels,
            alpha is dropped) or 4 (RGB and a fourth, which the file must have).
        range: least and largest value of a pixel; what 0..255 is for a photograph. None is 0..255, and files of 16 bits
            are scaled to 8.

    Raises:
        ConfigError: another number of channels, or no range.
    """

    channels: int = 3
    range: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.channels not in CHANNELS or isinstance(self.channels, bool):
            raise ConfigError(
                f"img_channels is {shown(self.channels)}, expected 1 to 4", remedy="write img_channels: 3"
            )
        if self.range is None:
            return
        pair = self.range if isinstance(self.range, (tuple, list)) else ()
        numbers = [value for value in pair if isinstance(value, int) and not isinstance(value, bool)]
        if len(pair) != 2 or len(numbers) != 2 or not 0 <= numbers[0] < numbers[1] <= _LARGEST:
            raise ConfigError(
                f"img_range is {shown(self.range)}, expected two ascending whole numbers of 0 to {_LARGEST}",
                remedy="write the values of black and white, for example img_range: [0, 4095]",
            )
        object.__setattr__(self, "range", (numbers[0], numbers[1]))

    @classmethod
    def of_section(cls, section: Mapping[str, Any] | None) -> PixelFormat:
        """That of a dataset section of a configuration, by its ``img_channels`` and ``img_range``.

        Of a dataset made of parts it is that of the first, as all have the same.
        """
        from mobileseg.config.structure import spokesman  # not for what only reads manifests

        section = spokesman(section)
        return cls(section.get("img_channels", 3), section.get("img_range")) if section else cls()

    @property
    def limits(self) -> tuple[int, int]:
        """Least and largest value of a pixel."""
        return self.range or (0, 255)

    @property
    def dtype(self) -> str:
        """NumPy name of the type of pixels."""
        return "uint8" if self.limits[1] <= 255 else "uint16"

    def read(self, path: str | os.PathLike[str]) -> np.ndarray:
        """Decode an image file as it is meant to be seen (EXIF rotation is applied).

        Returns:
            [H, W, channels] of :attr:`dtype`; three channels are RGB.

        Raises:
            FileError: as :func:`mobileseg.data.io.read_image`; the file has other channels, or values beyond the range.
        """
        from mobileseg.data.io import read_bytes

        return self.decode(read_bytes(Path(path), "image"), Path(path))

    def decode(self, data: bytes, path: Path) -> np.ndarray:
        """Like :meth:`read` for a file that is in memory; ``path`` is for messages only."""
        import cv2  # not for what only reads manifests

        from mobileseg.data.io import ChannelsError, DepthError, decode_image, decode_unchanged

        if self.channels == 3 and self.range is None:
            return decode_image(data, path)
        values = decode_unchanged(data, path, alpha=self.channels == 2)
        held = 1 if values.ndim == 2 else values.shape[2]
        if (held, self.channels) not in _CONVERSIONS:
            raise ChannelsError(
                f"the image {path} has {held} channel{'s' if held > 1 else ''}, img_channels is {self.channels}",
                remedy=f"write img_channels: {held}, or store all images with {self.channels} channels",
            )
        conversion = _CONVERSIONS[held, self.channels]
        values = np.atleast_3d(cv2.cvtColor(values, getattr(cv2, conversion)) if conversion else values)
        if self.range is None and values.dtype == np.uint16:
            values = (values >> 8).astype(np.uint8)  # as read_image does
        low, high = self.limits
        if values.min() < low or values.max() > high:
            raise DepthError(
                f"the image {path} has values from {values.min()} to {values.max()}, img_range is {[low, high]}",
                remedy="write the range that the values of all images lie in",
            )
        return np.ascontiguousarray(values.astype(self.dtype))

    def levels(self, pixels: np.ndarray) -> np.ndarray:
        """float32 [H, W, channels]: the range as 0..255, not rounded; what transforms take."""
        values = pixels.astype(np.float32)
        if self.range is not None and self.range != (0, 255):
            low, high = self.range
            values -= np.float32(low)
            values *= np.float32(255.0 / (high - low))
        return values

    def stored(self, levels: np.ndarray) -> np.ndarray:
        """The pixels of :meth:`levels` that were not transformed, as they were read."""
        low, high = self.limits
        values = levels if (low, high) == (0, 255) else np.rint(levels * ((high - low) / 255.0) + low)
        return np.ascontiguousarray(values.astype(self.dtype))

    def shown(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] RGB for people: of two channels the first, of four the first three."""
        if self.channels == 3 and pixels.dtype == np.uint8 and self.range in (None, (0, 255)):
            return pixels
        levels = np.clip(np.rint(self.levels(pixels)), 0, 255).astype(np.uint8)
        return np.ascontiguousarray(levels[..., :3] if self.channels > 2 else np.repeat(levels[..., :1], 3, axis=2))


PHOTOGRAPH = PixelFormat()
"""Three channels of 8 bits."""
