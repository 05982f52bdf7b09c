"""Losses that weigh the pixels of a cross entropy: focal and edge-aware."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F

from mobileseg.errors import ConfigError
from mobileseg.nn.normaliser import whole_batch_normaliser
from mobileseg.registry import LOSSES
from mobileseg.semantic.loss_base import SegmentationLoss
from mobileseg.semantic.loss_kernels import pixel_cross_entropy


@LOSSES.add_component
class MultiClassFocalLoss(SegmentationLoss):
    """Focal loss of the softmax: ``mean(alpha * (1 - p) ** gamma * ce)``, p the probability of the true class.

    The mean is over pixels that are not ignored, of the whole batch when several processes train.
    Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.

    Args:
        alpha: factor of the loss, or one factor per class.
        gamma: how strongly easy pixels are faded; 0 is cross entropy.
        ignore_index: label value of pixels that take no part.
    """

    def __init__(self, alpha: float | Sequence[float] = 1.0, gamma: float = 2.0, ignore_index: int = 255) -> None:
        super().__init__(ignore_index, None if isinstance(alpha, (int, float)) else alpha)
        _check_gamma(type(self).__name__, gamma)
        self.alpha = float(alpha) if isinstance(alpha, (int, float)) else 1.0
        self.gamma = gamma

    def compute(self, logits: paddle.Tensor, label: paddle.Tensor) -> paddle.Tensor:
        """See the class."""
        loss = pixel_cross_entropy(logits, label, self.ignore_index)
        loss = (1.0 - paddle.exp(-loss)) ** self.gamma * loss
        if self.weight is not None:
            loss = loss * self.pixel_weight(label)
        return self.alpha * loss.sum() / whole_batch_normaliser(self.valid(label).sum(), active=self.training)


@LOSSES.add_component
class FocalLoss(SegmentationLoss):
    """Focal loss of one sigmoid per class against all others, averaged over pixels that count and classes.

    Per pixel and class ``-a * (1 - q) ** gamma * log q`` with ``q = sigmoid(x), a = alpha`` for the true class and
    ``q = 1 - sigmoid(x), a = 1 - alpha`` for the others. For a network whose result is the argmax of a softmax
    `MultiClassFocalLoss` is the closer choice.

    Args:
        alpha: factor of the true class, in (0, 1); the other classes have ``1 - alpha``.
        gamma: how strongly easy pixels are faded.
        ignore_index: label value of pixels that take no part.
    """

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0, ignore_index: int = 255) -> None:
        super().__init__(ignore_index)
        _check_gamma(type(self).__name__, gamma)
        if not 0.0 < alpha < 1.0:
            raise ConfigError(f"FocalLoss: alpha is a share in (0, 1), got {alpha}")
        self.alpha = alpha
        self.gamma = gamma

    def compute(self, logits: paddle.Tensor, label: paddle.Tensor) -> paddle.Tensor:
        """See the class."""
        classes = logits.shape[1]
        inside = paddle.where(label != self.ignore_index, label, paddle.zeros_like(label))
        target = F.one_hot(inside, classes).transpose([0, 3, 1, 2])
        # log(1 + exp(-|x|)) + max(-x, 0) is -log sigmoid(x); the sign picks sigmoid(x) or 1 - sigmoid(x).
        cost = F.softplus(logits * (1.0 - 2.0 * target))
        factor = (1.0 - paddle.exp(-cost)) ** self.gamma * (self.alpha * target + (1 - self.alpha) * (1 - target))
        valid = self.valid(label)
        total = (factor * cost * valid.unsqueeze(1)).sum()
        return total / (classes * whole_batch_normaliser(valid.sum(), active=self.training))


@LOSSES.add_component
class EdgeAwareLoss(SegmentationLoss):
    """Cross entropy with more weight near the borders between classes: ``sum(m * ce) / sum(m)``.

    m is `edge_weight` where a pixel that is not ignored and has another class lies within `radius` (chessboard
    distance), and `inner_weight` elsewhere; class weights multiply it. The border comes from the label alone, so any
    network can be trained with it. ``inner_weight: 0`` learns borders only, as an edge attention loss does.

    Args:
        edge_weight: factor near borders.
        inner_weight: factor elsewhere.
        radius: pixels of the logits.
        weight: factor of each class.
        ignore_index: label value of pixels that take no part.
    """

    def __init__(
        self,
        edge_weight: float = 4.0,
        inner_weight: float = 1.0,
        radius: int = 2,
        weight: Sequence[float] | None = None,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(ignore_index, weight)
        if edge_weight <= 0 or inner_weight < 0 or radius < 1:
            raise ConfigError(
                "EdgeAwareLoss: edge_weight is above 0, inner_weight at least 0 and radius at least 1 pixel, got "
                f"{edge_weight}, {inner_weight} and {radius}"
            )
        self.edge_weight = edge_weight
        self.inner_weight = inner_weight
        self.radius = radius

    def compute(self, logits: paddle.Tensor, label: paddle.Tensor) -> paddle.Tensor:
        """See the class."""
        near = label_edges(label, self.radius, self.ignore_index).astype("float32")
        mass = self.pixel_weight(label) * (self.inner_weight + (self.edge_weight - self.inner_weight) * near)
        loss = pixel_cross_entropy(logits, label, self.ignore_index) * mass
        return loss.sum() / whole_batch_normaliser(mass.sum(), active=self.training)


def label_edges(label: paddle.Tensor, radius: int, ignore_index: int) -> paddle.Tensor:
    """Where two classes meet: dilation and erosion of the label differ.

    Args:
        label: int64 [N, H, W].
        radius: half width of the square window, pixels.
        ignore_index: label value that is no class and makes no border.

    Returns:
        bool [N, H, W]: not ignored, and another class within the window.
    """
    valid = label != ignore_index
    values = label.astype("float32").unsqueeze(1)
    absent = paddle.full_like(values, -1e6)
    highest = _dilate(paddle.where(valid.unsqueeze(1), values, absent), radius)
    lowest = -_dilate(paddle.where(valid.unsqueeze(1), -values, absent), radius)
    return paddle.logical_and(valid, (highest != lowest).squeeze(1))


def _dilate(values: paddle.Tensor, radius: int) -> paddle.Tensor:
    """Maximum over a square window, rows then columns; float32 [N, 1, H, W]."""
    side = 2 * radius + 1
    rows = F.max_pool2d(values, (side, 1), stride=1, padding=(radius, 0))
    return F.max_pool2d(rows, (1, side), stride=1, padding=(0, radius))


def _check_gamma(name: str, gamma: float) -> None:
    if gamma != 0 and gamma < 1:
        raise ConfigError(
            f"{name}: gamma is 0 or at least 1, got {gamma}; between them the gradient of a certain pixel is infinite"
        )
