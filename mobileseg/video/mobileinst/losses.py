"""Set prediction losses of MobileInst, which are SparseInst's (Cheng et al., CVPR 2022, arXiv:2203.12827)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F
from scipy.optimize import linear_sum_assignment

from mobileseg.errors import ConfigError
from mobileseg.nn.blocks import resize
from mobileseg.nn.normaliser import whole_batch_normaliser
from mobileseg.registry import LOSSES
from mobileseg.tasks import VIDEO
from mobileseg.video.mobileinst.names import CELL_CLASSES
from mobileseg.video.mobileinst.targets import ObjectReader, Objects, class_shares, repeated

DICE_POWER, CLASS_POWER = 0.8, 0.2
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0
PREDICTED, TRUE = 0.4, 0.5
"""Above what a pixel counts in the IoU that objectness learns: of the prediction, and of the truth."""
_EPSILON = 1e-4


class Predictions(NamedTuple):
    """What the queries say of a batch.

    Attributes:
        logits: float32 [B, Q, K] of the classes.
        objectness: float32 [B, Q, 1], logits of the masks' IoU.
        masks: float32 [B, Q, h, w], logits.
    """

    logits: paddle.Tensor
    objectness: paddle.Tensor
    masks: paddle.Tensor


class Assignment(NamedTuple):
    """Which query of an image learns which object.

    Attributes:
        queries: int64 [n].
        objects: int64 [n], rows of the image's :class:`Objects`.
    """

    queries: np.ndarray
    objects: np.ndarray


def predictions(outputs: Mapping[str, paddle.Tensor], prefix: str = "") -> Predictions:
    """From the outputs of a network in training; ``prefix`` chooses the queries."""
    kernels = outputs[f"{prefix}kernels"]
    masks = apply_kernels(kernels, outputs["mask_features"])
    return Predictions(outputs[f"{prefix}logits"], outputs[f"{prefix}objectness"], masks)


def apply_kernels(kernels: paddle.Tensor, mask_features: paddle.Tensor) -> paddle.Tensor:
    """Logits of masks [B, Q, h, w] from kernels [B, Q, k] and mask features [B, k, h, w]."""
    batch, channels, height, width = mask_features.shape
    product = paddle.matmul(kernels, paddle.reshape(mask_features, [batch, channels, height * width]))
    return paddle.reshape(product, [batch, kernels.shape[1], height, width])


@paddle.no_grad()
def match(found: Predictions, objects: Sequence[Objects], scale: int = 1) -> list[Assignment]:
    """The assignment of every image that maximises the sum of ``dice^0.8 * probability^0.2`` over its objects.

    Args:
        found: predictions of a batch.
        objects: of every image, masks ``scale`` times as large as the predicted ones.
        scale: how much predicted masks are enlarged.
    """
    return [_match_image(found.logits[index], found.masks[index], one, scale) for index, one in enumerate(objects)]


def _match_image(logits: paddle.Tensor, masks: paddle.Tensor, objects: Objects, scale: int) -> Assignment:
    if len(objects.classes) == 0:
        return Assignment(np.zeros(0, np.int64), np.zeros(0, np.int64))
    score = similarity(logits, masks, objects, scale).numpy()
    rows, columns = linear_sum_assignment(score, maximize=True)
    return Assignment(rows.astype(np.int64), columns.astype(np.int64))


@paddle.no_grad()
def similarity(logits: paddle.Tensor, masks: paddle.Tensor, objects: Objects, scale: int = 1) -> paddle.Tensor:
    """How well queries and objects of one image fit, float32 [Q, n].

    Args:
        logits: float32 [Q, K].
        masks: float32 [Q, h, w], logits.
        objects: at least one.
        scale: as in :func:`match`.
    """
    predicted = F.sigmoid(_enlarge(masks, scale)).reshape([masks.shape[0], -1])
    truth = paddle.to_tensor(objects.masks.reshape(len(objects.masks), -1))
    squares = (predicted * predicted).sum(axis=1, keepdim=True) + (truth * truth).sum(axis=1)
    dice = 2 * paddle.matmul(predicted, truth, transpose_y=True) / (squares + _EPSILON)
    probability = F.sigmoid(paddle.gather(logits, paddle.to_tensor(objects.classes), axis=1))
    return dice**DICE_POWER * probability**CLASS_POWER


def set_losses(
    found: Predictions,
    objects: Sequence[Objects],
    assignments: Sequence[Assignment],
    scale: int = 1,
    *,
    reduce: bool = False,
) -> dict[str, paddle.Tensor]:
    """The four losses of queries that have been assigned, without weights.

    - ``class``: focal loss of all queries and classes, summed, / number of objects.
    - ``dice``: 1 - dice of the assigned masks, summed, / number of objects.
    - ``mask``: binary cross entropy of the assigned masks, mean over masks and pixels.
    - ``objectness``: binary cross entropy to the IoU of the assigned mask, mean over them.

    The numbers are those of the whole batch when several processes share it. Without any object the last three are 0
    and the first is divided by 1.

    Args:
        found: predictions of a batch.
        objects: of every image.
        assignments: of every image.
        scale: how much predicted masks are enlarged before they are compared.
        reduce: several processes take part.

    Returns:
        float32 scalars by name.
    """
    batch, queries, kinds = found.logits.shape
    labels = np.zeros((batch, queries, kinds), np.float32)
    for index, (one, pairs) in enumerate(zip(objects, assignments, strict=True)):
        labels[index, pairs.queries, one.classes[pairs.objects]] = 1.0
    rows = np.concatenate([index * queries + pairs.queries for index, pairs in enumerate(assignments)])
    counts = [sum(len(one.classes) for one in objects), len(rows)]
    divisors = whole_batch_normaliser(paddle.to_tensor(counts, dtype="float32"), active=reduce)
    surprise = F.sigmoid_focal_loss(
        found.logits, paddle.to_tensor(labels), alpha=FOCAL_ALPHA, gamma=FOCAL_GAMMA, reduction="sum"
    )
    losses = {"class": surprise / divisors[0]}
    if len(rows) == 0:
        nothing = (found.masks.sum() + found.objectness.sum()) * 0.0  # keeps every parameter in the graph
        return {**losses, "dice": nothing, "mask": nothing, "objectness": nothing}
    truth = paddle.to_tensor(
        np.concatenate([one.masks[pairs.objects] for one, pairs in zip(objects, assignments, strict=True)])
    ).reshape([len(rows), -1])
    index = paddle.to_tensor(rows)
    masks = paddle.gather(found.masks.reshape([batch * queries, *found.masks.shape[2:]]), index)
    masks = _enlarge(masks, scale).reshape([len(rows), -1])
    objectness = paddle.gather(found.objectness.reshape([batch * queries]), index)
    shares = F.sigmoid(masks)
    dice = 2 * (shares * truth).sum(axis=1) / ((shares**2).sum(axis=1) + (truth**2).sum(axis=1) + _EPSILON)
    pixels = F.binary_cross_entropy_with_logits(masks, truth, reduction="none").mean(axis=1)
    wanted = _overlap(shares.detach(), truth)
    judged = F.binary_cross_entropy_with_logits(objectness, wanted, reduction="sum")
    return {
        **losses,
        "dice": (1 - dice).sum() / divisors[0],
        "mask": pixels.sum() / divisors[1],
        "objectness": judged / divisors[1],
    }


def _arrays(targets: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(targets[name]) for name in ("classes", "crowd", "masks")}


def _overlap(shares: paddle.Tensor, truth: paddle.Tensor) -> paddle.Tensor:
    """IoU of masks in pairs, [n] from two [n, pixels]."""
    predicted, true = (shares >= PREDICTED).astype("float32"), (truth > TRUE).astype("float32")
    shared = (predicted * true).sum(axis=1)
    return shared / (predicted.sum(axis=1) + true.sum(axis=1) - shared + 1e-6)


def _enlarge(masks: paddle.Tensor, scale: int) -> paddle.Tensor:
    """[n, h, w] to [n, h * scale, w * scale], bilinear."""
    if scale == 1:
        return masks
    size = [int(length) * scale for length in masks.shape[1:]]
    return resize(masks.unsqueeze(0), size).squeeze(0)


@LOSSES.add_component
class MobileInstLoss(nn.Layer):
    """Losses of a MobileInst network on images; the criterion of a configuration by itself.

    Queries are assigned to objects (:func:`match`) and learn them (:func:`set_losses`); those of the global decoder do
    so too, with the heads of all queries, because in a clip they are handed from frame to frame. An image without
    objects teaches background to all queries. Of more objects than queries the largest are learned.

    Args:
        class_weight: factor of the class loss.
        dice_weight: factor of the dice loss.
        mask_weight: factor of the cross entropy of masks. SparseInst's factors are the defaults; of the paper only 2
            for both mask losses together is known.
        objectness_weight: factor of the objectness loss.
        global_weight: factor of all losses of the global decoder's queries, 0 for none.
        global_copies: every object is learned by so many queries of the global decoder (fewer where queries are few);
            more than one is not of the paper.
        semantic_weight: factor of the binary cross entropy, mean over cells and classes, of what a network with
            ``semantic: true`` says of the cells of its local map; the truth is the share of a cell that objects of a
            class cover.
        mask_scale: masks are compared at this many times the resolution of the mask features.
        passing_weight: on clips: factor of the losses of queries that the global decoder made of another frame.
        reuse_weight: on clips: factor of the mask losses of another frame's kernels, 0 for none.

    Raises:
        ConfigError: a weight below 0, a scale or number of copies below 1.
    """

    is_criterion = True
    task = VIDEO

    def __init__(
        self,
        class_weight: float = 2.0,
        dice_weight: float = 2.0,
        mask_weight: float = 5.0,
        objectness_weight: float = 1.0,
        global_weight: float = 1.0,
        global_copies: int = 1,
        semantic_weight: float = 4.0,
        mask_scale: int = 2,
        passing_weight: float = 1.0,
        reuse_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.weights = {
            "class": class_weight,
            "dice": dice_weight,
            "mask": mask_weight,
            "objectness": objectness_weight,
        }
        self.global_weight = global_weight
        self.global_copies = global_copies
        self.semantic_weight = semantic_weight
        self.mask_scale = mask_scale
        self.passing_weight = passing_weight
        self.reuse_weight = reuse_weight
        factors = (*self.weights.values(), global_weight, semantic_weight, passing_weight, reuse_weight)
        if min(factors) < 0 or min(mask_scale, global_copies) < 1:
            raise ConfigError(
                "MobileInstLoss: weights must not be below 0, and mask_scale and global_copies not below 1"
            )
        self._reader: ObjectReader | None = None

    def forward(
        self, outputs: Mapping[str, paddle.Tensor], targets: Mapping[str, paddle.Tensor]
    ) -> dict[str, paddle.Tensor]:
        """Weighted losses by name.

        Args:
            outputs: of the network in training.
            targets: ``classes`` int64 [B, M] (-1: padding), ``crowd`` uint8 [B, M], ``masks`` uint8 [B, M, H, W].

        Returns:
            float32 scalars, factors applied: ``class``, ``dice``, ``mask``, ``objectness``, ``global`` and, of a
            network that has it, ``cell_classes``.
        """
        objects = self.objects(outputs, targets)
        return self.judge(outputs, objects)[0] | self.semantic(outputs, targets)

    def objects(self, outputs: Mapping[str, paddle.Tensor], targets: Mapping[str, Any]) -> list[Objects]:
        """The objects of every image at the resolution of the masks; arguments as in :meth:`forward`, or arrays."""
        if self._reader is None:
            self._reader = ObjectReader(int(outputs["kernels"].shape[1]))
        height, width = outputs["mask_features"].shape[2:]
        return self._reader(_arrays(targets), (int(height), int(width)), self.mask_scale)

    def semantic(self, outputs: Mapping[str, paddle.Tensor], targets: Mapping[str, Any]) -> dict[str, paddle.Tensor]:
        """The loss ``cell_classes``, nothing where the network has no such output; arguments as in :meth:`objects`."""
        logits = outputs.get(CELL_CLASSES)
        if logits is None:
            return {}
        _, kinds, height, width = (int(length) for length in logits.shape)
        truth = paddle.to_tensor(class_shares(_arrays(targets), kinds, (height, width)))
        return {CELL_CLASSES: self.semantic_weight * F.binary_cross_entropy_with_logits(logits, truth)}

    def judge(
        self, outputs: Mapping[str, paddle.Tensor], objects: Sequence[Objects]
    ) -> tuple[dict[str, paddle.Tensor], list[Assignment]]:
        """Weighted losses by name, and which query learned what."""
        found = predictions(outputs)
        assignments = match(found, objects, self.mask_scale)
        losses = self.weighted(found, objects, assignments)
        if self.global_weight > 0:
            early = predictions(outputs, "global_")
            queries = int(early.logits.shape[1])
            several = [repeated(one, min(self.global_copies, queries // max(len(one.rows), 1))) for one in objects]
            parts = self.weighted(early, several, match(early, several, self.mask_scale))
            losses["global"] = self.global_weight * sum(parts.values())
        return losses, assignments

    def weighted(
        self, found: Predictions, objects: Sequence[Objects], assignments: Sequence[Assignment]
    ) -> dict[str, paddle.Tensor]:
        """:func:`set_losses` with the factors."""
        losses = set_losses(found, objects, assignments, self.mask_scale, reduce=self.training)
        return {name: self.weights[name] * value for name, value in losses.items()}
