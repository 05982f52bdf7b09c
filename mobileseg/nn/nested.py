"""Outputs of networks that are more than one tensor: tuples, lists and dictionaries of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import paddle


def cast(value: Any, dtype: str) -> Any:
    """The same structure with every floating-point tensor as ``dtype``; integers (indices) stay what they are."""
    if isinstance(value, paddle.Tensor):
        return value.astype(dtype) if value.is_floating_point() else value
    if isinstance(value, Mapping):
        return {key: cast(item, dtype) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(cast(item, dtype) for item in value)
    return value
