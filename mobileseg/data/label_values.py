"""What values of labels mean, and what to write when they do not fit: one answer for doctor and training."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from mobileseg.errors import ConfigError

IGNORED = 255


def is_binary_255(stored: np.ndarray, lookup: np.ndarray | None, ignore_index: int, num_classes: int) -> bool:
    """Whether stored label values (int64 [256] pixel counts) are 0 and 255 alone while 255 would be ignored."""
    mapped = IGNORED if lookup is None else int(lookup[IGNORED])
    return bool(num_classes > 1 and mapped == ignore_index and stored[IGNORED] and not stored[1:IGNORED].any())


def range_remedy(values: Collection[int], num_classes: int, ignore_index: int, *, mapped: bool) -> str:
    """What to do about stored values of which some are neither a class nor ``ignore_index``.

    Args:
        values: all values that occur, of one label or of many.
        num_classes: classes of the dataset.
        ignore_index: value that counts nowhere.
        mapped: whether the dataset has a ``label_map``, which then is what is wrong.
    """
    counted = sorted(set(values) - {ignore_index})
    outside = [value for value in counted if value >= num_classes]
    if not mapped and outside == [num_classes] and 0 not in counted:
        pairs = ", ".join(f"{index + 1}: {index}" for index in range(num_classes))
        return f"the labels seem to count from 1: write 'label_map: {{{pairs}}}'"
    if not mapped and len(counted) == num_classes:
        pairs = ", ".join(f"{value}: {index}" for index, value in enumerate(counted))
        return f"if these are the classes in order, write 'label_map: {{{pairs}}}'"
    largest = max(outside, default=ignore_index)
    if not mapped and largest < 254 and len(outside) == largest - num_classes + 1:
        return f"num_classes: {largest + 1}, or map the values with label_map, for example {{{largest}: 255}} to ignore"
    return f"map them with label_map, for example 'label_map: {{{largest}: {ignore_index}}}' to ignore one"


def check_label_arguments(transforms: Sequence[Any], num_classes: int, ignore_index: int) -> None:
    """Refuse label values that a transform would write and that are neither a class nor ``ignore_index``.

    Raises:
        ConfigError: names the transform and its argument.
    """
    for transform in transforms:
        value = getattr(transform, "label_padding_value", None)
        if value is None:
            continue
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not (0 <= value < num_classes or value == ignore_index):
            name = type(transform).__name__
            raise ConfigError(
                f"{name}.label_padding_value is {value!r}, which is neither one of the {num_classes} classes "
                f"(0..{num_classes - 1}) nor ignore_index ({ignore_index})",
                remedy=f"leave label_padding_value out: padding is then ignored ({ignore_index})",
            )
