"""Results drawn on pictures: overlay, outlines, legend, index masks (NumPy and OpenCV)."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import cv2
import numpy as np

from mobileseg.data.io import write_png
from mobileseg.viz.palette import index_table
from mobileseg.viz.text import draw_text, text_size

_PAPER = (250, 250, 250)
_INK = (40, 40, 40)


def colour_map(labels: np.ndarray, palette: np.ndarray, ignore_index: int = 255) -> np.ndarray:
    """The class colour at every pixel, uint8 [H, W, 3] RGB.

    Args:
        labels: uint8 [H, W].
        palette: [K, 3] RGB.
        ignore_index: label value of ignored pixels, drawn white.
    """
    table = index_table(palette, ignore_index)
    # Plane by plane: a look-up in OpenCV is several times as fast as indexing the table by the label map.
    return cv2.merge([cv2.LUT(labels, np.ascontiguousarray(table[:, channel])) for channel in range(3)])


def overlay(
    image: np.ndarray,
    labels: np.ndarray,
    palette: np.ndarray,
    *,
    alpha: float = 0.55,
    outlines: bool = True,
    ignore_index: int = 255,
) -> np.ndarray:
    """Class colours over the picture, uint8 [H, W, 3] RGB; ignored pixels show the picture alone.

    Args:
        image: uint8 [H, W, 3], RGB.
        labels: uint8 [H, W].
        palette: [K, 3] RGB.
        alpha: share of the class colour, 0..1.
        outlines: draw the border between classes in full colour.
        ignore_index: label value of ignored pixels.

    Raises:
        ValueError: labels of another size than the picture.
    """
    if image.shape[:2] != labels.shape:
        raise ValueError(f"the picture is {list(image.shape[:2])} and the labels are {list(labels.shape)}")
    colours = colour_map(labels, palette, ignore_index)
    mixed = cv2.addWeighted(image, 1.0 - alpha, colours, alpha, 0.0)
    if outlines:
        cv2.copyTo(colours, _borders(labels), mixed)
    ignored = labels == ignore_index
    if ignore_index >= len(palette) and ignored.any():
        cv2.copyTo(image, ignored.view(np.uint8), mixed)
    return mixed


def legend(
    width: int,
    classes: Sequence[str],
    palette: np.ndarray,
    *,
    shares: Sequence[float] | np.ndarray | None = None,
    text_height: int | None = None,
) -> np.ndarray:
    """A strip of colour patches and class names, as wide as a picture, uint8 [h, width, 3] RGB.

    Args:
        width: pixels; names that do not fit a column are cut short with '..'.
        classes: names.
        palette: [K, 3] RGB, one per name.
        shares: part of the picture, 0..1; written behind the names, and classes of share 0 are left out.
            Without it every class is listed, so the strip is the same for all frames of a video.
        text_height: height of capital letters in pixels; by default it follows the width.
    """
    entries = [
        (name if shares is None else f"{name} {_percent(shares[index])}", tuple(int(v) for v in palette[index]))
        for index, name in enumerate(classes)
        if shares is None or shares[index] > 0
    ]
    cap = text_height or min(18, max(8, round(width / 60)))
    patch, gap = round(cap * 1.5), round(cap * 0.7)
    longest = max((text_size(text, cap)[0] for text, _ in entries), default=0)
    columns = max(1, min(len(entries), (width - gap) // (patch + longest + 3 * gap)))
    column, row = (width - gap) // columns, patch + gap
    strip = np.full((math.ceil(len(entries) / columns) * row + gap, width, 3), _PAPER, np.uint8)
    for position, (text, colour) in enumerate(entries):
        x, y = gap + position % columns * column, gap + position // columns * row
        cv2.rectangle(strip, (x, y), (x + patch - 1, y + patch - 1), colour, cv2.FILLED)
        text = _shortened(text, column - patch - 2 * gap, cap)
        draw_text(strip, text, (x + patch + gap, y + (patch + cap) // 2), cap, _INK)
    return strip


def with_legend(picture: np.ndarray, strip: np.ndarray) -> np.ndarray:
    """The strip below the picture; both uint8 [., W, 3] of the same width."""
    return np.concatenate([picture, strip], axis=0)


def class_shares(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Part of the picture that each class takes, float64 [K]; ignored pixels count in the whole."""
    return np.bincount(labels.ravel(), minlength=256)[:num_classes] / max(labels.size, 1)


def write_index_mask(
    path: str | os.PathLike[str], labels: np.ndarray, palette: np.ndarray, ignore_index: int = 255
) -> None:
    """Write labels as an 8-bit palette PNG: readers get class indices, viewers show class colours.

    Raises:
        DataError: the file cannot be written.
    """
    write_png(os.fspath(path), labels, index_table(palette, ignore_index))


def _borders(labels: np.ndarray) -> np.ndarray:
    """255 where the pixel to the right or below has another label, uint8 [H, W]."""
    mask = np.zeros(labels.shape, np.uint8)
    if labels.shape[1] > 1:
        mask[:, :-1] = cv2.absdiff(labels[:, 1:], labels[:, :-1]).reshape(labels.shape[0], -1)
    if labels.shape[0] > 1:
        below = cv2.absdiff(labels[1:], labels[:-1]).reshape(-1, labels.shape[1])
        np.maximum(mask[:-1], below, out=mask[:-1])
    return mask


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def _shortened(text: str, width: int, cap: int) -> str:
    if text_size(text, cap)[0] <= width:
        return text
    while text and text_size(text + "..", cap)[0] > width:
        text = text[:-1]
    return text + ".."
