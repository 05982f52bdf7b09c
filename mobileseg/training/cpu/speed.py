"""What makes training on a CPU faster, with the same results: compiled kernels, and memory that is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import paddle
from paddle import nn

from mobileseg.kept_memory import kept_memory
from mobileseg.training.cpu.depthwise import compiled_depthwise


def kernels_of(settings: Mapping[str, Any]) -> str:
    """Whose depthwise convolutions a run trains with: 'compiled', or 'paddle' (on a GPU, without Numba, or if asked).

    Args:
        settings: of a configuration.
    """
    wanted = settings["compiled_kernels"] and paddle.get_device() == "cpu"
    return "compiled" if wanted and find_spec("numba") else "paddle"


@contextmanager
def fast_on_cpu(network: nn.Layer, settings: Mapping[str, Any]) -> Iterator[None]:
    """Train a network faster within the context; on a GPU nothing changes.

    Args:
        network: in training.
        settings: of a configuration.
    """
    with kept_memory(paddle.get_device() == "cpu"), compiled_depthwise(network, kernels_of(settings) == "compiled"):
        yield
