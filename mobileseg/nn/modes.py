"""Training and evaluation mode of networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from paddle import nn


@contextmanager
def evaluating(network: nn.Layer) -> Iterator[None]:
    """Inside, a network is in evaluation mode; afterwards it is in the mode that it was in."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        if was_training:
            network.train()
