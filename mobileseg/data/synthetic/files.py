"""How synthetic datasets are written: whole folders, the same bytes for the same parameters."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mobileseg.data import flow as flow_files
from mobileseg.errors import DataError
from mobileseg.folders import put_in_place, staged

_log = logging.getLogger(__name__)

STAMP = "synthetic.json"
"""File that holds the parameters a folder was written with."""


def write_once(root: Path, parameters: dict[str, Any], write: Callable[[Path, dict[str, Any]], None]) -> bool:
    """Write a folder, unless it is there already with the same parameters; it appears when it is complete.

    Args:
        root: the folder.
        parameters: as JSON; ``write`` leaves them in :data:`STAMP`.
        write: writes into a fresh folder.

    Returns:
        Whether anything was written.

    Raises:
        DataError: the folder holds something else, or cannot be written.
    """
    if _stamp(root) == parameters:
        return False
    if root.exists() and not root.is_dir():
        raise DataError(f"{root} is a file; a folder for the synthetic dataset was expected")
    if root.is_dir() and _stamp(root) is None and any(root.iterdir()):
        raise DataError(
            f"{root} is not empty and was not written by this generator; it is left as it is",
            remedy="name another folder",
        )
    try:
        with staged(root, DataError, waiting=_waiting) as stage:
            if _stamp(root) == parameters:  # another process has written it meanwhile
                return False
            write(stage, parameters)
            put_in_place(stage, root)
    except OSError as error:
        raise DataError(
            f"cannot write the synthetic dataset to {root}: {error.strerror or error}",
            remedy="choose a folder that can be written, on a disk with room",
        ) from error
    return True


def _waiting() -> None:
    _log.info("another process writes the synthetic dataset; waiting for it")


def _stamp(root: Path) -> dict[str, Any] | None:
    """The parameters a folder was written with, None when it is not one of ours."""
    try:
        parameters = json.loads((root / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return parameters if isinstance(parameters, dict) else None


def instance_fields(mask: np.ndarray) -> dict[str, Any]:
    """COCO fields of a mask: uncompressed run lengths down the columns, box (x, y, width, height), area."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], changes, [mask.size]]))
    if changes.size and changes[-1] == mask.size:
        counts = counts[:-1]
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    return {
        "segmentation": {"size": list(mask.shape), "counts": counts.tolist()},
        "bbox": [x, y, w, h],
        "area": int(mask.sum()),
    }


def write_png(path: Path, image: np.ndarray) -> None:
    """Write uint8 [H, W] or RGB [H, W, 3]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    done, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise DataError(f"OpenCV could not encode {path.name} as PNG")
    path.write_bytes(data.tobytes())


def write_flow(path: Path, flow: np.ndarray) -> None:
    """Write a .flo file, float32 [H, W, 2]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flow_files.write_flow(path, flow)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a document in one line, with its keys in alphabetical order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, sort_keys=True) + "\n", encoding="utf-8")
