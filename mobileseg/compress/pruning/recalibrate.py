"""Statistics of norms measured again, after a network has lost channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import paddle
from paddle import nn

from mobileseg.compress.channels.modes import DROPOUTS
from mobileseg.errors import CompressionError


def recalibrate(network: nn.Layer, batches: Iterable[Mapping[str, paddle.Tensor]]) -> int:
    """Replace the running means and variances of all batch norms by their averages over batches, in place.

    Norms that come after removed channels still carry the statistics of the whole network. Measuring them again is the
    adaptive batch normalisation of EagleEye (Li et al. 2020, arXiv:2007.02491). Frozen norms are measured too: their
    inputs have changed as well.

    Args:
        network: its parameters do not change; it is left in evaluation mode.
        batches: ``image`` float32 [N, 3, H, W], as in training.

    Returns:
        How many norms there are; without any, no batch is taken.

    Raises:
        CompressionError: there was no batch.
    """
    norms = [layer for layer in network.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    if not norms:
        return 0
    momenta = [norm._momentum for norm in norms]
    network.train()
    for layer in network.sublayers():
        if isinstance(layer, DROPOUTS):
            layer.eval()
    count = 0
    try:
        with paddle.no_grad():
            for batch in batches:
                for norm in norms:
                    norm._momentum = count / (count + 1)  # the plain mean of what the batches had
                network(batch["image"])
                count += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm._momentum = momentum
        network.eval()
    if not count:
        raise CompressionError("statistics of norms need training images", remedy="name a train_dataset")
    return len(norms)
