"""What a run must remember to go on exactly as if it had never stopped, and how it is put back."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle

import mobileseg
from mobileseg.config.load import RUN_CONFIG, Config
from mobileseg.errors import ConfigError, TrainingError
from mobileseg.files import write_whole
from mobileseg.training.checkpoint import Checkpoint
from mobileseg.training.distributed import Processes
from mobileseg.training.eval_log import best_of_state
from mobileseg.training.optim import load_optimizer_arrays, optimizer_arrays
from mobileseg.weights.quantised import refuse_quantised

if TYPE_CHECKING:
    from mobileseg.training.trainer import Trainer

_HARMLESS = {"num_workers", "log_iters", "save_interval", "keep_checkpoint_max", "val_dataset", "eval_interval"} | {
    "test_config",
    "detection",
    "export",
    "early_stop",
    "compress",
}
"""Settings that may differ between the two halves of a run without changing the weights it ends with."""


def prepare_folder(run: Path, config: Config, processes: Processes) -> None:
    """Create the run folder and write the resolved configuration into it.

    Raises:
        TrainingError: the folder cannot be written.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        if processes.is_main:
            write_whole(run / RUN_CONFIG, config.to_yaml())
    except OSError as error:
        raise TrainingError(
            f"cannot write into the run folder {run}: {error.strerror or error}",
            remedy="name a folder with room and write permission with --save_dir",
        ) from error


def environment_line(processes: Processes, config: Config) -> str:
    """One line that says where and with what a run is done."""
    return (
        f"mobileseg {mobileseg.__version__}, paddle {paddle.__version__}, Python {platform.python_version()}, "
        f"{paddle.get_device()}, {threads()} thread(s), {processes.count} process(es), config {config.hash[:12]}"
    )


def threads() -> int:
    """CPU threads that Paddle's operators use (OMP_NUM_THREADS)."""
    return int(paddle.get_flags("FLAGS_paddle_num_threads")["FLAGS_paddle_num_threads"])


def versions() -> dict[str, str]:
    """Versions of what takes part in training."""
    found = {"mobileseg": mobileseg.__version__, "python": platform.python_version()}
    for name in ("paddlepaddle", "paddlepaddle-gpu", "numpy", "opencv-python"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def pack(trainer: Trainer) -> Checkpoint:
    """The checkpoint of a trainer between two iterations."""
    order = trainer.order
    epoch, batch = divmod(trainer.position, order.batches_per_epoch)
    arrays = {"optimizer": optimizer_arrays(trainer.optimizer, trainer.groups)}
    if trainer.average is not None:
        arrays["ema"] = trainer.average.arrays()
    if trainer.distillation is not None:
        arrays["distill"] = trainer.distillation.arrays()
    state = {
        "iteration": trainer.iteration,
        "iters": trainer.iters,
        "sampler": {"epoch": epoch, "samples": batch * order.whole, "batch": order.whole, "seed": order.seed},
        "random": {"seed": trainer.seed, "rule": "seeded from (seed, iteration, rank) before every iteration"},
        "scheduler": {"last_epoch": trainer.schedule.last_epoch, "last_lr": trainer.schedule.last_lr},
        "scaler": trainer.precision.scaler.state_dict(),
        "ema": None if trainer.average is None else {"updates": trainer.average.updates},
        "best": trainer.best,
        "stale_evals": trainer.stale_evals,
        "evaluated": "model" if trainer.average is None else "ema",
        "processes": trainer.processes.count,
        "device": paddle.get_device(),
        "threads": threads(),
        "config": trainer.config.to_dict(),
        "config_hash": trainer.config.hash,
        "versions": versions(),
    }
    weights = {name: tensor.numpy() for name, tensor in trainer.network.state_dict().items()}
    return Checkpoint(weights, arrays, state)


def unpack(trainer: Trainer, checkpoint: Checkpoint, folder: Path) -> None:
    """Put a checkpoint into a trainer.

    Raises:
        TrainingError: it belongs to another network or another optimizer.
    """
    state = checkpoint.state
    differing = differences(state["config"], trainer.config.to_dict())
    # Sums are rounded in another order by another number of processes or threads.
    for name, now in (
        ("processes", trainer.processes.count),
        ("threads", threads()),
        ("device", paddle.get_device()),
    ):
        if state.get(name, now) != now:
            differing.append(f"{name}: {state[name]} -> {now}")
    if differing:
        trainer.log.say(
            "resuming with another configuration, so not bit by bit what the saved run would have done:\n  "
            + "\n  ".join(differing)
        )
    refuse_quantised(checkpoint.weights, trainer.network.state_dict(), str(folder))
    fits(trainer.network, checkpoint.weights, folder)
    try:
        if trainer.distillation is not None:
            trainer.distillation.check(checkpoint.arrays.get("distill", {}))
        load_optimizer_arrays(trainer.optimizer, trainer.groups, checkpoint.arrays.get("optimizer", {}))
    except ConfigError as error:
        raise TrainingError(f"{folder}: {error.message}", remedy=error.remedy) from error
    load_arrays(trainer.network, checkpoint.weights)
    if trainer.distillation is not None:
        trainer.distillation.load(checkpoint.arrays.get("distill", {}))
    if trainer.average is not None:
        if state["ema"]:
            trainer.average.load(checkpoint.arrays["ema"], state["ema"]["updates"])
        else:
            trainer.average.load(checkpoint.weights, 0)
    trainer.iteration = state["iteration"]
    trainer.schedule.step(trainer.iteration)
    trainer.precision.scaler.load_state_dict(state["scaler"])
    sampler, order = state["sampler"], trainer.order
    trainer.position = sampler["epoch"] * order.batches_per_epoch + sampler["samples"] // order.whole
    trainer.best = best_of_state(state["best"])
    trainer.stale_evals = state["stale_evals"]
    restored = ["weights", "optimizer", "schedule", "order of samples", "random numbers"]
    restored += ["average of weights"] if state["ema"] and trainer.average else []
    restored += ["loss scale"] if trainer.precision.scaler.enabled else []
    trainer.log.say(f"resumed from {folder} at iteration {trainer.iteration}: {', '.join(restored)}")


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
    """Settings that differ and matter, as ``key: saved -> current``."""
    one, other = _flat(saved), _flat(current)
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
