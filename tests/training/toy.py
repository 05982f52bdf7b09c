"""A dataset of 16 + 5 small images, a configuration that trains the toy network on it, and helpers."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mobileseg.training.trainer import Trainer
from mobileseg.viz.history import read_log
from tests.processes import run_alone, started

REPOSITORY = Path(__file__).parents[2]
COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]], np.float32)


def draw(folder: Path, name: str, rng: np.random.Generator, size: tuple[int, int]) -> str:
    coarse = rng.integers(0, 3, (4, 4)).astype(np.uint8)
    label = cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST)
    image = COLOURS[label] + rng.normal(0, 40, (*label.shape, 3))
    label[: int(rng.integers(0, label.shape[0] // 2))] = 255  # another number of ignored pixels in every image
    cv2.imwrite(str(folder / f"{name}.jpg.png"), np.clip(image, 0, 255).astype(np.uint8)[..., ::-1])
    cv2.imwrite(str(folder / f"{name}.png"), label)
    return f"{name}.jpg.png {name}.png"


def toy_section(folder: Path) -> dict[str, Any]:
    dataset = {"type": "Dataset", "dataset_root": str(folder), "num_classes": 3}
    augment = [
        {"type": "ResizeStepScaling", "min_scale_factor": 0.75, "max_scale_factor": 1.25, "scale_step_size": 0.25},
        {"type": "RandomPaddingCrop", "crop_size": [32, 32]},
        {"type": "RandomHorizontalFlip"},
        {"type": "Normalize"},
    ]
    train = {"train_path": str(folder / "train.txt"), "mode": "train", "transforms": augment}
    val = {"val_path": str(folder / "val.txt"), "mode": "val", "transforms": [{"type": "Normalize"}]}
    return {
        "plugins": [str(Path(__file__).parent / "toy_network.py")],
        "batch_size": 4,
        "iters": 8,
        "save_interval": 4,
        "log_iters": 2,
        "num_workers": 0,
        "seed": 3,
        "train_dataset": dataset | train,
        "val_dataset": dataset | val,
        "model": {"type": "ToyNetwork", "num_classes": 3},
        "loss": {"types": [{"type": "CrossEntropyLoss"}, {"type": "CrossEntropyLoss"}], "coef": [1.0, 0.4]},
        "optimizer": {"type": "SGD", "momentum": 0.9, "weight_decay": 5e-4},
        "lr_scheduler": {
            "type": "PolynomialDecay",
            "learning_rate": 0.05,
            "end_lr": 0.0,
            "power": 0.9,
            "warmup_iters": 2,
            "warmup_start_lr": 1e-3,
        },
    }


def run_mobileseg(*words: str, **environment: str) -> Any:
    """`mobileseg ...` in its own process: the finished process with its output."""
    return run_alone(**_call(words, environment))


def start_mobileseg(*words: str, **environment: str) -> Any:
    """`mobileseg ...` as a context: the running process, leader of its group."""
    pipe = subprocess.PIPE
    return started(**_call(words, environment), stdout=pipe, stderr=pipe)


def _call(words: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY), **environment}
    return {"command": [sys.executable, "-m", "mobileseg", *words], "env": env}


def losses_of(run: Path) -> dict[int, float]:
    """Logged training losses by iteration."""
    return {event["iter"]: event["loss"] for event in read_log(run) if event["event"] == "train"}


def weights_of(trainer: Trainer) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in trainer.network.state_dict().items()}


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Bit by bit."""
    return one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)
