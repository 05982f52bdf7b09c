"""Whatever a caller has for an image, as pixels."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImageOps

from mobileseg.data.pixel_format import PHOTOGRAPH, PixelFormat
from mobileseg.errors import DataError

ImageLike: TypeAlias = np.ndarray | str | os.PathLike[str] | Image.Image
"""Pixels uint8 [H, W, 3] in RGB, the path of a file, or an image of Pillow."""

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


def load_image(image: Any, pixels: PixelFormat = PHOTOGRAPH) -> np.ndarray:
    """Pixels of an :data:`ImageLike`, uint8 [H, W, 3] RGB, or as ``pixels`` says.

    An image of Pillow is seen as its file would be: EXIF rotation is applied, greyscale becomes three equal channels,
    an alpha channel is dropped, 16 bits are scaled to 8.

    Raises:
        DataError: a file or an image that cannot be read, pixels of another range, or no image at all.
    """
    if isinstance(image, np.ndarray):
        return image
    if isinstance(image, Image.Image):
        if pixels != PHOTOGRAPH:
            raise DataError(
                f"an image of Pillow is given to a model of {pixels.channels} channels, range {list(pixels.limits)}",
                remedy=f"give the path of a file, or {pixels.dtype} [H, W, {pixels.channels}]",
            )
        return _pixels(image)
    if isinstance(image, (str, os.PathLike)):
        return pixels.read(image)
    raise DataError(
        f"{type(image).__name__} is no image", remedy="give uint8 [H, W, 3] in RGB, the path of a file or a PIL.Image"
    )


def _pixels(image: Image.Image) -> np.ndarray:
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in _SIXTEEN_BITS:
            grey = (np.asarray(upright).astype(np.uint16) >> 8).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
        if upright.mode in ("I", "F"):
            raise DataError(
                f"the image has pixels of mode {upright.mode}, whose range is not known",
                remedy="convert it to 8 bits, for example with numpy",
            )
        return np.array(upright.convert("RGB"))
    except OSError as error:  # Pillow decodes when the pixels are asked for
        raise DataError(f"the image cannot be decoded: {error}", remedy="check the file it came from") from error
