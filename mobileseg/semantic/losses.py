"""Cross entropy, OHEM, mixtures, and the criterion that applies one loss to each output of a network.

The other losses register from `mobileseg.semantic.losses_pixel` and `mobileseg.semantic.losses_region`, imported here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import paddle
from paddle import nn

from mobileseg.errors import ConfigError
from mobileseg.nn.normaliser import whole_batch_normaliser
from mobileseg.registry import LOSSES
from mobileseg.semantic import losses_pixel, losses_region  # noqa: F401  # they register their losses
from mobileseg.semantic.loss_base import SegmentationLoss
from mobileseg.semantic.loss_kernels import pixel_cross_entropy

logger = logging.getLogger(__name__)

WATCHED_BATCHES = 50
"""How many batches the criterion looks at for labels that are mostly ignored; each look waits for the device."""


@LOSSES.add_component
class CrossEntropyLoss(SegmentationLoss):
    """Softmax cross entropy, averaged over the pixels that count.

    With class weights the average is weighted: ``sum(w * ce) / sum(w)``. When several processes train, the divisor is
    that of the whole batch (`whole_batch_normaliser`), except under `top_k_percent_pixels`, which mines per process.

    Args:
        weight: factor of each class.
        ignore_index: label value of pixels that take no part.
        top_k_percent_pixels: share (0, 1] of all pixels, those of the highest loss, that are kept.
        avg_non_ignore: divide by the pixels (weights) that count; False divides by all pixels, ignored ones included.
    """

    def __init__(
        self,
        weight: Sequence[float] | None = None,
        ignore_index: int = 255,
        top_k_percent_pixels: float = 1.0,
        avg_non_ignore: bool = True,
    ) -> None:
        super().__init__(ignore_index, weight)
        if not 0.0 < top_k_percent_pixels <= 1.0:
            raise ConfigError(
                f"CrossEntropyLoss: top_k_percent_pixels is a share in (0, 1], got {top_k_percent_pixels}",
                remedy="write 0.2 for the hardest 20 % of the pixels",
            )
        self.top_k_percent_pixels = top_k_percent_pixels
        self.avg_non_ignore = avg_non_ignore

    def compute(self, logits: paddle.Tensor, label: paddle.Tensor) -> paddle.Tensor:
        """See the class."""
        loss = pixel_cross_entropy(logits, label, self.ignore_index)
        count = self.pixel_weight(label)
        if self.weight is not None:
            loss = loss * count
        if not self.avg_non_ignore:
            count = paddle.ones_like(count)
        if self.top_k_percent_pixels < 1.0:
            kept = max(1, int(self.top_k_percent_pixels * loss.size))
            loss, index = paddle.topk(loss.flatten(), kept, sorted=False)
            return loss.sum() / whole_batch_normaliser(paddle.gather(count.flatten(), index).sum(), active=False)
        return loss.sum() / whole_batch_normaliser(count.sum(), active=self.training)


@LOSSES.add_component
class OhemCrossEntropyLoss(SegmentationLoss):
    """Cross entropy of the hard pixels only (online hard example mining), per process.

    With p the softmax probability of the true class and v the `min_kept`-th smallest p of the batch, pixels with
    ``p < max(v, thresh)`` are kept, and the loss is ``mean(ce * kept) / (mean(kept) + 1e-5)`` over all pixels. When no
    more than `min_kept` pixels are valid, or `min_kept` is 0, all valid pixels are kept. Class weights multiply the
    cross entropy and leave the divisor alone.

    Args:
        thresh: probability above which a pixel is easy.
        min_kept: number of pixels of the (per-process) batch to keep at least.
        ignore_index: label value of pixels that take no part.
        weight: factor of each class.
    """

    def __init__(
        self,
        thresh: float = 0.7,
        min_kept: int = 10000,
        ignore_index: int = 255,
        weight: Sequence[float] | None = None,
    ) -> None:
        super().__init__(ignore_index, weight)
        if not 0.0 < thresh <= 1.0 or min_kept < 0:
            raise ConfigError(
                f"OhemCrossEntropyLoss: thresh is a probability in (0, 1] and min_kept a number of pixels, "
                f"got thresh {thresh} and min_kept {min_kept}"
            )
        self.thresh = thresh
        self.min_kept = min_kept

    def compute(self, logits: paddle.Tensor, label: paddle.Tensor) -> paddle.Tensor:
        """See the class."""
        loss = pixel_cross_entropy(logits, label, self.ignore_index)
        kept = self.valid(label)
        if 0 < self.min_kept < loss.size:
            # exp(-ce) is the true-class probability, so the softmax is computed once; ignored pixels go last.
            probability = paddle.where(kept > 0, paddle.exp(-loss.detach()), paddle.full_like(kept, 2.0))
            smallest, _ = paddle.kthvalue(probability.flatten(), self.min_kept)
            hard = probability < paddle.clip(smallest, min=self.thresh)
            enough = kept.sum() > self.min_kept
            kept = kept * paddle.logical_or(hard, paddle.logical_not(enough)).astype("float32")
        if self.weight is not None:
            loss = loss * self.pixel_weight(label)
        return (loss * kept).mean() / (kept.mean() + 1e-5)


@LOSSES.add_component
class MixedLoss(nn.Layer):
    """Weighted sum of several losses of the same output.

    Args:
        losses: the losses.
        coef: factor of each of them.

    Raises:
        ConfigError: no losses, or another number of factors.
    """

    task = "semantic"

    def __init__(self, losses: Sequence[nn.Layer], coef: Sequence[float]) -> None:
        super().__init__()
        if not losses or len(losses) != len(coef):
            raise ConfigError(
                f"MixedLoss: {len(losses)} losses and {len(coef)} coefficients",
                remedy="give losses a list and coef as many numbers",
            )
        self.losses = nn.LayerList(list(losses))
        self.coef = [float(factor) for factor in coef]

    @property
    def ignore_index(self) -> int:
        """The label value that the first of the losses ignores."""
        return int(self.losses[0].ignore_index)

    def forward(self, logits: paddle.Tensor, label: paddle.Tensor) -> paddle.Tensor:
        """``sum(coef_i * loss_i)``; logits [N, K, h, w], label [N, H, W], result a float32 scalar."""
        parts = [factor * loss(logits, label) for factor, loss in zip(self.coef, self.losses, strict=True)]
        return paddle.add_n(parts)


class Criterion(nn.Layer):
    """One loss for each output of a network: the i-th loss goes to the i-th output.

    Args:
        losses: one per output, in the order of the outputs.
        coefs: factor of each of them.

    Raises:
        ConfigError: no losses, or another number of factors.
    """

    def __init__(self, losses: Sequence[nn.Layer], coefs: Sequence[float]) -> None:
        super().__init__()
        if not losses or len(losses) != len(coefs):
            raise ConfigError(
                f"loss: {len(losses)} losses and {len(coefs)} coefficients",
                remedy="give loss.types and loss.coef the same length",
            )
        self.losses = nn.LayerList(list(losses))
        self.coefs = [float(factor) for factor in coefs]
        self._watched = 0

    def forward(
        self, outputs: Mapping[str, paddle.Tensor], targets: Mapping[str, paddle.Tensor]
    ) -> dict[str, paddle.Tensor]:
        """Weighted losses by the name of the output.

        Args:
            outputs: logits [N, K, h, w] by name.
            targets: ``label`` int64 [N, H, W].

        Returns:
            float32 scalars, factors applied: their sum is what is minimised.

        Raises:
            ConfigError: the network has another number of outputs than there are losses.
        """
        if len(outputs) != len(self.losses):
            raise ConfigError(
                f"the network gives {len(outputs)} outputs ({', '.join(outputs)}) and there are {len(self.losses)} "
                "losses",
                remedy=f"give loss.types and loss.coef {len(outputs)} entries",
            )
        self._watch(targets["label"])
        return {
            name: factor * _of_output(loss, outputs, name, targets["label"])
            for name, loss, factor in zip(outputs, self.losses, self.coefs, strict=True)
        }

    def _watch(self, label: paddle.Tensor) -> None:
        """Say once that nearly everything is ignored: such a run learns nothing and its loss looks healthy."""
        if self._watched >= WATCHED_BATCHES:
            return
        self._watched += 1
        ignore_index = int(self.losses[0].ignore_index)
        share = float((label == ignore_index).astype("float32").mean())
        if share > 0.9:
            self._watched = WATCHED_BATCHES
            logger.warning(
                "%.1f %% of the pixels of a batch carry the ignored label %d and are not learned. If %d means an "
                "object in these masks, map it to a class with label_map in the dataset.",
                100 * share,
                ignore_index,
                ignore_index,
            )


def _of_output(loss: nn.Layer, outputs: Mapping[str, paddle.Tensor], name: str, label: paddle.Tensor) -> paddle.Tensor:
    """The loss of one output; a loss with ``of_outputs`` is shown the others too."""
    of_outputs = getattr(loss, "of_outputs", None)
    result: paddle.Tensor = loss(outputs[name], label) if of_outputs is None else of_outputs(outputs, name, label)
    return result
