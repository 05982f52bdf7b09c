"""YOLACT and mobileYOLACT on any registered backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.backbones.base import Backbone, indices_of_strides
from mobileseg.errors import ConfigError
from mobileseg.instance.anchors import VARIANCES, make_anchors
from mobileseg.instance.fpn import EXTRA_LEVELS, FPN
from mobileseg.instance.head import PredictionHead
from mobileseg.instance.layers import ConvFactory, Separable, SeparableOutput, dense
from mobileseg.instance.protonet import Protonet
from mobileseg.nn.compat import is_static, spatial_size
from mobileseg.registry import NETWORKS

DEFAULT_STRIDES = (8, 16, 32)
DETAIL_STRIDE = 4
"""Of the feature that a protonet with detail sees."""
#: Side of YOLACT's input, and of its smallest anchors, in pixels.
PUBLISHED_SIZE, PUBLISHED_SCALE = 550, 24


class InstanceNetwork(nn.Layer):
    """What the networks of the family share: everything but the kind of convolution, which is a class's own.

    Args:
        num_classes: classes without the background.
        backbone: a layer that keeps the contract of :class:`~mobileseg.backbones.base.Backbone`. Its features of
            strides 8, 16, 32 are used, or the three coarsest where it does not have those strides.
        input_size: side of the square input (or of a square of equal area) that the anchors are made for
            (:meth:`default_scales`); 550 for YOLACT, 320 for mobileYOLACT.
        fpn_channels: width of pyramid, protonet and head; 256 and 128.
        num_prototypes: number of prototype masks.
        proto_convs: 3x3 convolutions of the protonet before and after its upsampling; [3, 1] and [1, 0].
        anchor_scales: sides in pixels of the anchors of ratio 1, one for each level, finest first, instead of those
            that follow from input_size.
        anchor_ratios: width over height of the anchors.
        square_anchors: give the anchors YOLACT's published square form.
        foreground_prior: probability of an object at an anchor before training, for losses over all anchors; see
            :class:`~mobileseg.instance.head.PredictionHead`.
        proto_detail: let the protonet see the backbone's feature of stride 4, for masks of small objects; it then has
            no convolutions after the upsampling.

    Raises:
        ConfigError: the arguments contradict each other or the backbone.
    """

    task = "instance"
    variances = VARIANCES
    conv: ConvFactory
    """Makes the 3x3 convolutions."""
    output: Callable[[int, int], nn.Layer]
    """Makes the last convolutions of the head."""
    act: str
    """Activation of all of them."""
    usual_size: int
    usual_channels: int
    usual_proto_convs: tuple[int, int]
    """What the arguments input_size, fpn_channels and proto_convs are when they are not given."""

    def __init__(
        self,
        num_classes: int,
        backbone: Backbone,
        input_size: int | None = None,
        fpn_channels: int | None = None,
        num_prototypes: int = 32,
        proto_convs: Sequence[int] | None = None,
        anchor_scales: Sequence[float] | None = None,
        anchor_ratios: Sequence[float] = (1.0, 0.5, 2.0),
        square_anchors: bool = False,
        foreground_prior: float | None = None,
        proto_detail: bool = False,
    ) -> None:
        input_size = self.usual_size if input_size is None else input_size
        fpn_channels = self.usual_channels if fpn_channels is None else fpn_channels
        proto_convs = self.usual_proto_convs if proto_convs is None else proto_convs
        super().__init__()
        self.indices = _select(backbone)
        self.strides = _level_strides([backbone.feature_info[index].stride for index in self.indices])
        """Stride in input pixels of every level of the pyramid, finest first."""
        scales = self.default_scales(input_size, len(self.strides)) if anchor_scales is None else anchor_scales
        _check(num_classes, fpn_channels, num_prototypes, proto_convs, foreground_prior)
        _check_anchors(scales, anchor_ratios, len(self.strides))
        self.num_classes = num_classes
        self.anchor_scales = tuple(float(scale) for scale in scales)
        self.anchor_ratios = tuple(float(ratio) for ratio in anchor_ratios)
        self.square_anchors = square_anchors
        self.size_multiple = max(spec.stride for spec in backbone.feature_info)
        """What height and width must be multiples of in a graph of dynamic size; fixed sizes are free."""
        self.backbone = backbone
        features = [backbone.feature_info[index].channels for index in self.indices]
        conv, output, act = type(self).conv, type(self).output, self.act
        self.fpn = FPN(features, fpn_channels, conv, act)
        width = self.fpn.channels
        before, after = proto_convs
        self.detail_index = _detail_index(backbone, after) if proto_detail else None
        """Position of the backbone's feature that the protonet sees too."""
        detail = None if self.detail_index is None else backbone.feature_info[self.detail_index].channels
        self.proto_net = Protonet(width, fpn_channels, num_prototypes, before, after, conv, act, detail)
        head = PredictionHead(
            width, len(anchor_ratios), num_classes, num_prototypes, conv, output, act, foreground_prior
        )
        self.prediction_layers = nn.LayerList([head])
        self.semantic_seg_conv = dense(width, num_classes, 1)

    @staticmethod
    def default_scales(input_size: int, levels: int) -> list[float]:
        """Sides in pixels of the anchors of each level for an input of that side."""
        raise NotImplementedError

    @property
    def num_prototypes(self) -> int:
        """Number of prototype masks and of mask coefficients."""
        return self.proto_net.prototypes

    def components(self) -> dict[str, nn.Layer]:
        """The parts of the network that is deployed, by name."""
        return {
            "backbone": self.backbone,
            "fpn": self.fpn,
            "protonet": self.proto_net,
            "head": self.prediction_layers,
        }

    def anchors(self, height: int, width: int) -> np.ndarray:
        """The anchors of an input of that size, in the order of the predictions.

        Their sides are the same number of pixels at every size.

        Returns:
            float32 [P, 4], read-only: centre x, centre y, width, height as fractions of the input's size.
        """
        return _anchors(height, width, self.strides, self.anchor_scales, self.anchor_ratios, self.square_anchors)

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """Predictions for float32 [N, 3, H, W], for P anchors, K classes and k prototypes.

        Returns:
            ``loc`` [N, P, 4] boxes relative to the anchors, ``mask`` [N, P, k] coefficients within -1..1, ``proto``
            [N, k, h, w] prototypes, not negative, at a quarter of the input's size; in evaluation ``conf``
            [N, P, K + 1], probabilities with the background first; in training ``logits`` [N, P, K + 1] instead,
            ``segm`` [N, K, h3, w3] logits of a semantic segmentation at an eighth of the size, and ``anchors`` [P, 4].
        """
        features = self.backbone(x)
        levels = self.fpn([features[index] for index in self.indices])
        finer = None if self.detail_index is None else features[self.detail_index]
        return self.predict(levels, spatial_size(x), finer)

    def predict(
        self,
        levels: Sequence[paddle.Tensor],
        size: Sequence[int | paddle.Tensor],
        finer: paddle.Tensor | None = None,
    ) -> dict[str, paddle.Tensor]:
        """The outputs of :meth:`forward` from the levels of the pyramid.

        Args:
            levels: float32 [N, C, h, w], finest first.
            size: height and width of the input.
            finer: float32 [N, F, H, W], the feature that a protonet with detail sees.
        """
        loc, logits, mask = self.prediction_layers[0](levels)
        outputs = {"loc": loc}
        if self.training:
            outputs["logits"] = logits
        else:
            outputs["conf"] = F.softmax(logits, axis=-1)
        outputs["mask"] = paddle.tanh(mask)
        outputs["proto"] = self.proto_net(levels[0], finer)
        if self.training:
            outputs["segm"] = self.semantic_seg_conv(levels[0])
            outputs["anchors"] = self._anchor_tensor(size)
        return outputs

    def _anchor_tensor(self, size: Sequence[int | paddle.Tensor]) -> paddle.Tensor:
        if not is_static(list(size)):
            raise ValueError("the training graph needs a known input size, for its anchors")
        height, width = (int(length) for length in size)
        return paddle.to_tensor(self.anchors(height, width).copy())


