"""Checkpoints: folders that appear complete or not at all.

A checkpoint folder holds ``model.pdparams`` (the network, readable by PaddleSeg), ``optimizer.npz`` and, with an
average of the weights, ``ema.npz``, and ``state.json`` (everything else, and the SHA-256 of the other files).
It is written under a temporary name, flushed to the disk and renamed, so whatever stops the process, a folder
with its final name is whole. Nothing in it is ever unpickled without restriction.

A run folder keeps ``checkpoints/iter_<n>/`` (the newest few), ``last/`` (the newest of all) and ``best/`` (the
highest validation mIoU). ``last`` and ``best`` share their files with ``iter_<n>`` by hard links where possible.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.errors import TrainingError, WeightsError
from mobileseg.files import sha256_of
from mobileseg.folders import flush
from mobileseg.training.state_schema import state_problem
from mobileseg.weights.pdparams import read_pdparams, save_pdparams

FORMAT = 2
"""1 (versions before 0.2) has no hash of the state itself and no names of the classes."""

OWN_HASH = "state_sha256"
_MAX_STATE_BYTES = 16 << 20
STATE = "state.json"
WEIGHTS = "model.pdparams"
_TEMPORARY = ".tmp-"
_REPLACED = ".old-"


@dataclass
class Checkpoint:
    """What a checkpoint folder holds.

    Attributes:
        weights: parameters and buffers of the network by structured name.
        arrays: further groups of arrays; ``{"optimizer": {...}}`` is the file ``optimizer.npz``.
        state: JSON values: iteration, sampler, scheduler, scaler, best metric, configuration, versions.
    """

    weights: dict[str, np.ndarray]
    arrays: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint folder, replacing one of the same name only when the new one is complete.

    Raises:
        TrainingError: the disk is full or the folder cannot be written; what was there before is intact.
    """
    temporary = folder.parent / f"{_TEMPORARY}{folder.name}-{os.getpid()}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        save_pdparams(temporary / WEIGHTS, checkpoint.weights)
        for name, group in checkpoint.arrays.items():
            _write_npz(temporary / f"{name}.npz", group)
        written = sorted(path.name for path in temporary.iterdir())
        hashes = {name: sha256_of(temporary / name) for name in written}
        state = json.loads(json.dumps({"format": FORMAT, **checkpoint.state, "files": hashes}))  # as it will be read
        state[OWN_HASH] = hash_of_state(state)
        (temporary / STATE).write_text(json.dumps(state, indent=1, sort_keys=True), encoding="utf-8")
        for name in (*written, STATE):
            flush(temporary / name)
        _swap_in(temporary, folder)
    except (OSError, WeightsError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _unwritable(folder, error) from error


def _write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """As ``np.savez``, which leaves its archive open when the disk is full and then complains when it is collected."""
    with zipfile.ZipFile(path, "w") as bundle:
        for name, array in arrays.items():
            with bundle.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)


