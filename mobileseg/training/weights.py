"""Weights of whatever holds them: run folder, checkpoint folder, zoo folder, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paddle
import yaml

from mobileseg.config.classes import require_same_classes
from mobileseg.config.load import RUN_CONFIG
from mobileseg.config.signatures import PLAN
from mobileseg.errors import WeightsError
from mobileseg.nn.width import apply_plan
from mobileseg.runtime.manifest import Manifest, is_artefact
from mobileseg.training.checkpoint import STATE, WEIGHTS, read_checkpoint, read_state
from mobileseg.training.store import BEST, CHECKPOINTS, LAST, find_checkpoint
from mobileseg.weights.load import load_into
from mobileseg.weights.quantised import refuse_exported

OTHER_CLASSES = "give the dataset the classes that the weights were trained for, in their order (classes: [...])"
"""Remedy where the classes of weights and of a dataset differ."""


def plan_of(path: str | Path) -> dict[str, list[int]] | None:
    """Channel plan of a run, checkpoint or zoo folder, or of the folder of a weights file; None for a whole network.

    Raises:
        TrainingError: a run folder has no whole checkpoint.
    """
    place = Path(path)
    place = _checkpoint_in(place) if place.is_dir() else place.parent
    if (place / STATE).is_file():
        return _plan_in(read_state(place).get("config"))
    if (place / RUN_CONFIG).is_file():
        return _plan_in(yaml.safe_load((place / RUN_CONFIG).read_text(encoding="utf-8")))
    return None


def load_checkpoint_weights(path: str | Path, network: paddle.nn.Layer, classes: Sequence[str] = ()) -> str:
    """Load weights strictly.

    Args:
        path: a run folder (its ``best``, else its newest checkpoint), a checkpoint folder, a folder with a
            ``model.pdparams`` (zoo, PaddleSeg), or a weights file or URL.
        network: receives them. From a checkpoint with an average of the weights it receives the average,
            which is what was evaluated. Weights of a pruned network make it as narrow as they are.
        classes: names of the classes that the weights are to be used for, where known: those of a dataset.

    Returns:
        What was loaded, for the reader.

    Raises:
        WeightsError: nothing is there, the weights are of another network, or one of them is not a finite number.
        ConfigError: they were trained for other classes, or for the same in another order.
        TrainingError: the checkpoint is damaged.
    """
    place = Path(path)
    if not place.exists() and place.name in (BEST, LAST) and ((place.parent / CHECKPOINTS).is_dir()):
        raise WeightsError(
            f"the run {place.parent} has no {place.name} yet: it has not been "
            + ("evaluated" if place.name == BEST else "saved"),
            remedy=f"name the run folder {place.parent}, which stands for its newest checkpoint",
        )
    require_same_classes(classes_of(path), classes, (str(path), "the dataset"), OTHER_CLASSES)
    if not place.is_dir():
        load_into(network, path)
        return f"{path}{_own_weights(place)}"
    place = _checkpoint_in(place)
    if (place / STATE).is_file():
        checkpoint = read_checkpoint(place)
        _narrow(network, checkpoint.state.get("config"))
        averaged = checkpoint.state["evaluated"] == "ema"
        load_into(network, checkpoint.arrays["ema"] if averaged else checkpoint.weights)
        what = ", average of the weights" if averaged else ""
        return f"{place} (iteration {checkpoint.state['iteration']}{what})"
    file = weights_file(place)
    if (place / RUN_CONFIG).is_file():
        _narrow(network, yaml.safe_load((place / RUN_CONFIG).read_text(encoding="utf-8")))
    load_into(network, file)
    return str(file)


def classes_of(path: str | Path) -> tuple[str, ...]:
    """Names of the classes that weights were trained for, where the folder they are in says them, else nothing.

    Raises:
        TrainingError: the checkpoint is damaged.
    """
    place = Path(path)
    place = _checkpoint_in(place) if place.is_dir() else place.parent
    if (place / STATE).is_file():
        return tuple(read_state(place).get("classes", ()))
    return tuple(Manifest.read(place).classes) if is_artefact(place) else ()


def weights_file(path: str | Path) -> Path:
    """The file of weights that a run, checkpoint or zoo folder stands for; a file stands for itself.

    Raises:
        WeightsError: the folder is an exported one, or has no weights.
        TrainingError: a run folder has no whole checkpoint.
    """
    place = Path(path)
    if not place.is_dir():
        return place
    place = _checkpoint_in(place)
    refuse_exported(place)
    if not (place / WEIGHTS).is_file():
        raise WeightsError(
            f"there are no weights in the folder {place}",
            remedy="name a run folder, a checkpoint folder, a zoo folder or a .pdparams file",
        )
    return place / WEIGHTS


def _checkpoint_in(place: Path) -> Path:
    """The checkpoint folder that a folder means: of a run its best, else its newest."""
    if (place / BEST).is_dir():
        return place / BEST
    if (place / CHECKPOINTS).is_dir() or (place / LAST).is_dir():
        return find_checkpoint(place, print)
    return place


def _own_weights(file: Path) -> str:
    """For the reader, where a file lies beside other weights that are evaluated instead of it."""
    folder = file.parent
    if file.name != WEIGHTS or not (folder / STATE).is_file() or read_state(folder)["evaluated"] == "model":
        return ""
    return f" (the weights themselves; {folder} stands for their average)"


def _narrow(network: paddle.nn.Layer, config: Any) -> None:
    """Apply the channel plan of the configuration that the weights were trained with."""
    plan = _plan_in(config)
    if plan:
        apply_plan(network, plan)


def _plan_in(config: Any) -> dict[str, list[int]] | None:
    model = config.get("model") if isinstance(config, dict) else None
    return (model.get(PLAN) or None) if isinstance(model, dict) else None