@NETWORKS.add_component
class Yolact(InstanceNetwork):
    """YOLACT (Bolya et al. 2019, arXiv:1904.02689): detections, each with a mask mixed from shared prototypes.

    Parameter names outside the backbone are those of the published weights, which were trained with
    ``square_anchors``. The sides of the anchors are 24, 48, 96, 192 and 384 pixels at 550, and proportional, rounded
    down, at another ``input_size``. For the arguments see :class:`InstanceNetwork`.
    """

    conv = staticmethod(dense)
    output = staticmethod(dense)
    act = "relu"
    usual_size = PUBLISHED_SIZE
    usual_channels = 256
    usual_proto_convs = (3, 1)

    @staticmethod
    def default_scales(input_size: int, levels: int) -> list[float]:
        return [(PUBLISHED_SCALE << level) * input_size // PUBLISHED_SIZE for level in range(levels)]


@NETWORKS.add_component
class MobileYolact(InstanceNetwork):
    """YOLACT for phones, after mobileYOLACT (Lee, Lee and Ko 2021, doi:10.1109/ICTC52510.2021.9621125).

    The paper's abstract fixes depthwise separable convolutions in the whole network and a simplified protonet; the
    rest is decided here: every 3x3 convolution of pyramid, protonet and head is depthwise with norm, then
    pointwise with norm, ReLU6 where YOLACT has an activation, half of YOLACT's width, and one
    convolution in the protonet. The smallest anchors are 24/550 of ``input_size``, rounded, and every level doubles
    them. For the arguments see :class:`InstanceNetwork`.
    """

    conv = staticmethod(Separable)
    output = staticmethod(SeparableOutput)
    act = "relu6"
    usual_size = 320
    usual_channels = 128
    usual_proto_convs = (1, 0)

    @staticmethod
    def default_scales(input_size: int, levels: int) -> list[float]:
        smallest = round(PUBLISHED_SCALE * input_size / PUBLISHED_SIZE)
        return [smallest << level for level in range(levels)]


def _check(
    num_classes: int, channels: int, prototypes: int, proto_convs: Sequence[int], foreground_prior: float | None
) -> None:
    for key, value in (("num_classes", num_classes), ("fpn_channels", channels), ("num_prototypes", prototypes)):
        if value < 1:
            raise ConfigError(f"{key} must be at least 1, got {value}")
    if len(proto_convs) != 2 or min(proto_convs) < 0:
        raise ConfigError(
            f"proto_convs is {list(proto_convs)}", remedy="give two counts, before and after the upsampling, as [3, 1]"
        )
    if foreground_prior is not None and not 0 < foreground_prior < 1:
        raise ConfigError(f"foreground_prior must lie between 0 and 1, got {foreground_prior}")


def _check_anchors(scales: Sequence[float], ratios: Sequence[float], levels: int) -> None:
    if len(scales) != levels or min(scales) <= 0:
        raise ConfigError(
            f"the sides of the anchors are {list(scales)}, but {levels} positive numbers of pixels are needed",
            remedy="give anchor_scales one value per level, finest first, or leave it out and give a larger input_size",
        )
    if not ratios or min(ratios) <= 0:
        raise ConfigError(f"anchor_ratios must hold positive numbers, got {list(ratios)}")


def _select(backbone: Backbone) -> list[int]:
    """Positions of the backbone's features that the pyramid uses, finest first."""
    info = getattr(backbone, "feature_info", None)
    if not info:
        raise ConfigError(
            f"the backbone {type(backbone).__name__} does not say what its features are",
            remedy="give it an attribute feature_info: a tuple of FeatureSpec(channels, stride), finest first",
        )
    if set(DEFAULT_STRIDES) <= {spec.stride for spec in info}:
        return indices_of_strides(info, DEFAULT_STRIDES)
    return list(range(len(info)))[-len(DEFAULT_STRIDES) :]


def _detail_index(backbone: Backbone, after: int) -> int:
    """Position of the backbone's feature of stride 4; ``after``: convolutions behind the protonet's upsampling."""
    if after:
        raise ConfigError(
            f"proto_detail has a convolution of its own after the upsampling, and proto_convs asks for {after}",
            remedy="give proto_convs a 0 at its end, as [1, 0]",
        )
    strides = [spec.stride for spec in backbone.feature_info]
    if DETAIL_STRIDE not in strides:
        raise ConfigError(
            f"proto_detail needs a feature of stride {DETAIL_STRIDE}, and {type(backbone).__name__} has {strides}",
            remedy="leave proto_detail out, or take another backbone (mobileseg models)",
        )
    return indices_of_strides(backbone.feature_info, (DETAIL_STRIDE,))[0]


def _level_strides(features: Sequence[int]) -> tuple[int, ...]:
    return (*features, *(features[-1] << level for level in range(1, EXTRA_LEVELS + 1)))


@lru_cache(maxsize=16)
def _anchors(
    height: int,
    width: int,
    strides: tuple[int, ...],
    scales: tuple[float, ...],
    ratios: tuple[float, ...],
    square: bool,
) -> np.ndarray:
    sizes = [(-(-height // stride), -(-width // stride)) for stride in strides]
    anchors = make_anchors(sizes, (height, width), [[scale] for scale in scales], ratios, square)
    anchors.flags.writeable = False
    return anchors
