"""Fixtures around tests/training/toy.py, for the tests of the engine and of its commands."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from mobileseg.config.load import Config, load_config
from tests.training.toy import draw, toy_section
from tests.training.toy_instances import toy_instance_section, toy_instances


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    rng = np.random.default_rng(0)
    train = [draw(folder, f"train{number}", rng, (32, 32)) for number in range(16)]
    val = [draw(folder, f"val{number}", rng, (36, 28)) for number in range(5)]
    (folder / "train.txt").write_text("\n".join(train))
    (folder / "val.txt").write_text("\n".join(val))
    return folder


@pytest.fixture
def toy_file(toy_data: Path, tmp_path: Path) -> Path:
    """The configuration as a file."""
    path = tmp_path / "toy.yml"
    path.write_text(yaml.safe_dump(toy_section(toy_data)))
    return path


@pytest.fixture
def toy_config(toy_file: Path) -> Callable[..., Config]:
    """The configuration, with overrides."""
    return lambda *overrides: load_config(toy_file, list(overrides))


@pytest.fixture(scope="session")
def instance_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_instances(tmp_path_factory.mktemp("instances"))


@pytest.fixture
def instance_file(instance_data: Path, tmp_path: Path) -> Path:
    """The configuration of the small YOLACT as a file."""
    path = tmp_path / "instances.yml"
    path.write_text(yaml.safe_dump(toy_instance_section(instance_data)))
    return path


@pytest.fixture
def instance_config(instance_file: Path) -> Callable[..., Config]:
    """That configuration, with overrides."""
    return lambda *overrides: load_config(instance_file, list(overrides))
