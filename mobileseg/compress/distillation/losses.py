"""Losses between the maps of a student and of its teacher."""

from __future__ import annotations

from typing import Any

import paddle
from paddle.autograd import PyLayer
from paddle.nn import functional as F

from mobileseg.nn.blocks import resize
from mobileseg.nn.normaliser import process_mean, whole_batch_normaliser
from mobileseg.semantic.loss_base import sample_label


def logit_loss(
    student: paddle.Tensor,
    teacher: paddle.Tensor,
    label: paddle.Tensor,
    temperature: float,
    ignore_index: int = 255,
    class_weight: paddle.Tensor | None = None,
    *,
    shared: bool = True,
) -> paddle.Tensor:
    """``T^2 * KL(softmax(teacher / T) || softmax(student / T))``, mean over the pixels that are not ignored.

    With class weights the mean is weighted by those of the pixels' labels, as that of `CrossEntropyLoss` is.

    Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015 (arXiv:1503.02531): the square keeps
    the size of the gradients independent of the temperature.

    Args:
        student: float32 [N, K, h, w].
        teacher: float32 [N, K, h', w'], without gradient; resized to the student's size.
        label: int64 [N, H, W]; nearest-sampled to the student's size, only ``ignore_index`` matters.
        temperature: T.
        ignore_index: label of pixels that take no part.
        class_weight: float32 [K], factors of the pixels of each class; None weighs all pixels 1.
        shared: several processes divide by the pixels (weights) of all of them (`whole_batch_normaliser`).

    Returns:
        float32 scalar, 0 (with zero gradients) where every pixel is ignored.
    """
    height, width = student.shape[2:]
    teacher = resize(teacher, (height, width))
    label = sample_label(label, height, width)
    valid = label != ignore_index
    divergence = pixel_divergence(student, teacher, temperature)
    kept = paddle.where(valid, divergence, paddle.zeros_like(divergence))
    weight = valid.astype("float32")
    if class_weight is not None:
        inside = paddle.where(valid, label, paddle.zeros_like(label))
        weight = weight * paddle.gather(class_weight, inside.flatten()).reshape(label.shape)
    count = whole_batch_normaliser(weight.sum(), active=shared)
    return (kept * weight).sum() * (temperature**2) / count


def pixel_divergence(student: paddle.Tensor, teacher: paddle.Tensor, temperature: float) -> paddle.Tensor:
    """Kullback-Leibler divergence of the student's softened class distribution from the teacher's.

    Args:
        student: float32 [N, K, h, w], logits.
        teacher: the same, without gradient.
        temperature: what both are divided by.

    Returns:
        float32 [N, h, w].
    """
    result: paddle.Tensor = _PixelDivergence.apply(student, teacher.detach(), temperature)
    return result


class _PixelDivergence(PyLayer):
    """Image by image on [K, h * w]: Paddle's softmax over an axis in the middle is much slower on a CPU.

    The gradient, ``(softmax(student / T) - softmax(teacher / T)) / T``, is known as soon as the loss is.
    """

    @staticmethod
    def forward(ctx: Any, student: paddle.Tensor, teacher: paddle.Tensor, temperature: float) -> paddle.Tensor:
        n, k, h, w = student.shape
        divergences, slopes = [], []
        for own, wanted in zip(
            student.reshape([n, k, h * w]).unbind(0), teacher.reshape([n, k, h * w]).unbind(0), strict=True
        ):
            own_log, own_probability = _log_softmax(own / temperature)
            wanted_log, wanted_probability = _log_softmax(wanted / temperature)
            divergences.append((wanted_probability * (wanted_log - own_log)).sum(axis=0))
            slopes.append((own_probability - wanted_probability) / temperature)
        ctx.slopes = slopes
        return paddle.stack(divergences).reshape([n, h, w])

    @staticmethod
    def backward(ctx: Any, grad: paddle.Tensor) -> tuple[paddle.Tensor, None]:
        n, h, w = grad.shape
        rows = grad.reshape([n, 1, h * w]).unbind(0)
        slopes = [slope * row for slope, row in zip(ctx.slopes, rows, strict=True)]
        return paddle.stack(slopes).reshape([n, -1, h, w]), None


def _log_softmax(logits: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Logarithms of the probabilities and the probabilities over axis 0 of [K, n]."""
    shifted = logits - logits.max(axis=0)
    exponential = paddle.exp(shifted)
    total = exponential.sum(axis=0)
    return shifted - paddle.log(total), exponential / total


def feature_loss(student: paddle.Tensor, teacher: paddle.Tensor, *, shared: bool = True) -> paddle.Tensor:
    """Squared distance of two feature maps, as a share of the variance of the teacher's.

    ``sum((s - t)^2) / sum((t - m)^2)`` with m the mean of each channel of t over batch and places: 0 when they are
    equal, 1 when the student says no more than the mean. It is the regression of FitNets (Romero et al., 2015,
    arXiv:1412.6550) in the units of the teacher, so that a weight means the same for every layer.

    Args:
        student: float32 [N, C, h, w].
        teacher: float32 [N, C, h', w'], without gradient; brought to the student's size, by averages over areas
            where that is smaller, else by bilinear interpolation.
        shared: several processes use the mean and the variance over all of them.

    Returns:
        float32 scalar.
    """
    teacher = like(teacher.detach(), student)
    mean = process_mean(teacher.mean(axis=[0, 2, 3], keepdim=True), active=shared)
    spread = whole_batch_normaliser(((teacher - mean) ** 2).sum(), active=shared)
    return ((student - teacher) ** 2).sum() / spread


def like(teacher: paddle.Tensor, student: paddle.Tensor) -> paddle.Tensor:
    """The teacher's map [N, C, h', w'] at the size of the student's."""
    size = student.shape[2:]
    if all(own <= wanted for own, wanted in zip(size, teacher.shape[2:], strict=True)):
        return teacher if size == teacher.shape[2:] else F.adaptive_avg_pool2d(teacher, size)
    return resize(teacher, size)
