"""How samples are moved: each step acts on image, label and objects together.

Transforms decide what to do; the pixels are moved here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mobileseg.data.sample import Sample
from mobileseg.errors import DataError
from mobileseg.limits import size_fault
from mobileseg.pixels import resize, resize_nearest_label


def resize_sample(sample: Sample, width: int, height: int, interpolation: int = cv2.INTER_LINEAR) -> Sample:
    """Resize image (float32), label (nearest) and objects to ``width`` x ``height``, at least one pixel each."""
    width, height = max(1, width), max(1, height)
    _check_size(sample, height, width)
    sample.note("resize")
    if sample.size != (height, width):
        sample.image = resize(sample.image, (height, width), interpolation)
        if sample.label is not None:
            sample.label = resize_nearest_label(sample.label, (height, width))
        if sample.instances is not None:
            sample.instances = sample.instances.resize((height, width))
    return sample


def place_sample(
    sample: Sample,
    top: int,
    left: int,
    width: int,
    height: int,
    image_value: float | Sequence[float],
    label_value: int | None,
) -> Sample:
    """Put the sample on a canvas of ``width`` x ``height`` that holds all of it.

    Args:
        sample: changed in place.
        top: rows above the image.
        left: columns to the left of it.
        width: pixels of the canvas.
        height: pixels of the canvas.
        image_value: 0..255, a grey value or one per channel.
        label_value: label outside the image; None: the sample's ignore_index.
    """
    _check_size(sample, height, width)
    bottom, right = height - sample.size[0] - top, width - sample.size[1] - left
    values = np.ravel(np.asarray(image_value, np.float64)).tolist()
    colour = tuple(values) if len(set(values)) > 1 else (values[0],) * 4  # as many as OpenCV may ask for
    constant = cv2.BORDER_CONSTANT
    sample.image = cv2.copyMakeBorder(sample.image, top, bottom, left, right, constant, value=colour)
    if sample.label is not None:
        value = sample.ignore_index if label_value is None else label_value
        sample.label = cv2.copyMakeBorder(sample.label, top, bottom, left, right, constant, value=value)
    if sample.instances is not None:
        sample.instances = sample.instances.place(top, left, (height, width))
    return sample


def pad_sample(sample: Sample, width: int, height: int, image_value: float, label_value: int | None) -> Sample:
    """Pad at the bottom and at the right up to ``width`` x ``height``; larger sides stay."""
    height, width = max(height, sample.size[0]), max(width, sample.size[1])
    if sample.size != (height, width):
        sample.note("padding")
        place_sample(sample, 0, 0, width, height, image_value, label_value)
    return sample


def crop_sample(sample: Sample, top: int, left: int, height: int, width: int) -> Sample:
    """Cut a rectangle out."""
    sample.image = sample.image[top : top + height, left : left + width]
    if sample.label is not None:
        sample.label = sample.label[top : top + height, left : left + width]
    if sample.instances is not None:
        sample.instances = sample.instances.crop(top, left, height, width)
    return sample


def flip_sample(sample: Sample, axis: int) -> Sample:
    """Mirror left and right (``axis`` 1) or top and bottom (``axis`` 0)."""
    sample.image = cv2.flip(sample.image, axis)
    if sample.label is not None:
        sample.label = cv2.flip(sample.label, axis)
    if sample.instances is not None:
        sample.instances = sample.instances.flip(axis)
    return sample


def warp_sample(
    sample: Sample, matrix: np.ndarray, size: tuple[int, int], image_value: float, label_value: int | None
) -> Sample:
    """Warp by an affine map.

    Args:
        sample: changed in place.
        matrix: float64 [2, 3], from pixel centres of the sample to pixel centres of the canvas.
        size: (width, height) of the canvas.
        image_value: grey value outside the image, 0..255.
        label_value: label outside the image; None: the sample's ignore_index.
    """
    _check_size(sample, size[1], size[0])
    border = cv2.BORDER_CONSTANT
    sample.image = cv2.warpAffine(
        sample.image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=(image_value,) * 4
    )
    if sample.label is not None:
        value = sample.ignore_index if label_value is None else label_value
        sample.label = cv2.warpAffine(
            sample.label, matrix, size, flags=cv2.INTER_NEAREST, borderMode=border, borderValue=value
        )
    if sample.instances is not None:
        sample.instances = sample.instances.warp(matrix, (size[1], size[0]))
    return sample


def _check_size(sample: Sample, height: int, width: int) -> None:
    """Refuse a size that memory does not hold before anything is allocated."""
    fault = size_fault(height, width)
    if fault:
        raise DataError(
            f"the transforms make {sample.meta.get('image_path', 'an image')} too large: {fault}",
            remedy="correct sizes and factors in the list of transforms",
        )
