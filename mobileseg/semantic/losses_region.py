"""Losses of whole regions, not of pixels: Dice and Lovasz. Both rank or sum over the images of one process."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F

from mobileseg.errors import ConfigError
from mobileseg.registry import LOSSES
from mobileseg.semantic.loss_base import SegmentationLoss
from mobileseg.semantic.loss_kernels import channel_softmax


@LOSSES.add_component
class DiceLoss(SegmentationLoss):
    """One minus the soft Dice coefficient, per image and class, averaged; per process.

    ``1 - (2 * sum(p * t) + smooth) / (sum(p) + sum(t) + smooth)`` with p the softmax probability and t the 0/1 truth,
    summed over the pixels of an image that are not ignored. Milletari et al., V-Net, 3DV 2016 (without squares).

    Args:
        weight: factor of each class; the average still divides by the number of classes.
        ignore_index: label value of pixels that take no part.
        smooth: added to both sides of the quotient, above 0; a class that is neither there nor predicted costs nothing.
    """

    def __init__(self, weight: Sequence[float] | None = None, ignore_index: int = 255, smooth: float = 1.0) -> None:
        super().__init__(ignore_index, weight)
        if smooth <= 0:
            raise ConfigError(f"DiceLoss: smooth must be above 0, got {smooth}; absent classes would divide by zero")
        self.smooth = smooth

    def compute(self, logits: paddle.Tensor, label: paddle.Tensor) -> paddle.Tensor:
        """See the class."""
        n, k, h, w = logits.shape
        probability = channel_softmax(logits).reshape([n, k, h * w])
        valid = self.valid(label).reshape([n, h * w, 1])
        inside = paddle.where(label != self.ignore_index, label, paddle.zeros_like(label)).reshape([n, 1, h * w])
        truth = F.one_hot(inside.squeeze(1), k) * valid
        of_true_class = paddle.take_along_axis(probability, inside, 1)
        overlap = paddle.matmul(of_true_class, truth).squeeze(1)
        size = paddle.matmul(probability, valid).squeeze(2) + truth.sum(axis=1)
        loss = 1.0 - (2.0 * overlap + self.smooth) / (size + self.smooth)
        return (loss if self.weight is None else loss * self.weight).mean()


@LOSSES.add_component
class LovaszSoftmaxLoss(SegmentationLoss):
    """The Lovasz extension of the Jaccard loss: a convex surrogate of the IoU itself, over the batch of a process.

    For each class the errors ``|t - p|`` are sorted downwards and weighed by the differences of the Jaccard loss of
    the growing set of mistakes; the mean over classes is the loss. Each class costs a sort of all pixels.
    Berman et al., The Lovasz-Softmax loss, CVPR 2018.

    Args:
        ignore_index: label value of pixels that take no part.
        classes: 'present' averages over the classes in the label, 'all' over all, a list over those indices.
        stride: look at every so many rows and columns alone; the sorts then cost a share of 1 / stride ** 2.
    """

    def __init__(self, ignore_index: int = 255, classes: str | Sequence[int] = "present", stride: int = 1) -> None:
        super().__init__(ignore_index)
        if stride < 1:
            raise ConfigError(f"LovaszSoftmaxLoss: stride is {stride}", remedy="use 1 for all pixels, 2 for a quarter")
        self.stride = stride
        if isinstance(classes, str) and classes not in ("present", "all"):
            raise ConfigError(
                f"LovaszSoftmaxLoss: classes is 'present', 'all' or a list of class indices, got {classes!r}"
            )
        self.classes = classes

    def compute(self, logits: paddle.Tensor, label: paddle.Tensor) -> paddle.Tensor:
        """See the class."""
        k = logits.shape[1]
        chosen = range(k) if isinstance(self.classes, str) else self.classes
        if any(not 0 <= index < k for index in chosen):
            raise ConfigError(f"LovaszSoftmaxLoss: classes {list(chosen)} for a network of {k} classes")
        if self.stride > 1:
            logits = logits[:, :, :: self.stride, :: self.stride]
            label = label[:, :: self.stride, :: self.stride]
        planes = channel_softmax(logits).transpose([1, 0, 2, 3]).reshape([k, -1])
        flat = label.flatten()
        valid = flat != self.ignore_index
        present = {int(value) for value in paddle.unique(flat)} - {self.ignore_index}
        if not present:
            return planes.sum() * 0.0
        losses = [
            _jaccard_hinge(planes[index], flat == index, valid)
            for index in chosen
            if self.classes != "present" or index in present
        ]
        return paddle.add_n(losses) / len(losses)


def _jaccard_hinge(probability: paddle.Tensor, truth: paddle.Tensor, valid: paddle.Tensor) -> paddle.Tensor:
    """Lovasz loss of one class; float32 [P], bool [P], bool [P]."""
    target = truth.astype("float32")
    # |t - p| without abs: its gradient is known, and right at 0 too.
    errors = (target + (1.0 - 2.0 * target) * probability) * valid.astype("float32")
    # Ignored pixels come last, where they change the weight of no other pixel, and their error is zero.
    rank = paddle.argsort(paddle.where(valid, errors.detach(), paddle.full_like(errors, -1.0)), descending=True)
    ordered = paddle.gather(target, rank)
    total = ordered.sum()
    jaccard = 1.0 - (total - ordered.cumsum(0)) / (total + (1.0 - ordered).cumsum(0))
    steps = paddle.concat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
    slope = paddle.scatter(paddle.zeros_like(steps), rank, steps)
    return (errors * slope.detach()).sum()
