"""Paddle's ``.pdparams``: read without Paddle and without executing anything, written so that Paddle reads it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mobileseg.errors import WeightsError
from mobileseg.weights import safe_pickle

NAME_TABLE = "StructuredToParameterName@@"
SLICES = "UnpackBigParamInfor@@"
"""Keys that paddle.save adds: the internal parameter names, and the parts of arrays that were cut up."""


def read_pdparams(stream: BinaryIO, what: str) -> dict[str, np.ndarray]:
    """Arrays by name.

    Both forms of paddle.save are read: plain arrays, and (internal name, array) pairs. Entries that are not
    arrays (step counters, nested optimizer states) are left out.

    Raises:
        WeightsError: damaged, refused, or without any array.
    """
    content = safe_pickle.read_pickle(stream, what)
    if not isinstance(content, dict):
        raise WeightsError(f"{what} holds a {type(content).__name__}, not a dictionary of parameters")
    state = {}
    for name, value in content.items():
        array = value[1] if _is_named(value) else value
        if isinstance(name, str) and isinstance(array, np.ndarray):
            state[name] = array
    slices = content.get(SLICES)
    if isinstance(slices, dict):
        _join(state, slices, what)
    if not state:
        raise WeightsError(
            f"{what} holds no parameters", remedy="give the .pdparams file of the network, not of the optimizer"
        )
    return state


def _is_named(value: Any) -> bool:
    return (
        isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], np.ndarray)
    )


def _join(state: dict[str, np.ndarray], slices: dict[Any, Any], what: str) -> None:
    for name, entry in slices.items():
        try:
            parts = [state.pop(part).reshape(-1) for part in entry["slices"]]
            state[name] = np.concatenate(parts).reshape(tuple(entry["OriginShape"]))
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{what} is damaged: the parts of '{name}' do not fit together") from error


def save_pdparams(path: str | os.PathLike[str], state: Mapping[str, np.ndarray]) -> None:
    """Write a file that ``paddle.load`` and PaddleSeg read; complete or not there.

    Args:
        path: file to write; its folder must exist.
        state: arrays by parameter name, as in the network's state_dict.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    content = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in state.items()}
    try:
        with part.open("wb") as file:
            pickle.dump(content, file, protocol=4)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise WeightsError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
