"""What a run must remember to go on exactly as if it had never stopped, and how it is put back."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle.optimizer import Optimizer

import mobileseg
from mobileseg.config.classes import require_same_classes
from mobileseg.config.load import RUN_CONFIG, Config
from mobileseg.config.schema import Schema
from mobileseg.errors import ConfigError, TrainingError
from mobileseg.files import write_whole
from mobileseg.nn.compat import cpu_threads
from mobileseg.paddle_version import BUILDS
from mobileseg.training.amp import Precision
from mobileseg.training.checkpoint import Checkpoint
from mobileseg.training.cpu.speed import kernels_of
from mobileseg.training.distributed import Processes
from mobileseg.training.extension import Extension
from mobileseg.training.optim import ParameterGroup, create_accumulators, load_optimizer_arrays, optimizer_arrays
from mobileseg.training.schedule import Schedule
from mobileseg.training.steps import Results, Running, result_arrays, results_of
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.weights.quantised import refuse_quantised

_NEEDED = ("iteration", "sampler", "scaler", "best", "stale_evals", "config")

_AVERAGE, _EARLIER = "ema", "earlier"
"""In every state, null without an average; the file of what the steps of an unfinished iteration left."""

_HARMLESS = {"num_workers", "log_iters", "save_interval", "keep_checkpoint_max", "val_dataset", "eval_interval"} | {
    "test_config",
    "detection",
    "keyframes",
    "export",
    "early_stop",
    "compress",
}
"""Settings that may differ between the two halves of a run without changing the weights it ends with."""


def prepare_folder(run: Path, config: Config | None = None) -> None:
    """Create the run folder and write the resolved configuration, if given, into it.

    Raises:
        TrainingError: the folder cannot be written.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        if config is not None:
            write_whole(run / RUN_CONFIG, config.to_yaml())
    except OSError as error:
        raise unwritable(run, error) from error


def unwritable(run: Path, error: OSError) -> TrainingError:
    """The error of a run folder that cannot be written."""
    return TrainingError(
        f"cannot write into the run folder {run}: {error.strerror or error}",
        remedy="name a folder with room and write permission with --save_dir",
    )


def environment_line(processes: Processes, config: Config) -> str:
    """One line that says where and with what a run is done."""
    return (
        f"mobileseg {mobileseg.__version__}, paddle {paddle.__version__}, Python {platform.python_version()}, "
        f"{paddle.get_device()}, {cpu_threads()} thread(s), {processes.count} process(es), "
        f"kernels: {kernels_of(config.to_dict())}, config {config.hash[:12]}"
    )


