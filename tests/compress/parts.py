"""A trained network in parts, as a run folder, and the configuration of its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mobileseg.config.load import Config, load_config
from mobileseg.training.trainer import Trainer
from tests.training.toy import toy_section

SIZE = 32


def parts_section(data: Path) -> dict[str, Any]:
    """For the toy images."""
    section = toy_section(data)
    section["plugins"] = [str(Path(__file__).parent / "parts_network.py")]
    section["model"] = {"type": "PartsNetwork", "num_classes": 3}
    section["iters"] = 40
    section["save_interval"] = 40
    section["export"] = {"size": {"height": SIZE, "width": SIZE}, "targets": ["onnx"]}
    section["compress"] = {
        "measure": {"engines": ["onnxruntime"], "runs": 2},
        "quantize": {"algorithm": "avg", "images": 6, "analysis_images": 2, "analysis_layers": 2, "agreement": 0.8},
        "search": {"calibrations": [0, 2], "runs": 2},
    }
    return section


def trained(data: Path, folder: Path) -> Path:
    """The run folder."""
    file = folder / "parts.yml"
    file.write_text(yaml.safe_dump(parts_section(data)))
    Trainer(load_config(file), folder / "run", do_eval=False).fit()
    return folder / "run"


def config_of(run: Path, *overrides: str) -> Config:
    return load_config(run / "config.yml", list(overrides))
