"""What every loss of the semantic family shares: label sampling and class weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
from paddle import nn

from mobileseg.errors import ConfigError, DataError
from mobileseg.pixels import nearest_indices


def sample_label(label: paddle.Tensor, height: int, width: int) -> paddle.Tensor:
    """Nearest-sample labels to another size, never mixing classes.

    Args:
        label: integer [N, H, W].
        height: rows of the result.
        width: columns of the result.

    Returns:
        int64 [N, height, width]; row ``i`` comes from row ``floor((i + 0.5) * H / height)``, columns alike.
    """
    label = label.astype("int64")
    if label.shape[1] != height:
        label = paddle.index_select(label, paddle.to_tensor(nearest_indices(height, label.shape[1])), axis=1)
    if label.shape[2] != width:
        label = paddle.index_select(label, paddle.to_tensor(nearest_indices(width, label.shape[2])), axis=2)
    return label


class SegmentationLoss(nn.Layer):
    """A loss of one network output: ``(logits [N, K, h, w], label [N, H, W]) -> float32 scalar``.

    Logits are taken to float32 whatever the precision of training, outside of autocasting. A label of another size is
    nearest-sampled to the size of the logits (`sample_label`). A batch in which every pixel is ignored gives a zero
    that is connected to the graph, so that ``backward`` works and gradients are zero.

    Args:
        ignore_index: label value of pixels that take no part.
        weight: factor of each class, K numbers; None weighs all classes 1.
    """

    task = "semantic"

    def __init__(self, ignore_index: int = 255, weight: Sequence[float] | None = None) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        tensor: paddle.Tensor | None = None
        if weight is not None:
            values = np.asarray(weight, dtype=np.float32)
            if values.ndim != 1 or not np.isfinite(values).all() or (values < 0).any():
                raise ConfigError(
                    f"{type(self).__name__}: weight must be a list of finite numbers >= 0, one per class, got {weight}"
                )
            tensor = paddle.to_tensor(values)
        self.register_buffer("weight", tensor, persistable=False)

    def forward(self, logits: paddle.Tensor, label: paddle.Tensor) -> paddle.Tensor:
        """The loss of a batch.

        Raises:
            ConfigError: the number of class weights is not the number of classes.
            ValueError: logits or label do not have the documented shape.
            DataError: the label has values that are neither a class nor ``ignore_index``; the kernels index with them.
        """
        if logits.ndim != 4 or label.ndim != 3 or logits.shape[0] != label.shape[0]:
            raise ValueError(f"expected logits [N,K,h,w] and label [N,H,W], got {logits.shape} and {label.shape}")
        if self.weight is not None and self.weight.shape[0] != logits.shape[1]:
            raise ConfigError(
                f"{type(self).__name__}: {self.weight.shape[0]} class weights for {logits.shape[1]} classes",
                remedy=f"give weight {logits.shape[1]} numbers, one per class",
            )
        with paddle.amp.auto_cast(enable=False):
            sampled = sample_label(label, *logits.shape[2:])
            self._check_range(sampled, logits.shape[1])
            return self.compute(logits.astype("float32"), sampled)

    def compute(self, logits: paddle.Tensor, label: paddle.Tensor) -> paddle.Tensor:
        """The loss of float32 logits [N, K, H, W] and an int64 label [N, H, W] of the same size."""
        raise NotImplementedError

    def _check_range(self, label: paddle.Tensor, classes: int) -> None:
        counted = paddle.where(label == self.ignore_index, paddle.zeros_like(label), label)
        lowest, highest = int(counted.min()), int(counted.max())
        if lowest < 0 or highest >= classes:
            raise DataError(
                f"{type(self).__name__}: the label has the value {lowest if lowest < 0 else highest}, which is neither "
                f"one of the {classes} classes (0..{classes - 1}) nor ignore_index ({self.ignore_index})",
                remedy="give the loss, the dataset and the padding of the transforms the same ignore_index; "
                "'mobileseg doctor data CONFIG' checks the labels",
            )

    def valid(self, label: paddle.Tensor) -> paddle.Tensor:
        """float32 [N, H, W]: 1 where the pixel counts, 0 where it is ignored."""
        return (label != self.ignore_index).astype("float32")

    def pixel_weight(self, label: paddle.Tensor) -> paddle.Tensor:
        """float32 [N, H, W]: class weight of every pixel, 0 where it is ignored."""
        valid = self.valid(label)
        if self.weight is None:
            return valid
        inside = paddle.where(label != self.ignore_index, label, paddle.zeros_like(label))
        return paddle.gather(self.weight, inside.flatten()).reshape(label.shape) * valid