def versions() -> dict[str, str]:
    """Versions of what takes part in training."""
    found = {"mobileseg": mobileseg.__version__, "python": platform.python_version()}
    for name in (*BUILDS, "numpy", "opencv-python"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@dataclass
class RunState:
    """Everything of a run that a checkpoint must hold.

    Attributes:
        network: in training.
        optimizer: with its accumulators.
        groups: parameters that the optimizer trains.
        schedule: learning rate.
        precision: number format and loss scale.
        steps: steps of an iteration and where they stand in their data.
        extensions: by name.
        seed: of the run.
        iters: iterations of the whole run.
        classes: names of the classes that are trained.
        judge: from :func:`judge_of`; None without evaluations.
        iteration: iterations done.
        step: steps done of the iteration that was interrupted, else 0.
        earlier: what these steps left for later ones.
        losses: mean losses of these steps.
        best: ``metric``, ``score`` and ``iteration`` of the best evaluation, None before the first.
        stale_evals: evaluations since then.
    """

    network: paddle.nn.Layer
    optimizer: Optimizer
    groups: list[ParameterGroup]
    schedule: Schedule
    precision: Precision
    steps: list[Running]
    extensions: dict[str, Extension]
    seed: int
    iters: int
    classes: tuple[str, ...] = ()
    judge: str | None = None
    iteration: int = 0
    step: int = 0
    earlier: Results = field(default_factory=dict)
    losses: dict[str, paddle.Tensor] = field(default_factory=dict)
    best: dict[str, Any] | None = None
    stale_evals: int = 0

    def __post_init__(self) -> None:
        create_accumulators(self.optimizer, self.groups)


def judge_of(config: Config, dataset: Any) -> str:
    """What tells evaluations apart whose scores must not be compared: images, annotations and how they are used.

    Folders do not count, so that a run can go on where its data lie elsewhere.
    """
    settings = config.to_dict()
    section = settings["val_dataset"] or {}
    named = {key: Path(value).name if isinstance(value, str) else value for key, value in section.items()}
    named.pop("dataset_root", None)
    images = [Path(str(item.image)).name for item in getattr(dataset, "items", ())]
    parts = [named, images, len(dataset), settings["test_config"], settings["detection"]]
    parts += [] if config.keyframes == KeyframeOptions() else [settings["keyframes"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def pack(run: RunState, config: Config, processes: Processes) -> Checkpoint:
    """The checkpoint of a run between two steps."""
    arrays = {"optimizer": optimizer_arrays(run.optimizer, run.groups)}
    kept: dict[str, Any] = {_AVERAGE: None}
    for name, extension in run.extensions.items():
        own, values = extension.state()
        if own or values:
            arrays[name], kept[name] = own, values
    evaluated = [name for name, extension in run.extensions.items() if extension.evaluates]
    between = {}
    if run.step:
        arrays[_EARLIER] = result_arrays(run.earlier)
        between = {"step": run.step, "losses": {name: value.item() for name, value in run.losses.items()}}
    state = {
        "iteration": run.iteration,
        "iters": run.iters,
        "classes": list(run.classes),
        "judge": run.judge,
        "sampler": run.steps[0].sampler_state(),
        "further_samplers": {one.step.name: one.sampler_state() for one in run.steps[1:]},
        "between_steps": between,
        "random": {"seed": run.seed, "rule": "seeded from (seed, iteration, rank) before every iteration"},
        "scheduler": {"last_epoch": run.schedule.last_epoch, "last_lr": run.schedule.last_lr},
        "scaler": run.precision.scaler.state_dict(),
        **kept,
        "best": run.best,
        "stale_evals": run.stale_evals,
        "evaluated": evaluated[0] if evaluated else "model",
        **_surroundings(config, processes),
        "config": config.to_dict(),
        "config_hash": config.hash,
        "versions": versions(),
    }
    weights = {name: tensor.numpy() for name, tensor in run.network.state_dict().items()}
    return Checkpoint(weights, arrays, state)


def unpack(
    run: RunState,
    checkpoint: Checkpoint,
    folder: Path,
    *,
    config: Config,
    processes: Processes,
    say: Callable[[str], None],
) -> None:
    """Put a checkpoint into a run.

    Args:
        run: receives it.
        checkpoint: verified.
        folder: that it is of, for messages.
        config: of the run; settings that differ are named through ``say``.
        processes: of the run.
        say: told what was restored.

    Raises:
        TrainingError: it belongs to another network, another optimizer or other steps; nothing was changed.
    """
    state = checkpoint.state
    absent = [key for key in _NEEDED if key not in state]
    if absent:
        raise TrainingError(
            f"the checkpoint {folder} is damaged: its state lacks {', '.join(absent)}",
            remedy="resume from another one in the run folder",
        )
    require_same_classes(
        state.get("classes", ()),
        run.classes,
        (f"the checkpoint {folder}", "train_dataset"),
        "resume with the classes of the saved run, in their order; or start anew with model.pretrained",
        TrainingError,
    )
    _say_what_differs(state, config, processes, say)
    refuse_quantised(checkpoint.weights, run.network.state_dict(), str(folder))
    fits(run.network, checkpoint.weights, folder)
    further, between = state.get("further_samplers", {}), state.get("between_steps", {})
    _same_steps(run.steps, further, folder)
    if between and state["config"].get("accumulate") != config.accumulate:
        raise TrainingError(
            f"{folder} was saved between two steps of an iteration of {state['config'].get('accumulate')} batches "
            f"each, and accumulate is {config.accumulate}",
            remedy="resume with the accumulate of the saved run, or from another checkpoint of it",
        )
    try:
        for name, extension in run.extensions.items():
            extension.check(checkpoint.arrays.get(name, {}))
        load_optimizer_arrays(run.optimizer, run.groups, checkpoint.arrays.get("optimizer", {}))
    except ConfigError as error:
        raise TrainingError(f"{folder}: {error.message}", remedy=error.remedy) from error
    load_arrays(run.network, checkpoint.weights)
    for name, extension in run.extensions.items():
        extension.load(checkpoint.arrays.get(name, {}), state.get(name) or {}, checkpoint.weights)
    run.iteration = state["iteration"]
    run.schedule.step(run.iteration)
    run.precision.scaler.load_state_dict(state["scaler"])
    for running in run.steps:
        running.load_sampler(further.get(running.step.name, state["sampler"]))
    if between:
        run.step, run.earlier = between["step"], results_of(checkpoint.arrays[_EARLIER])
        run.losses = {name: paddle.to_tensor(value, "float32") for name, value in between["losses"].items()}
    run.best, run.stale_evals = best_of_state(state["best"]), state["stale_evals"]
    judge = state.get("judge") or run.judge
    run.judge = run.judge or judge  # a part without evaluations changes nothing about those before it
    if run.best is not None and judge != run.judge:
        best = run.best["score"]
        say(f"what is evaluated changed (val_dataset, test_config): the best score so far ({best:.4f}) is not compared")
        run.best, run.stale_evals = None, 0
    restored = ["weights", "optimizer", "schedule", "order of samples", "random numbers"]
    restored += [name for name in run.extensions if state.get(name)]
    restored += ["loss scale"] if run.precision.scaler.enabled else []
    say(f"resumed from {folder} at iteration {run.iteration}: {', '.join(restored)}")


def _say_what_differs(
    state: Mapping[str, Any], config: Config, processes: Processes, say: Callable[[str], None]
) -> None:
    """Say what keeps a resumed run from being bit by bit the saved one, if anything does."""
    differing = differences(state["config"], config.to_dict())
    for name, now in _surroundings(config, processes).items():
        if state.get(name, now) != now:
            differing.append(f"{name}: {state[name]} -> {now}")
    if differing:
        say(
            "resuming with another configuration, so not bit by bit what the saved run would have done:\n  "
            + "\n  ".join(differing)
        )
    before, now = (_paddle_of(found) for found in (state.get("versions", {}), versions()))
    if before and before != now:
        say(f"saved with Paddle {before}, resuming with {now}: not bit by bit what the saved run would have done")


def _surroundings(config: Config, processes: Processes) -> dict[str, Any]:
    """What the bits of a run depend on besides its configuration: each rounds sums in another order."""
    return {
        "processes": processes.count,
        "threads": cpu_threads(),
        "device": paddle.get_device(),
        "kernels": kernels_of(config.to_dict()),
    }


def _paddle_of(found: Mapping[str, str]) -> str:
    """The version of Paddle among those of :func:`versions`, '' without."""
    return next((found[build] for build in BUILDS if build in found), "")


def best_of_state(saved: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """``best`` of a checkpoint's state: ``metric``, ``score``, ``iteration``.

    Checkpoints of versions that knew nothing but labels have ``miou`` and ``iteration``.
    """
    if saved is None or "score" in saved:
        return None if saved is None else dict(saved)
    return {"metric": "mIoU", "score": saved["miou"], "iteration": saved["iteration"]}


def _same_steps(steps: Sequence[Running], further: Mapping[str, Any], folder: Path) -> None:
    own, saved = [one.step.name for one in steps[1:]], sorted(further)
    if sorted(own) != saved:
        raise TrainingError(
            f"{folder} is of a run whose iterations had the further steps {', '.join(saved) or 'none'}, this one has "
            f"{', '.join(own) or 'none'}",
            remedy="resume with the configuration in the run folder (config.yml)",
        )


def fits(network: paddle.nn.Layer, weights: dict[str, np.ndarray], folder: Path) -> None:
    """Check that weights are those of the network.

    Raises:
        TrainingError: names or shapes differ; the first few are listed.
    """
    own = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    saved = {name: list(array.shape) for name, array in weights.items()}
    if own == saved:
        return
    odd = [
        f"{name}: saved {saved.get(name, 'not there')}, network {own.get(name, 'not there')}"
        for name in sorted(own.keys() | saved.keys())
        if own.get(name) != saved.get(name)
    ]
    raise TrainingError(
        f"the checkpoint {folder} is of another network, {len(odd)} entries differ:\n  " + "\n  ".join(odd[:8]),
        remedy="resume with the configuration in the run folder (config.yml), or start anew with model.pretrained",
    )


def load_arrays(network: paddle.nn.Layer, weights: dict[str, np.ndarray]) -> None:
    """Set every parameter and buffer; names and shapes must have been checked."""
    for name, tensor in network.state_dict().items():
        tensor.set_value(weights[name].astype(_numpy_dtype(tensor)))


def differences(saved: dict[str, Any], current: dict[str, Any]) -> list[str]:
    """Settings that differ and matter, as ``key: saved -> current``; a section that the saved ones did not know yet
    had the effect of its defaults."""
    defaults = Schema.model_validate({}).model_dump()
    one, other = _flat({key: defaults[key] for key in current.keys() & defaults.keys()} | saved), _flat(current)
    return [
        f"{key}: {one.get(key, 'not set')} -> {other.get(key, 'not set')}"
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key) and key.split(".")[0] not in _HARMLESS
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        items = [(str(key), child) for key, child in value.items()]
    elif isinstance(value, list) and any(isinstance(child, dict) for child in value):
        items = [(str(number), child) for number, child in enumerate(value)]
    else:
        return {prefix: value}
    return {k: v for key, child in items for k, v in _flat(child, f"{prefix}.{key}" if prefix else key).items()}


def _numpy_dtype(tensor: paddle.Tensor) -> str:
    return str(tensor.dtype).removeprefix("paddle.")
