"""Trained networks in folders, to learn from."""

from pathlib import Path
from typing import Any

import paddle
import yaml

from mobileseg.config.build import build_network
from mobileseg.config.load import load_config
from mobileseg.weights.pdparams import save_pdparams


def make_teacher(folder: Path, section: dict[str, Any], **changes: Any) -> dict[str, str]:
    """Write a configuration with random weights; returns the keys of ``distill`` that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yml").write_text(yaml.safe_dump(section | changes))
    paddle.seed(5)
    network = build_network(load_config(folder / "config.yml"))
    save_pdparams(folder / "model.pdparams", {name: value.numpy() for name, value in network.state_dict().items()})
    return {"teacher_config": str(folder / "config.yml"), "teacher_weights": str(folder)}
