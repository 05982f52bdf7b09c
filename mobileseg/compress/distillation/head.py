"""Losses between the predictions of two heads of the YOLACT family."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import paddle
from paddle.nn import functional as F

from mobileseg.config.schema_distill import DistillHead
from mobileseg.instance.anchors import VARIANCES, decode
from mobileseg.instance.losses_mask import MaskGroup, crop_window, mask_cross_entropy
from mobileseg.nn.blocks import resize
from mobileseg.nn.normaliser import whole_batch_normaliser

MASK_ANCHORS = 100
"""Anchors of an image whose masks are imitated at most: those of which the teacher is surest."""
_TINY = 1e-30


def head_losses(
    student: Mapping[str, paddle.Tensor],
    teacher: Mapping[str, paddle.Tensor],
    section: DistillHead,
    *,
    variances: tuple[float, float] = VARIANCES,
    shared: bool = True,
) -> dict[str, paddle.Tensor]:
    """Losses on the anchors where the teacher gives some class more than ``section.confidence``; N is their number.

    - ``class``: ``T^2 * KL`` of the softened class distributions, background included, summed, / N.
    - ``box``: smooth L1 (turning at 1) of the encoded boxes, summed, / N.
    - ``mask``: KL of the assembled masks (every prototype pixel a distribution over object and background) inside the
      teacher's box grown by one prototype pixel, summed, divided by the box's area in prototype pixels, / N.

    That classes and boxes of a detector are worth imitating, and that background must not outweigh them, is from Chen
    et al., Learning Efficient Object Detection Models with Knowledge Distillation, NIPS 2017; leaving background
    anchors to the labels altogether is the choice here. Coefficients and prototypes are not compared: prototypes carry
    no meaning of their own (Bolya et al., YOLACT, ICCV 2019, section 3.2), another order or mixture of them gives the
    same masks. What they assemble to is compared, so student and teacher may have different numbers of prototypes.

    Args:
        student: outputs in training: ``loc`` float32 [B, P, 4], ``logits`` [B, P, K + 1], ``mask`` [B, P, k], ``proto``
            [B, k, h, w], ``anchors`` [P, 4].
        teacher: outputs in evaluation, without gradient: ``conf`` [B, P, K + 1] instead of the logits, no anchors, and
            its own k, h and w.
        section: temperature, confidence and factors.
        variances: of the boxes' encoding.
        shared: several processes divide by the anchors of all of them.

    Returns:
        float32 scalars, factors applied; 0 with zero gradients where the teacher is confident nowhere.
    """
    probability = teacher["conf"].numpy()
    sure = probability[..., 1:].max(axis=2)
    rows = np.flatnonzero(sure.ravel() > section.confidence)
    present = float(len(rows) > 0)  # one row of factor 0 stands in for none, so that the graph stays connected
    rows = rows if len(rows) else np.zeros(1, np.int64)
    count = whole_batch_normaliser(paddle.to_tensor([present * len(rows)], dtype="float32"), active=shared)[0]
    share = present / count
    wanted = {name: _rows(teacher[name], rows) for name in ("conf", "loc")}
    own = {name: _rows(student[name], rows) for name in ("logits", "loc", "mask")}

    temperature = section.temperature
    soft = F.softmax(paddle.log(wanted["conf"].clip(min=_TINY)) / temperature, axis=1)
    surprise = paddle.log(soft.clip(min=_TINY)) - F.log_softmax(own["logits"] / temperature, axis=1)
    losses = {
        "class": (soft * surprise).sum() * temperature**2 * share,
        "box": F.smooth_l1_loss(own["loc"], wanted["loc"], reduction="sum") * share,
    }
    chosen = _surest(sure, rows) if present else np.zeros(0, np.int64)
    groups, offset = _mask_groups(student, teacher, rows, chosen, variances)
    losses["mask"] = (mask_cross_entropy(own["mask"], student["proto"], groups) - offset) * share
    factors = {"class": section.classes, "box": section.boxes, "mask": section.masks}
    return {name: factors[name] * value for name, value in losses.items()}


def _rows(tensor: paddle.Tensor, rows: np.ndarray) -> paddle.Tensor:
    """Rows of [B * P, c] of a tensor [B, P, c]."""
    return paddle.gather(tensor.reshape([-1, tensor.shape[2]]), paddle.to_tensor(rows))


def _surest(sure: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Positions in ``rows`` of the anchors whose masks are imitated, int64."""
    image = rows // sure.shape[1]
    order = np.argsort(-sure.ravel()[rows], kind="stable")
    kept = [order[image[order] == number][:MASK_ANCHORS] for number in range(len(sure))]
    return np.sort(np.concatenate(kept))


def _mask_groups(
    student: Mapping[str, paddle.Tensor],
    teacher: Mapping[str, paddle.Tensor],
    rows: np.ndarray,
    chosen: np.ndarray,
    variances: tuple[float, float],
) -> tuple[list[MaskGroup], float]:
    """What the chosen rows are to learn, and the value of their cross entropy when they have learned it."""
    batch, _, height, width = student["proto"].shape
    count = student["mask"].shape[1]
    anchors = student["anchors"].numpy()
    coefficients, loc = teacher["mask"].numpy(), teacher["loc"].numpy()
    prototypes = resize(teacher["proto"], (height, width)).numpy().reshape(batch, -1, height * width)
    groups, offset = [], 0.0
    for position in chosen:
        image, anchor = divmod(int(rows[position]), count)
        box = decode(loc[image, anchor : anchor + 1], anchors[anchor : anchor + 1], variances)[0].clip(0.0, 1.0)
        top, bottom, left, right = window = crop_window(box, height, width)
        area = max(float((box[2] - box[0]) * width), 1.0) * max(float((box[3] - box[1]) * height), 1.0)
        logits = (coefficients[image, anchor] @ prototypes[image]).reshape(height, width)
        soft = 1.0 / (1.0 + np.exp(-logits.clip(-60.0, 60.0)))
        groups.append(MaskGroup(image, np.array([position]), soft, window, 1.0 / area))
        offset += float(_entropy(logits[top:bottom, left:right]).sum(dtype=np.float64)) / area
    return groups, offset


def _entropy(logits: np.ndarray) -> np.ndarray:
    """Entropy in nats of a yes or no of probability sigmoid(x)."""
    probability = 1.0 / (1.0 + np.exp(-logits.clip(-60.0, 60.0)))
    entropy: np.ndarray = np.maximum(logits, 0.0) - logits * probability + np.log1p(np.exp(-np.abs(logits)))
    return entropy
