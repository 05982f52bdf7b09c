"""The feature pyramid of YOLACT: five levels of one width, from three features of the backbone."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import nn

from mobileseg.instance.layers import ConvFactory, dense, out_channels
from mobileseg.nn.blocks import ACTIVATIONS, resize
from mobileseg.nn.compat import spatial_size

#: Levels above the features, each half the size of the one before.
EXTRA_LEVELS = 2


class FPN(nn.Layer):
    """Feature pyramid (Lin et al. 2017, arXiv:1612.03144) in YOLACT's form.

    Its two phases can be called by themselves: :meth:`merge` and :meth:`predict`. The parameters are counted
    from the coarsest feature to the finest, as in the published weights.

    Args:
        in_channels: channels of the features, finest first.
        channels: width of the pyramid.
        conv: makes a 3x3 convolution from (in_channels, out_channels, stride=).
        act: activation of the predicted levels; the levels above the features have none.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, conv: ConvFactory = dense, act: str = "relu") -> None:
        super().__init__()
        self.act = act
        self.lat_layers = nn.LayerList([dense(width, channels, 1) for width in reversed(in_channels)])
        self.pred_layers = nn.LayerList([conv(channels, channels) for _ in in_channels])
        self.downsample_layers = nn.LayerList([conv(channels, channels, stride=2) for _ in range(EXTRA_LEVELS)])

    @property
    def channels(self) -> int:
        """Width of the finest level, read from its kernel."""
        return out_channels(self.pred_layers[len(self.pred_layers) - 1])

    def merge(self, features: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
        """First phase: lateral convolutions, and the sum from coarse to fine.

        Args:
            features: float32 [N, C, h, w], finest first.

        Returns:
            One map per feature, finest first, of the feature's size.
        """
        return self.merge_onto(self.lateral(features[0]), features[1:])

    @property
    def finest_lateral(self) -> nn.Layer:
        """The lateral convolution of the finest feature."""
        return self.lat_layers[len(self.lat_layers) - 1]

    def lateral(self, finest: paddle.Tensor) -> paddle.Tensor:
        """The lateral of the finest feature, which the first phase adds last."""
        return self.finest_lateral(finest)

    def merge_onto(self, lateral: paddle.Tensor, coarser: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
        """First phase, of which :meth:`lateral` is known.

        Args:
            lateral: float32 [N, C, h, w].
            coarser: the other features, finest first.
        """
        count = len(coarser)
        if not count:
            return [lateral]
        merged = [self.lat_layers[0](coarser[count - 1])]
        for index in range(1, count):
            x = self.lat_layers[index](coarser[count - 1 - index])
            merged.insert(0, onto(x, merged[0]))
        merged.insert(0, onto(lateral, merged[0]))
        return merged

    def predict(self, merged: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
        """Second phase: the levels themselves, finest first, two more than there are merged maps."""
        act = ACTIVATIONS[self.act]
        count = len(self.pred_layers)
        levels = [act(self.pred_layers[count - 1 - index](merged[index])) for index in range(count)]
        for downsample in self.downsample_layers:
            levels.append(downsample(levels[-1]))
        return levels

    def forward(self, features: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
        return self.predict(self.merge(features))


def onto(lateral: paddle.Tensor, coarser: paddle.Tensor) -> paddle.Tensor:
    """The sum of a lateral and the coarser map at its size."""
    return lateral + resize(coarser, spatial_size(lateral))
