"""PP-MobileSeg (Tang et al. 2023, arXiv:2304.05152) and TopFormer (Zhang et al. 2022, arXiv:2204.05525).

Two networks whose backbones do the work: a convolution, dropout and the classes follow. Parameter names and defaults
are PaddleSeg's, so its checkpoints and configurations fit.
"""

from __future__ import annotations

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.backbones.base import Backbone, indices_of_strides
from mobileseg.errors import ConfigError
from mobileseg.nn.blocks import ConvNormAct, resize
from mobileseg.nn.compat import is_static, spatial_size
from mobileseg.registry import NETWORKS

UPSAMPLES = ("intepolate", "interpolate", "vim")
"""PaddleSeg's spelling, the right one, and the valid interpolate module."""

VIM_CLASSES = 30
"""With fewer classes the valid interpolate module is not used, as in PaddleSeg."""

_STEEP = 1e30  # makes a step of a difference of logits
_DROPOUT = 0.1
TOPFORMER_STRIDES = (8, 16, 32)


class FuseHead(nn.Layer):
    """1x1 convolution (depthwise or full) with norm and ReLU, dropout of channels, 1x1 convolution to the classes."""

    def __init__(self, channels: int, num_classes: int, depthwise: bool) -> None:
        super().__init__()
        groups = channels if depthwise else 1
        self.linear_fuse = ConvNormAct(channels, channels, 1, groups=groups, act="relu", names=("conv", "bn"))
        self.dropout = nn.Dropout2D(_DROPOUT)
        self.conv_seg = nn.Conv2D(channels, num_classes, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.conv_seg(self.dropout(self.linear_fuse(x)))


class _Plain(nn.Layer):
    """A backbone and a head; what the two networks share."""

    task = "semantic"

    def __init__(self, num_classes: int, backbone: Backbone, strides: list[int], depthwise: bool) -> None:
        super().__init__()
        if num_classes < 1:
            raise ConfigError(f"num_classes must be at least 1, got {num_classes}")
        self.num_classes = num_classes
        self.backbone = backbone
        try:
            self.indices = indices_of_strides(backbone.feature_info, strides)
        except ValueError as error:
            raise ConfigError(f"{type(self).__name__}: {error}") from error
        self.strides = tuple(strides)
        self.decode_head = FuseHead(backbone.feature_info[self.indices[0]].channels, num_classes, depthwise)
        self.size_multiple = max(spec.stride for spec in backbone.feature_info)
        """What height and width must be multiples of in a graph of dynamic size; fixed sizes are free."""

    def components(self) -> dict[str, nn.Layer]:
        """The parts of the network that is deployed, by name."""
        return {"backbone": self.backbone, "head": self.decode_head}


@NETWORKS.add_component
class PPMobileSeg(_Plain):
    """PP-MobileSeg: a head on the one feature that its backbone's aggregated attention module makes.

    Args:
        num_classes: classes to tell apart.
        backbone: a layer that keeps the contract of :class:`~mobileseg.backbones.base.Backbone`. Of StrideFormer the
            feature of AAM is used, of others the finest.
        head_use_dw: the convolution of the head is depthwise.
        align_corners: how the logits are resized to the input's size.
        upsample: 'intepolate' (PaddleSeg's spelling, 'interpolate' means the same), or 'vim': in evaluation, with 30
            classes or more, only classes that are the best of some pixel before the logits are resized can be the best
            after it (valid interpolate module). The labels are PaddleSeg's. There, the other classes are not resized at
            all, for which the graph's shapes must depend on the image; here they are resized and set below.

    Raises:
        ConfigError: the arguments contradict each other or the backbone.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: Backbone,
        head_use_dw: bool = True,
        align_corners: bool = False,
        upsample: str = "intepolate",
    ) -> None:
        if upsample not in UPSAMPLES:
            raise ConfigError(f"upsample '{upsample}' is not supported", remedy=f"use one of {', '.join(UPSAMPLES)}")
        stride = getattr(backbone, "fused_stride", None) or min(spec.stride for spec in backbone.feature_info)
        super().__init__(num_classes, backbone, [stride], head_use_dw)
        self.align_corners = align_corners
        self.upsample = upsample

    def coarse_logits(self, x: paddle.Tensor) -> paddle.Tensor:
        """Logits [N, K, h, w] before they are resized to the input's size."""
        logits = self.decode_head(self.backbone(x)[self.indices[0]])
        if self.upsample == "vim" and not self.training and self.num_classes >= VIM_CLASSES:
            return logits + absent_penalty(logits)
        return logits

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """``logits`` [N, K, H, W] of float32 [N, 3, H, W]."""
        return {"logits": resize(self.coarse_logits(x), spatial_size(x), align_corners=self.align_corners)}


@NETWORKS.add_component
class TopFormer(_Plain):
    """TopFormer: the sum of the features of strides 8, 16 and 32, and a head.

    Args:
        num_classes: classes to tell apart.
        backbone: a layer that keeps the contract of :class:`~mobileseg.backbones.base.Backbone` and whose features of
            strides 8, 16 and 32 have equally many channels, as ``TopTransformer_*``.
        head_use_dw: the convolution of the head is depthwise.
        align_corners: how features and logits are resized.

    Raises:
        ConfigError: the backbone does not have such features.
    """

    def __init__(
        self, num_classes: int, backbone: Backbone, head_use_dw: bool = False, align_corners: bool = False
    ) -> None:
        super().__init__(num_classes, backbone, list(TOPFORMER_STRIDES), head_use_dw)
        channels = [backbone.feature_info[index].channels for index in self.indices]
        if len(set(channels)) > 1:
            raise ConfigError(
                f"TopFormer adds the features of strides 8, 16 and 32, those of the backbone have {channels} channels",
                remedy="use a backbone TopTransformer_Base, _Small or _Tiny, or the network MobileSeg",
            )
        self.align_corners = align_corners

    def coarse_logits(self, x: paddle.Tensor) -> paddle.Tensor:
        """Logits [N, K, h, w] before they are resized to the input's size."""
        features = self.backbone(x)
        total = features[self.indices[0]]
        size = spatial_size(total)
        for index in self.indices[1:]:
            total = total + resize(features[index], size, align_corners=self.align_corners)
        return self.decode_head(total)

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """``logits`` [N, K, H, W] of float32 [N, 3, H, W]."""
        return {"logits": resize(self.coarse_logits(x), spatial_size(x), align_corners=self.align_corners)}


def absent_penalty(logits: paddle.Tensor) -> paddle.Tensor:
    """What sets the classes that win nowhere below all others.

    Args:
        logits: float32 [N, K, h, w].

    Returns:
        [N, K, 1, 1]: zero for classes that have the highest logit of some pixel, for the others minus the range of all
        logits of the image; so what is added to resized logits keeps their order of magnitude.
    """
    best, least = paddle.max(logits, axis=1, keepdim=True), -paddle.max(-logits, axis=1, keepdim=True)
    absent = F.relu6(_global_max(logits - best) * -_STEEP) / 6.0
    return -absent * (_global_max(best) + _global_max(-least))


def _global_max(x: paddle.Tensor) -> paddle.Tensor:
    """[N, C, 1, 1] of [N, C, H, W]; as a pooling where the size is known, which NCNN can load."""
    size = spatial_size(x)
    if is_static(size):
        return F.max_pool2d(x, size)
    return paddle.max(x, axis=[2, 3], keepdim=True)


# Decides by Python types what is written into the graph: tracing must not rewrite it.
_global_max = paddle.jit.not_to_static(_global_max)
