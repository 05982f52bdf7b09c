"""The toy dataset, its configuration file, and the loaded configuration."""

from tests.training.fixtures import toy_config, toy_data, toy_file

__all__ = ["toy_config", "toy_data", "toy_file"]
