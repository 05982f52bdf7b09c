"""The prediction head of YOLACT: one set of weights for all levels of the pyramid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import paddle
from paddle import nn

from mobileseg.instance.layers import ConvFactory, dense, last_convolution, out_channels, over_levels, to_rows
from mobileseg.nn.blocks import ACTIVATIONS

#: Coordinates of a box.
BOX = 4


class PredictionHead(nn.Layer):
    """One shared convolution, then one each for boxes, classes and mask coefficients.

    Args:
        in_channels: width of the pyramid.
        anchors: anchors of a cell.
        num_classes: classes without the background.
        prototypes: mask coefficients of a detection.
        conv: makes a 3x3 convolution from (in_channels, out_channels).
        output: the same for the last convolutions.
        act: activation of the shared convolution.
        foreground_prior: probability that an anchor is an object, before training (Lin et al. 2017,
            arXiv:1708.02002): the background's bias is set so. For losses over all anchors; with mined
            negatives it is not needed. None leaves all biases at zero.
    """

    def __init__(
        self,
        in_channels: int,
        anchors: int,
        num_classes: int,
        prototypes: int,
        conv: ConvFactory = dense,
        output: Callable[[int, int], nn.Layer] = dense,
        act: str = "relu",
        foreground_prior: float | None = None,
    ) -> None:
        super().__init__()
        self.act = act
        self.anchors_per_cell = anchors
        self.upfeature = nn.LayerList([conv(in_channels, in_channels)])
        width = out_channels(self.upfeature[0])
        self.bbox_layer = output(width, anchors * BOX)
        self.conf_layer = output(width, anchors * (num_classes + 1))
        self.mask_layer = output(width, anchors * prototypes)
        if foreground_prior is not None:
            bias = last_convolution(self.conf_layer).bias
            values = paddle.zeros([anchors, num_classes + 1])
            values[:, 0] = math.log(num_classes * (1 - foreground_prior) / foreground_prior)
            bias.set_value(paddle.reshape(values, bias.shape))

    def forward(self, levels: Sequence[paddle.Tensor]) -> tuple[paddle.Tensor, paddle.Tensor, paddle.Tensor]:
        """Raw predictions of all anchors.

        Args:
            levels: float32 [N, C, h, w], finest first.

        Returns:
            Encoded boxes [N, P, 4], class logits [N, P, K + 1] with the background first, mask coefficients before
            their activation [N, P, k]; P in the order level, row, column, anchor.
        """
        for conv in self.upfeature:
            levels = [ACTIVATIONS[self.act](x) for x in over_levels(conv, levels)]
        loc, logits, mask = (
            self._predict(layer, levels) for layer in (self.bbox_layer, self.conf_layer, self.mask_layer)
        )
        return loc, logits, mask

    def _predict(self, layer: nn.Layer, levels: Sequence[paddle.Tensor]) -> paddle.Tensor:
        length = out_channels(layer) // self.anchors_per_cell
        return paddle.concat([to_rows(x, length) for x in over_levels(layer, levels)], axis=1)
