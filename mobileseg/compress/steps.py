"""Steps of a recipe as folders: what is finished is taken as it is, what was interrupted goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobileseg.config.load import RUN_CONFIG, Config
from mobileseg.errors import CompressionError
from mobileseg.files import sha256_of, write_whole
from mobileseg.training.checkpoint import WEIGHTS
from mobileseg.training.result import FitResult
from mobileseg.training.trainer import Trainer
from mobileseg.training.weights import weights_file
from mobileseg.weights.pdparams import save_pdparams

FILE = "step.json"


class Steps:
    """The steps below one folder.

    Args:
        folder: folder of the results.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, name: str, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """Start or take up a step.

        Args:
            name: of its folder.
            settings: everything that decides its result, JSON values.

        Returns:
            What the step found when it finished earlier, None when it has to be done.

        Raises:
            CompressionError: the folder is of a step with other settings, or of something else.
        """
        place = self.folder / name
        wanted = json.loads(json.dumps(settings))
        if place.is_dir() and any(place.iterdir()):
            known = self._read(place)
            differing = sorted(
                key for key in wanted.keys() | known["settings"].keys() if wanted.get(key) != known["settings"].get(key)
            )
            if differing:
                seen = ", ".join(f"{key} {known['settings'].get(key)} (now {wanted.get(key)})" for key in differing)
                raise CompressionError(
                    f"{place} was made with other settings: {_shortened(seen)}",
                    remedy=f"name another --save_dir, or remove {place} to do this step again",
                )
            if known["result"] is not None:
                return dict(known["result"])
        self._write(place, wanted, None)
        return None

    def finish(self, name: str, settings: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
        """Mark a step as finished; returns what :meth:`begin` will return for it."""
        self._write(self.folder / name, json.loads(json.dumps(settings)), dict(result))
        return dict(result)

    def _read(self, place: Path) -> dict[str, Any]:
        try:
            document = json.loads((place / FILE).read_text(encoding="utf-8"))
            return {"settings": dict(document["settings"]), "result": document["result"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CompressionError(
                f"{place} is not empty and not of this recipe: its {FILE} cannot be read",
                remedy="name another --save_dir",
            ) from error

    def _write(self, place: Path, settings: Mapping[str, Any], result: Mapping[str, Any] | None) -> None:
        place.mkdir(parents=True, exist_ok=True)
        write_whole(place / FILE, json.dumps({"settings": settings, "result": result}, indent=1) + "\n")


def save_network(folder: Path, network: Any, config: Config, plan: Mapping[str, Any] | None) -> Config:
    """Write weights with their configuration, as `mobileseg train`, `val` and `export` take them.

    Args:
        folder: gets ``model.pdparams`` and ``config.yml``.
        network: any.
        config: that it was built from.
        plan: channel plan relative to the whole network, None for a whole one.

    Returns:
        The configuration of the folder: a training with it starts from these weights.
    """
    model = {**config.to_dict()["model"], "pretrained": str(folder / WEIGHTS)}
    if plan:
        model["plan"] = {name: list(shape) for name, shape in plan.items()}
    if isinstance(model.get("backbone"), dict):
        model["backbone"] = {key: value for key, value in model["backbone"].items() if key != "pretrained"}
    own = config.changed({"model": model})
    folder.mkdir(parents=True, exist_ok=True)
    save_pdparams(folder / WEIGHTS, {name: tensor.numpy() for name, tensor in network.state_dict().items()})
    write_whole(folder / RUN_CONFIG, own.to_yaml())
    return own


def phase_config(config: Config, phase: Any, *, sparsity: Mapping[str, Any] | None) -> Config:
    """The configuration of a training inside a recipe.

    Args:
        config: of the folder that :func:`save_network` wrote.
        phase: section `sparse` or `finetune`.
        sparsity: section `sparsity` of this training.
    """
    config.require("lr_scheduler")
    schedule = dict(config.to_dict()["lr_scheduler"])
    if phase.learning_rate is not None:
        schedule["learning_rate"] = phase.learning_rate
    warmup = phase.warmup_iters
    schedule["warmup_iters"] = min(schedule["warmup_iters"], phase.iters // 10) if warmup is None else warmup
    if "decay_steps" in schedule:
        schedule["decay_steps"] = None
    return config.changed({"iters": phase.iters, "lr_scheduler": schedule, "sparsity": sparsity})


def train(config: Config, folder: Path, *, do_eval: bool) -> FitResult:
    """Train into a run folder, going on where an interrupted call stopped."""
    trainer = Trainer(config, folder, do_eval=do_eval)
    return trainer.fit("auto")


def identity_of(weights: Path) -> str:
    """What tells weights apart: the hash of the file that a folder stands for, or of the file."""
    return sha256_of(weights_file(weights))


def _shortened(text: str) -> str:
    return text if len(text) < 300 else f"{text[:297]}..."