def link_checkpoint(source: Path, folder: Path) -> None:
    """Make ``folder`` the same checkpoint as ``source``, by hard links or, where there are none, by copies.

    Raises:
        TrainingError: as :func:`write_checkpoint`.
    """
    temporary = folder.parent / f"{_TEMPORARY}{folder.name}-{os.getpid()}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        for path in sorted(source.iterdir()):
            try:
                os.link(path, temporary / path.name)
            except OSError:
                shutil.copyfile(path, temporary / path.name)
                flush(temporary / path.name)
        _swap_in(temporary, folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _unwritable(folder, error) from error


def read_state(folder: Path) -> dict[str, Any]:
    """The ``state.json`` of a checkpoint, after every other file was compared with its hash.

    Raises:
        TrainingError: the folder is no checkpoint, is incomplete, or a file was changed or damaged.
    """
    path = folder / STATE
    if not path.is_file():
        if (folder / "model.pdopt").is_file():
            raise TrainingError(
                f"{folder} is a checkpoint of PaddleSeg (model.pdopt), without sampler and random state",
                remedy=f"start a new run from its weights: -o model.pretrained={folder / WEIGHTS}",
            )
        raise TrainingError(
            f"{folder} is no checkpoint: it has no {STATE}", remedy="name a run folder or a folder in checkpoints/"
        )
    try:
        if path.stat().st_size > _MAX_STATE_BYTES:
            raise _damaged(folder, f"{STATE} is larger than {_MAX_STATE_BYTES >> 20} MiB")
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(folder, f"{STATE} cannot be read ({error})") from error
    if not isinstance(state, dict):
        raise _damaged(folder, f"{STATE} holds a {type(state).__name__}, not an object")
    known = state.get("format")
    if known not in (1, FORMAT) or isinstance(known, bool):
        raise TrainingError(
            f"{folder} is a checkpoint of format {str(known)[:40]}, this version reads the formats 1 and {FORMAT}",
            remedy="continue with the version of mobileseg that wrote it (versions are in its state.json)",
        )
    if (OWN_HASH in state) != (known == FORMAT) or (known == FORMAT and state[OWN_HASH] != hash_of_state(state)):
        raise _damaged(folder, f"{STATE} was changed: it does not have the hash that was written into it")
    problem = state_problem(state)
    if problem:
        raise _damaged(folder, f"{STATE}: {problem}")
    for name, expected in state["files"].items():
        if not (folder / name).is_file():
            raise _damaged(folder, f"{name} is missing")
        if sha256_of(folder / name) != expected:
            raise _damaged(folder, f"{name} does not have the hash in {STATE}")
    return state


def hash_of_state(state: Mapping[str, Any]) -> str:
    """SHA-256 of a state without its own hash, whatever the order and layout of its text."""
    rest = {key: value for key, value in state.items() if key != OWN_HASH}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a whole checkpoint, verifying it.

    Raises:
        TrainingError: see :func:`read_state`.
    """
    state = read_state(folder)
    arrays: dict[str, dict[str, np.ndarray]] = {}
    try:
        with open(folder / WEIGHTS, "rb") as stream:
            weights = read_pdparams(stream, str(folder / WEIGHTS))
        for name in state["files"]:
            if name.endswith(".npz"):
                with np.load(folder / name, allow_pickle=False) as file:
                    arrays[name.removesuffix(".npz")] = {key: file[key] for key in file.files}
                for key, value in arrays[name.removesuffix(".npz")].items():
                    if not isinstance(value, np.ndarray):
                        raise _damaged(folder, f"{name}: '{key}' is no array")
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, WeightsError) as error:
        raise _damaged(folder, str(error)) from error
    return Checkpoint(weights, arrays, state)


def recover(parent: Path) -> None:
    """Tidy up after a process that was killed while it wrote into ``parent``: undo half-done swaps, drop remains."""
    if not parent.is_dir():
        return
    for path in parent.iterdir():
        if path.name.startswith(_REPLACED):
            final = parent / path.name.removeprefix(_REPLACED)
            if final.exists():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.rename(final)
        elif path.name.startswith(_TEMPORARY):
            shutil.rmtree(path, ignore_errors=True)


def _swap_in(temporary: Path, folder: Path) -> None:
    """Rename into place. A non-empty folder cannot be replaced in one step, so the old one steps aside first."""
    flush(temporary)
    replaced = folder.parent / f"{_REPLACED}{folder.name}"
    if folder.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        folder.rename(replaced)
    temporary.rename(folder)
    flush(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _unwritable(folder: Path, error: OSError | WeightsError) -> TrainingError:
    reason = error.message if isinstance(error, WeightsError) else error.strerror or error
    return TrainingError(
        f"cannot save the checkpoint {folder}: {reason}",
        remedy="free space or rights there and continue with --resume; checkpoints saved before are intact",
    )


def _damaged(folder: Path, reason: str) -> TrainingError:
    return TrainingError(
        f"the checkpoint {folder} is damaged: {reason}", remedy="resume from another one in the run folder"
    )
