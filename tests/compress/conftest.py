"""The toy datasets and their configurations, and a trained network for them."""

from pathlib import Path

import pytest

from tests.compress.parts import trained
from tests.training.fixtures import instance_config, instance_data, instance_file, toy_config, toy_data, toy_file

__all__ = ["instance_config", "instance_data", "instance_file", "toy_config", "toy_data", "toy_file"]


@pytest.fixture(scope="session")
def parts_run(toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of the network in parts."""
    return trained(toy_data, tmp_path_factory.mktemp("parts"))
