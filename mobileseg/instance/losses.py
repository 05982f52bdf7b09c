"""The four losses of YOLACT (Bolya et al., YOLACT: Real-time Instance Segmentation, ICCV 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from mobileseg.errors import ConfigError
from mobileseg.instance.losses_mask import MaskGroup, crop_window, mask_cross_entropy, shrink_masks
from mobileseg.instance.matching import BACKGROUND, Targets, match
from mobileseg.nn.normaliser import whole_batch_normaliser
from mobileseg.registry import LOSSES


class _Objects(NamedTuple):
    """Annotations of one image: float32 [M, 4], int64 [M], uint8 [M], uint8 [M, H, W]."""

    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    masks: np.ndarray


@LOSSES.add_component
class YolactLoss(nn.Layer):
    """Box, class, mask and semantic loss of a YOLACT network; the criterion of a configuration by itself.

    With N the number of positive anchors in the batch (`mobileseg.instance.matching.match`) and B its images:

    - ``box``: smooth L1 (turning at 1) of the encoded boxes of positive anchors, summed, / N.
    - ``class``: softmax cross entropy of the positive anchors and of the hardest background anchors of each image,
      ``negative_ratio`` per positive one, summed, / N. Hard is what gives background a low probability.
    - ``mask``: binary cross entropy of the assembled masks inside the box of the object, grown by one prototype pixel,
      summed over pixels, divided by the area of the box in prototype pixels, averaged over positive anchors.
    - ``segm``: binary cross entropy of the semantic output against the union of the masks of each class, mean over
      pixels, summed over classes, / B. Crowds are left out.

    When several processes train, N is that of the whole batch (`whole_batch_normaliser`).

    An image without a positive anchor would have no negatives either, so background alone would teach nothing. By
    default its ``empty_negatives`` hardest anchors are taken, and the image counts in the divisor of the class loss
    (there alone) as the ``empty_negatives / negative_ratio`` positives that would have brought them; a batch without
    any object is then an ordinary batch. ``empty_negatives: 0`` and ``smallest_side: 0`` are the published behaviour.

    Args:
        box_weight: factor of the box loss.
        class_weight: factor of the class loss.
        mask_weight: factor of the mask loss.
        segm_weight: factor of the semantic loss.
        positive_iou: lowest IoU of a positive anchor.
        negative_iou: IoU below which an anchor is background.
        crowd_overlap: share of an anchor's area above which a crowd hides it.
        negative_ratio: background anchors per positive one.
        empty_negatives: background anchors of an image without a positive one.
        mask_positives: positive anchors of an image whose masks are learned, more are drawn from at random (NumPy's
            global generator) and stand for all.
        smallest_side: sides of boxes count as at least this many prototype pixels in the divisor of the mask loss, or
            an object of a few pixels outweighs all others.

    Raises:
        ConfigError: thresholds or counts that make no sense.
    """

    is_criterion = True
    task = "instance"

    def __init__(
        self,
        box_weight: float = 1.5,
        class_weight: float = 1.0,
        mask_weight: float = 6.125,
        segm_weight: float = 1.0,
        positive_iou: float = 0.5,
        negative_iou: float = 0.4,
        crowd_overlap: float = 0.7,
        negative_ratio: int = 3,
        empty_negatives: int = 30,
        mask_positives: int = 100,
        smallest_side: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0.0 < negative_iou <= positive_iou <= 1.0:
            raise ConfigError(
                f"YolactLoss: 0 < negative_iou <= positive_iou <= 1 must hold, got {negative_iou} and {positive_iou}"
            )
        if negative_ratio < 1 or empty_negatives < 0 or mask_positives < 1:
            raise ConfigError(
                "YolactLoss: negative_ratio and mask_positives are at least 1 and empty_negatives at least 0, got "
                f"{negative_ratio}, {mask_positives} and {empty_negatives}"
            )
        self.weights = {"box": box_weight, "class": class_weight, "mask": mask_weight, "segm": segm_weight}
        if min(*self.weights.values(), smallest_side, crowd_overlap) < 0:
            raise ConfigError("YolactLoss: weights, smallest_side and crowd_overlap must not be below 0")
        self.thresholds = positive_iou, negative_iou, crowd_overlap
        self.negative_ratio = negative_ratio
        self.empty_negatives = empty_negatives
        self.mask_positives = mask_positives
        self.smallest_side = smallest_side

    def forward(
        self, outputs: Mapping[str, paddle.Tensor], targets: Mapping[str, paddle.Tensor]
    ) -> dict[str, paddle.Tensor]:
        """Weighted losses by name.

        Args:
            outputs: ``loc`` float32 [B, P, 4], ``logits`` [B, P, K + 1], ``mask`` [B, P, k], ``proto`` [B, k, h, w],
                ``segm`` [B, K, h3, w3], ``anchors`` [P, 4].
            targets: ``boxes`` float32 [B, M, 4] xyxy normalised, ``classes`` int64 [B, M] (-1: padding), ``crowd``
                uint8 [B, M], ``masks`` uint8 [B, M, H, W].

        Returns:
            float32 scalars, factors applied: their sum is what is minimised.
        """
        arrays = [targets[name].numpy() for name in ("boxes", "classes", "crowd", "masks")]
        objects = [_Objects(*parts) for parts in zip(*arrays, strict=True)]
        anchors = outputs["anchors"].numpy()
        matches = [match(anchors, boxes, classes, crowd, *self.thresholds) for boxes, classes, crowd, _ in objects]
        positive = np.concatenate([target.classes > BACKGROUND for target in matches])
        rows = _Rows(np.flatnonzero(positive))
        negatives, empty = self._mine(outputs["logits"], matches)
        counts = [len(rows.index), len(rows.index) + empty * self.empty_negatives / self.negative_ratio]
        divisors = whole_batch_normaliser(paddle.to_tensor(counts, dtype="float32"), active=self.training)

        loc = np.concatenate([target.loc for target in matches])[rows.padded]
        distance = F.smooth_l1_loss(rows.take(outputs["loc"]), paddle.to_tensor(loc), reduction="none").sum(axis=1)
        wanted = np.concatenate([target.classes for target in matches])
        judged = _Rows(np.concatenate([rows.index, negatives]))
        surprise = F.cross_entropy(
            judged.take(outputs["logits"]), paddle.to_tensor(wanted[judged.padded].clip(min=0)), reduction="none"
        ).flatten()
        groups = self._groups(objects, matches, *outputs["proto"].shape[2:])
        masks = mask_cross_entropy(rows.take(outputs["mask"]), outputs["proto"], groups)
        losses = {
            "box": (distance * rows.weight).sum() / divisors[0],
            "class": (surprise * judged.weight).sum() / divisors[1],
            "mask": masks / divisors[0],
            "segm": _semantic_loss(outputs["segm"], objects),
        }
        return {name: self.weights[name] * value for name, value in losses.items()}

    def _mine(self, logits: paddle.Tensor, matches: list[Targets]) -> tuple[np.ndarray, int]:
        """The hardest background anchors of each image.

        Returns:
            Their rows in [B * P], int64, and the number of images without a positive anchor.
        """
        with paddle.no_grad():
            background = paddle.full([*logits.shape[:2], 1], BACKGROUND, "int64")
            hardness = F.cross_entropy(logits, background, reduction="none").squeeze(2).numpy()
        count, empty, chosen = logits.shape[1], 0, []
        for image, target in enumerate(matches):
            positives = int((target.classes > BACKGROUND).sum())
            empty += positives == 0
            wanted = self.negative_ratio * positives if positives else self.empty_negatives
            candidates = np.flatnonzero(target.classes == BACKGROUND)
            wanted = min(wanted, count - 1, len(candidates))
            order = np.argsort(-hardness[image, candidates], kind="stable")[:wanted]
            chosen.append(image * count + candidates[order])
        return np.concatenate(chosen), empty

    def _groups(self, objects: list[_Objects], matches: list[Targets], height: int, width: int) -> list[MaskGroup]:
        """Positive anchors by the object they learn; rows count the positive anchors of the batch."""
        groups: list[MaskGroup] = []
        start = 0
        for image, (one, target) in enumerate(zip(objects, matches, strict=True)):
            owners = target.matched[target.classes > BACKGROUND]
            chosen = np.arange(len(owners))
            if len(owners) > self.mask_positives:
                chosen = np.sort(np.random.permutation(len(owners))[: self.mask_positives])
            share = len(owners) / max(len(chosen), 1)
            learned = np.unique(owners[chosen])
            for owner, truth in zip(learned, shrink_masks(one.masks[learned], height, width), strict=True):
                box = one.boxes[owner]
                sides = (box[2:] - box[:2]) * (width, height)
                area = float(np.maximum(sides, self.smallest_side).prod())
                group = start + chosen[owners[chosen] == owner]
                groups.append(MaskGroup(image, group, truth, crop_window(box, height, width), share / area))
            start += len(owners)
        return groups


class _Rows:
    """Rows of [B * P, ...]; one row of weight 0 stands in where there is none, so that the graph stays connected."""

    def __init__(self, index: np.ndarray) -> None:
        self.index = index
        self.padded = index if len(index) else np.zeros(1, np.int64)
        self.weight = paddle.full([len(self.padded)], float(len(index) > 0))

    def take(self, tensor: paddle.Tensor) -> paddle.Tensor:
        """Those rows of [B, P, c]: [n, c]."""
        return paddle.gather(tensor.reshape([-1, tensor.shape[2]]), paddle.to_tensor(self.padded))


def _semantic_loss(logits: paddle.Tensor, objects: list[_Objects]) -> paddle.Tensor:
    batch, _, height, width = logits.shape
    union = np.zeros(logits.shape, np.float32)
    for plane, (_, classes, crowd, masks) in zip(union, objects, strict=True):
        rows = np.flatnonzero((classes >= 0) & (crowd == 0))
        for row, small in zip(rows, shrink_masks(masks[rows], height, width), strict=True):
            plane[classes[row]][small] = 1.0
    total = F.binary_cross_entropy_with_logits(logits, paddle.to_tensor(union), reduction="sum")
    return total / (height * width * batch)
