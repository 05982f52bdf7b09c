"""MobileSeg: PaddleSeg's segmentation network for phones, on any registered backbone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import paddle
from paddle import nn

from mobileseg.backbones.base import Backbone, indices_of_strides
from mobileseg.errors import ConfigError
from mobileseg.nn.blocks import resize
from mobileseg.nn.compat import spatial_size
from mobileseg.registry import NETWORKS
from mobileseg.semantic.decoder import ARM_TYPES, Decoder, SegHead

DEFAULT_STRIDES = (8, 16, 32)
RESIZE_MODES = ("bilinear", "nearest")


@NETWORKS.add_component
class MobileSeg(nn.Layer):
    """Backbone, context module, fusion modules and one head per fused feature.

    Parameter names and defaults are those of PaddleSeg 2.8, so its checkpoints and configurations fit.

    Args:
        num_classes: classes to tell apart.
        backbone: a layer that keeps the contract of :class:`~mobileseg.backbones.base.Backbone`.
        strides: strides of the features to use, finest first. By default 8, 16, 32, or the backbone's three
            coarsest features where it does not have those strides.
        backbone_indices: list positions of the features instead of strides (PaddleSeg's form).
        cm_bin_sizes: grids of the context module.
        cm_out_ch: channels of the context.
        arm_type: kind of the fusion modules, 'UAFMMobile' or 'UAFMMobile_SpAtten' (with spatial attention).
        arm_out_chs: channels of the fused features, finest first; one value serves all.
        seg_head_inter_chs: hidden channels of the heads; one value serves all.
        resize_mode: interpolation in the fusion modules, 'bilinear' or 'nearest'.
        use_last_fuse: give the finest head all fused features instead of the finest.
        aux_upsample: in training, resize the auxiliary logits to the input's size too. Without it they
            stay at their own stride, which is cheaper for a loss that samples the label there.
        aux_heads: compute the auxiliary logits in training. Their parameters exist either way.

    Raises:
        ConfigError: the arguments contradict each other or the backbone.
    """

    task = "semantic"

    def __init__(
        self,
        num_classes: int,
        backbone: Backbone,
        strides: Sequence[int] | None = None,
        backbone_indices: Sequence[int] | None = None,
        cm_bin_sizes: Sequence[int] = (1, 2),
        cm_out_ch: int = 64,
        arm_type: str = "UAFMMobile",
        arm_out_chs: Sequence[int] = (32, 48, 64),
        seg_head_inter_chs: Sequence[int] = (32, 32, 32),
        resize_mode: str = "bilinear",
        use_last_fuse: bool = False,
        aux_upsample: bool = True,
        aux_heads: bool = True,
    ) -> None:
        super().__init__()
        _check(num_classes, cm_bin_sizes, arm_type, resize_mode)
        self.num_classes = num_classes
        self.aux_upsample = aux_upsample
        self.aux_heads = aux_heads
        self.backbone = backbone
        self.indices = _select(backbone, strides, backbone_indices)
        count = len(self.indices)
        features = [backbone.feature_info[index] for index in self.indices]
        self.strides = tuple(spec.stride for spec in features)
        fused = _per_feature("arm_out_chs", arm_out_chs, count)
        hidden = _per_feature("seg_head_inter_chs", seg_head_inter_chs, count)
        self.ppseg_head = Decoder(
            [spec.channels for spec in features], fused, cm_bin_sizes, cm_out_ch, arm_type, resize_mode, use_last_fuse
        )
        self.seg_heads = nn.LayerList(
            [SegHead(channels, inner, num_classes) for channels, inner in zip(fused, hidden, strict=True)]
        )
        coarsest = max(spec.stride for spec in backbone.feature_info)
        self.size_multiple = math.lcm(coarsest, features[-1].stride * math.lcm(*cm_bin_sizes))
        """What height and width must be multiples of in a graph of dynamic size; fixed sizes are free."""

    def components(self) -> dict[str, nn.Layer]:
        """The parts of the network that is deployed, by name."""
        return {"backbone": self.backbone, "decoder": self.ppseg_head, "head": self.seg_heads[0]}

    def coarse_logits(self, x: paddle.Tensor) -> paddle.Tensor:
        """Logits [N, K, h, w] at the stride of the decoder, which bilinear resizing makes those of `forward`."""
        return self.seg_heads[0](self._fused(x)[0])

    def _fused(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        features = self.backbone(x)
        return self.ppseg_head([features[index] for index in self.indices])

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """Logits of float32 [N, 3, H, W].

        Returns:
            ``logits`` [N, K, H, W]; in training also ``logits_aux1``, ``logits_aux2``, ... of the coarser heads,
            [N, K, H, W] or, without ``aux_upsample``, [N, K, H / stride, W / stride].
        """
        size = spatial_size(x)
        fused = self._fused(x)
        outputs = {"logits": resize(self.seg_heads[0](fused[0]), size)}
        if self.training and self.aux_heads:
            for index in range(1, len(fused)):
                logits = self.seg_heads[index](fused[index])
                outputs[f"logits_aux{index}"] = resize(logits, size) if self.aux_upsample else logits
        return outputs


def _check(num_classes: int, bin_sizes: Sequence[int], arm_type: str, resize_mode: str) -> None:
    if num_classes < 1:
        raise ConfigError(f"num_classes must be at least 1, got {num_classes}")
    if not bin_sizes or min(bin_sizes) < 1:
        raise ConfigError(f"cm_bin_sizes must hold positive numbers, got {list(bin_sizes)}")
    if arm_type not in ARM_TYPES:
        raise ConfigError(f"arm_type '{arm_type}' is not supported", remedy=f"use one of {', '.join(ARM_TYPES)}")
    if resize_mode not in RESIZE_MODES:
        raise ConfigError(
            f"resize_mode '{resize_mode}' is not supported", remedy=f"use one of {', '.join(RESIZE_MODES)}"
        )


def _select(backbone: Backbone, strides: Sequence[int] | None, indices: Sequence[int] | None) -> list[int]:
    """Positions of the backbone's features that the decoder uses, finest first."""
    info = getattr(backbone, "feature_info", None)
    if not info:
        raise ConfigError(
            f"the backbone {type(backbone).__name__} does not say what its features are",
            remedy="give it an attribute feature_info: a tuple of FeatureSpec(channels, stride), finest first",
        )
    if strides is not None and indices is not None:
        raise ConfigError("strides and backbone_indices both choose the features", remedy="give only one of them")
    if indices is not None:
        if not indices or min(indices) < 0 or max(indices) >= len(info):
            raise ConfigError(
                f"backbone_indices {list(indices)} do not fit a backbone with {len(info)} features",
                remedy=f"choose among 0..{len(info) - 1}, finest first",
            )
        chosen = list(indices)
    elif strides is not None:
        if not strides:
            raise ConfigError("strides is empty", remedy="name at least one stride, or leave it out for 8, 16, 32")
        try:
            chosen = indices_of_strides(info, strides)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    elif set(DEFAULT_STRIDES) <= {spec.stride for spec in info}:
        chosen = indices_of_strides(info, DEFAULT_STRIDES)
    else:
        chosen = list(range(len(info)))[-len(DEFAULT_STRIDES) :]
    order = [info[index].stride for index in chosen]
    if order != sorted(order):
        raise ConfigError(f"the chosen features have strides {order}", remedy="name them finest first")
    return chosen


def _per_feature(key: str, values: Sequence[int], count: int) -> list[int]:
    """One value per feature; a single value serves all."""
    spread = list(values) * count if len(values) == 1 else list(values)
    if len(spread) != count:
        raise ConfigError(
            f"{key} has {len(values)} values, but {count} features are used", remedy="give one per feature"
        )
    return spread
