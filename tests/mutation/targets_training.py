"""Mutants of what training writes and reads: the state of a checkpoint, and weights of every format."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.training.checkpoint import STATE, Checkpoint, read_checkpoint, write_checkpoint
from mobileseg.weights.pdparams import save_pdparams
from mobileseg.weights.read import read_weights
from tests.mutation.mutate import damaged_bytes, damaged_document
from tests.mutation.target import MustRefuse, Target

TORCH = Path(__file__).parents[1] / "weights" / "data"
FORMATS = ("pdparams", "named.pdparams", "npz", "torch_zip.pth", "torch_legacy.pth")


def arrays() -> dict[str, np.ndarray]:
    values = np.random.default_rng(0)
    shapes = {"conv.weight": (2, 3, 1, 1), "conv.bias": (2,), "norm._mean": (2,)}
    return {name: values.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def state() -> dict[str, Any]:
    return {
        "iteration": 12,
        "iters": 20,
        "classes": ["sky", "road"],
        "sampler": {"epoch": 3, "samples": 8, "batch": 4, "seed": 1},
        "further_samplers": {},
        "between_steps": {},
        "scheduler": {"last_epoch": 12, "last_lr": 0.01},
        "scaler": {"scale": 1.0, "good_steps": 0, "skipped": 0},
        "ema": {"updates": 12},
        "best": {"metric": "mIoU", "score": 0.5, "iteration": 10},
        "stale_evals": 1,
        "evaluated": "ema",
        "processes": 1,
        "config": {"model": {"type": "MobileSeg", "num_classes": 2}, "iters": 20},
    }


def write_state(folder: Path, rng: np.random.Generator) -> MustRefuse | None:
    """A checkpoint whose state was edited: refused whatever was changed, for the state has a hash of its own."""
    groups = {"optimizer": {"conv.weight/velocity": np.zeros(3, np.float32)}, "ema": arrays()}
    write_checkpoint(folder / "iter_000012", Checkpoint(arrays(), groups, state()))
    path = folder / "iter_000012" / STATE
    document = json.loads(path.read_text())
    chance = rng.random()
    if chance < 0.1:  # laid out otherwise, which changes nothing
        path.write_text(json.dumps(document))
        same = True
    elif chance < 0.4:
        path.write_bytes(damaged_bytes(path.read_bytes(), rng))
        try:
            same = json.loads(path.read_text()) == document
        except (ValueError, RecursionError):
            same = False
    else:
        changed, _, _ = damaged_document(document, rng)
        path.write_text(json.dumps(changed))
        same = json.dumps(changed, sort_keys=True) == json.dumps(document, sort_keys=True)
    return None if same else MustRefuse("the state was changed")


def use_state(folder: Path, expectation: Any) -> None:
    read_checkpoint(folder / "iter_000012")


def write_weights(folder: Path, rng: np.random.Generator) -> None:
    """A file of weights of one of the formats with a few damaged bytes."""
    kind = str(rng.choice(FORMATS))
    path = folder / "weights"
    if kind == "npz":
        stream = io.BytesIO()
        np.savez(stream, **arrays())
        path.write_bytes(stream.getvalue())
    elif kind == "named.pdparams":
        path.write_bytes(pickle.dumps({name: (f"p_{name}", one) for name, one in arrays().items()}, protocol=2))
    elif kind == "pdparams":
        save_pdparams(path, arrays())
    else:
        path.write_bytes((TORCH / kind).read_bytes())
    path.write_bytes(damaged_bytes(path.read_bytes(), rng))


def use_weights(folder: Path, expectation: Any) -> None:
    """What is accepted is arrays of numbers, no larger than a file of that size explains."""
    found = read_weights(folder / "weights")
    assert found
    for name, array in found.items():
        assert isinstance(name, str)
        assert array.dtype.kind in "fiub"
        assert array.nbytes < 1 << 22


TARGETS = [
    Target("state.json", write_state, use_state),
    Target("weights", write_weights, use_weights, short=120, long=2000),
]
