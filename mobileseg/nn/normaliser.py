"""What sums of losses are divided by when several processes share a batch."""

from __future__ import annotations

import paddle
import paddle.distributed as dist


def whole_batch_normaliser(total: paddle.Tensor, active: bool) -> paddle.Tensor:
    """What a local sum is divided by so that *averaged* gradients equal those of the whole batch.

    ``DataParallel`` averages gradients over the W processes. With ``loss_local = sum_local * W / total`` and
    ``total`` summed over the processes, the average is ``sum / total``: the gradient of the mean over all that counts
    in all processes, however unequally it is spread over them.

    Args:
        total: float32 of any shape, local normalisers (number or weight of the pixels or anchors that count).
        active: reduce over the processes; False for evaluation, where not every process takes part.

    Returns:
        float32 of the same shape without gradient, 1 where nothing counts anywhere (the sum above it is then zero).
    """
    total = process_mean(total, active)
    return paddle.where(total > 0, total, paddle.ones_like(total))


def process_mean(value: paddle.Tensor, active: bool) -> paddle.Tensor:
    """Mean over the processes of a tensor that has one shape in all of them, without gradient.

    Args:
        value: float32 of any shape.
        active: as in :func:`whole_batch_normaliser`.
    """
    value = value.detach()
    if active and dist.is_initialized() and dist.get_world_size() > 1:
        value = value.clone()
        dist.all_reduce(value)
        value = value / dist.get_world_size()
    return value
