"""The toy datasets, their configuration files, and the loaded configurations."""

from tests.training.fixtures import instance_config, instance_data, instance_file, toy_config, toy_data, toy_file

__all__ = ["instance_config", "instance_data", "instance_file", "toy_config", "toy_data", "toy_file"]
