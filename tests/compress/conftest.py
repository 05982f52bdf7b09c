"""The toy datasets and their configurations."""

from tests.engine.fixtures import instance_config, instance_data, instance_file, toy_config, toy_data, toy_file

__all__ = ["instance_config", "instance_data", "instance_file", "toy_config", "toy_data", "toy_file"]
