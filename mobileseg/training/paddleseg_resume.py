"""Going on from a checkpoint of PaddleSeg: ``iter_<n>/`` with ``model.pdparams`` and ``model.pdopt``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mobileseg.errors import TrainingError, WeightsError
from mobileseg.training.checkpoint import STATE, WEIGHTS, Checkpoint
from mobileseg.weights.pdparams import NAME_TABLE, read_pdparams
from mobileseg.weights.safe_pickle import read_pickle

if TYPE_CHECKING:
    from mobileseg.config.load import Config
    from mobileseg.training.run_state import RunState

OPTIMIZER = "model.pdopt"


def is_paddleseg_checkpoint(path: Path) -> bool:
    """Whether a folder, or the folder of a file, is a checkpoint that PaddleSeg wrote."""
    folder = path.parent if path.is_file() else path
    return (folder / OPTIMIZER).is_file() and (folder / WEIGHTS).is_file() and not (folder / STATE).is_file()


def read_paddleseg_checkpoint(run: RunState, folder: Path, config: Config, say: Callable[[str], None]) -> Checkpoint:
    """A checkpoint of PaddleSeg in the form of ours, for a run of the same network and optimizer.

    Weights, optimizer and learning rate go on where they were. PaddleSeg keeps neither the order of its samples nor
    its random numbers nor the best score: those start as this suite has them at that iteration.

    Args:
        run: whose order of samples and loss scale are taken.
        folder: ``iter_<n>``; nothing is written into it.
        config: of the run.
        say: told what starts anew.

    Raises:
        TrainingError: a file cannot be read, or does not say which entry belongs to which parameter.
    """
    try:
        with (folder / WEIGHTS).open("rb") as stream:
            weights = read_pdparams(stream, str(folder / WEIGHTS))
        names = _content(folder / WEIGHTS).get(NAME_TABLE)
        entries = _content(folder / OPTIMIZER)
    except (OSError, WeightsError) as error:
        raise TrainingError(f"{folder} cannot be read: {error}", remedy=_new_run(folder)) from error
    if not isinstance(names, dict):
        raise TrainingError(
            f"{folder / WEIGHTS} does not say how PaddleSeg numbered its parameters, so {OPTIMIZER} cannot be assigned",
            remedy=_new_run(folder),
        )
    iteration = _iteration(folder, entries)
    order = run.steps[0].order
    assert order is not None  # the first step has data of its own
    epoch, batch = divmod(iteration * config.to_dict()["accumulate"], order.batches_per_epoch)
    state: dict[str, Any] = {
        "iteration": iteration,
        "config": config.to_dict(),
        "sampler": {"epoch": epoch, "samples": batch * order.whole},
        "scaler": run.precision.scaler.state_dict(),
        "ema": None,
        "best": None,
        "stale_evals": 0,
    }
    arrays = _assigned({str(own): str(key) for key, own in names.items()}, entries)
    say(f"{folder} is of PaddleSeg: order of samples, random numbers and best score start anew")
    return Checkpoint(weights, {"optimizer": arrays}, state)


def _content(path: Path) -> Mapping[Any, Any]:
    with path.open("rb") as stream:
        content = read_pickle(stream, str(path))
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}, expected a dictionary")
    return content


def _iteration(folder: Path, entries: Mapping[Any, Any]) -> int:
    """From the name of the folder, else from the schedule."""
    found = re.fullmatch(r"iter_([0-9]{1,9})", folder.name)
    if found:
        return int(found[1])
    schedule = entries.get("LR_Scheduler")
    last = schedule.get("last_epoch") if isinstance(schedule, dict) else None
    if not isinstance(last, int) or isinstance(last, bool) or last < 0:
        raise TrainingError(
            f"neither the name of {folder} nor its {OPTIMIZER} says at which iteration it was saved",
            remedy="call the folder iter_<n> again, as PaddleSeg did",
        )
    return last


def _assigned(names: Mapping[str, str], entries: Mapping[Any, Any]) -> dict[str, np.ndarray]:
    """Accumulators as ``<structured name>/<accumulator>``, from ``<internal name>_<accumulator>_<number>``."""
    longest_first = sorted(names, key=len, reverse=True)
    found: dict[str, np.ndarray] = {}
    for key, value in entries.items():
        array = value[1] if isinstance(value, tuple) and len(value) == 2 else value
        if not isinstance(array, np.ndarray) or not isinstance(key, str):
            continue
        owner = next((name for name in longest_first if key.startswith(f"{name}_")), None)
        if owner is not None:
            found[f"{names[owner]}/{re.sub(r'_[0-9]+$', '', key[len(owner) + 1 :])}"] = array
    return found


def _new_run(folder: Path) -> str:
    return f"start a new run from its weights: -o model.pretrained={folder / WEIGHTS}"
