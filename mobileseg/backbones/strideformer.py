"""StrideFormer, the backbone of PP-MobileSeg (Tang et al. 2023, arXiv:2304.05152), in PaddleSeg's parameter names.

Four stages of MobileNetV3 units; behind the last two stand blocks of axial attention, computed at half their size
("strided SEA attention"). The aggregated attention module (AAM) makes one feature of those of strides 8, 16 and 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.backbones.base import FeatureSpec
from mobileseg.backbones.mobilenetv3 import ResidualUnit, Unit
from mobileseg.nn.attention import MLP, NAMES, attend, conv_norm, silent_conv_norm
from mobileseg.nn.blocks import ConvNormAct, drop_path, resize
from mobileseg.nn.compat import spatial_size
from mobileseg.registry import BACKBONES

STEM_CHANNELS = 16
KEY_CHANNELS = (16, 24)  # of one head, in the attention of strides 16 and 32
HIDDEN_RATIOS = (2, 4)
VALUE_RATIO = 2
POSITIONS = 16
STRIDES = (8, 16, 32)


class StrideFormerForm(NamedTuple):
    """What distinguishes the published sizes.

    Attributes:
        stages: units of the four stages, which end at strides 4, 8, 16 and 32.
        depth: attention blocks behind each of the last two stages.
        heads: of the attention.
    """

    stages: tuple[tuple[Unit, ...], ...]
    depth: int
    heads: int


BASE = StrideFormerForm(
    (
        (Unit(3, 16, 16, True, "relu", 1), Unit(3, 64, 32, False, "relu", 2), Unit(3, 96, 32, False, "relu", 1)),
        (Unit(5, 128, 64, True, "hardswish", 2), Unit(5, 240, 64, True, "hardswish", 1)),
        (Unit(5, 384, 128, True, "hardswish", 2), Unit(5, 384, 128, True, "hardswish", 1)),
        (Unit(5, 768, 192, True, "hardswish", 2), Unit(5, 768, 192, True, "hardswish", 1)),
    ),
    depth=3,
    heads=8,
)
TINY = StrideFormerForm(
    (
        (Unit(3, 16, 16, True, "relu", 1), Unit(3, 64, 32, False, "relu", 2), Unit(3, 48, 24, False, "relu", 1)),
        (Unit(5, 96, 32, True, "hardswish", 2), Unit(5, 96, 32, True, "hardswish", 1)),
        (Unit(5, 160, 64, True, "hardswish", 2), Unit(5, 160, 64, True, "hardswish", 1)),
        (Unit(3, 384, 128, True, "hardswish", 2), Unit(3, 384, 128, True, "hardswish", 1)),
    ),
    depth=2,
    heads=4,
)


class StrideFormerStage(nn.Layer):
    """Units of MobileNetV3; the first stage has the stem in front."""

    def __init__(self, units: Sequence[Unit], width: int, in_channels: int | None) -> None:
        super().__init__()
        if in_channels is not None:
            self.conv = ConvNormAct(in_channels, width, 3, stride=2, act="hardswish", names=NAMES, norm_decay=False)
        self.has_stem = in_channels is not None
        self.blocks = nn.LayerList()
        for unit in units:
            self.blocks.append(ResidualUnit(width, unit.hidden, unit.channels, unit, NAMES))
            width = unit.channels

    @property
    def out_channels(self) -> int:
        """Channels of the output, read from the last kernel."""
        return self.blocks[-1].linear_conv.out_channels

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        if self.has_stem:
            x = self.conv(x)
        for block in self.blocks:
            x = block(x)
        return x


class AxialPosition(nn.Layer):
    """Adds a learned embedding of the position along one axis to a map [N, C, H, 1] or [N, C, 1, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pos_embed = self.create_parameter([1, channels, POSITIONS], default_initializer=nn.initializer.Normal())

    def forward(self, x: paddle.Tensor, column: bool) -> paddle.Tensor:
        shape = [1, -1, 1, POSITIONS] if column else [1, -1, POSITIONS, 1]
        return x + resize(paddle.reshape(self.pos_embed, shape), spatial_size(x))


class AxialAttention(nn.Layer):
    """Attention among the means of the rows and among the means of the columns, as a gate on what convolutions find."""

    def __init__(self, channels: int, key_channels: int, heads: int) -> None:
        super().__init__()
        keys, values = key_channels * heads, VALUE_RATIO * key_channels * heads
        self.heads = heads
        self.scale = key_channels**-0.5
        self.to_q = conv_norm(channels, keys)
        self.to_k = conv_norm(channels, keys)
        self.to_v = conv_norm(channels, values)
        self.stride_conv = nn.Sequential(
            nn.Conv2D(channels, channels, 3, stride=2, padding=1, groups=channels), nn.BatchNorm2D(channels)
        )
        self.proj = nn.Sequential(nn.ReLU6(), silent_conv_norm(values, channels))
        self.proj_encode_row = nn.Sequential(nn.ReLU6(), silent_conv_norm(values, values))
        self.pos_emb_rowq = AxialPosition(keys)
        self.pos_emb_rowk = AxialPosition(keys)
        self.proj_encode_column = nn.Sequential(nn.ReLU6(), silent_conv_norm(values, values))
        self.pos_emb_columnq = AxialPosition(keys)
        self.pos_emb_columnk = AxialPosition(keys)
        self.dwconv = conv_norm(2 * keys + values, 2 * keys + values, 3, groups=2 * keys + values)
        self.pwconv = conv_norm(2 * keys + values, channels)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        size = spatial_size(x)
        x = self.stride_conv(x)
        q, k, v = self.to_q(x), self.to_k(x), self.to_v(x)
        local = self.pwconv(F.relu6(self.dwconv(paddle.concat([q, k, v], axis=1))))
        rows = self._along(q, k, v, column=False)
        columns = self._along(q, k, v, column=True)
        # One axis after the other: engines broadcast one operand, not both.
        gate = F.hardsigmoid(self.proj(v + rows + columns))
        return resize(gate * local, size)

    def _along(self, q: paddle.Tensor, k: paddle.Tensor, v: paddle.Tensor, column: bool) -> paddle.Tensor:
        """Attention among the columns [N, C, 1, W], or the rows [N, C, H, 1]."""
        q, k, v = (paddle.mean(x, axis=2 if column else 3, keepdim=True) for x in (q, k, v))
        q = (self.pos_emb_columnq if column else self.pos_emb_rowq)(q, column)
        k = (self.pos_emb_columnk if column else self.pos_emb_rowk)(k, column)
        found = attend(q, k, v, self.heads, self.scale)
        found = paddle.reshape(found, [0, self.to_v.out_channels, *spatial_size(v)])
        return (self.proj_encode_column if column else self.proj_encode_row)(found)


class StrideFormerBlock(nn.Layer):
    """Axial attention and feed-forward layer, each added to its input."""

    def __init__(self, channels: int, key_channels: int, heads: int, hidden_ratio: int, drop_rate: float) -> None:
        super().__init__()
        self.attn = AxialAttention(channels, key_channels, heads)
        self.mlp = MLP(channels, channels * hidden_ratio)
        self.drop_path = drop_path(drop_rate)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = x + self.drop_path(self.attn(x))
        return x + self.drop_path(self.mlp(x))


class StrideFormerTransformer(nn.Layer):
    """The blocks of one stage; the share of images that skip one grows linearly from 0."""

    def __init__(
        self, channels: int, key_channels: int, heads: int, hidden_ratio: int, depth: int, drop_rate: float
    ) -> None:
        super().__init__()
        rates = [drop_rate * index / max(1, depth - 1) for index in range(depth)]
        self.transformer_blocks = nn.LayerList(
            [StrideFormerBlock(channels, key_channels, heads, hidden_ratio, rate) for rate in rates]
        )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        for block in self.transformer_blocks:
            x = block(x)
        return x


def _embedding(in_channels: int, out_channels: int) -> ConvNormAct:
    return ConvNormAct(in_channels, out_channels, 1, names=("conv", "bn"))


class AAM(nn.Layer):
    """Aggregated attention module at stride 16: the product of all attentions weighs the finer features.

    The feature of stride 8 is taken at the size of that of stride 16. PaddleSeg halves its sides, which differs by a
    pixel where they are odd.
    """

    stride = 16

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.embedding_list = nn.LayerList([_embedding(width, out_channels) for width in in_channels])
        self.act_embedding_list = nn.LayerList([_embedding(width, out_channels) for width in in_channels])

    def forward(self, fine: paddle.Tensor, middle: paddle.Tensor, coarse: paddle.Tensor) -> paddle.Tensor:
        size = spatial_size(middle)
        fine = resize(fine, size)
        gate = F.relu6(self.act_embedding_list[0](fine)) * F.relu6(self.act_embedding_list[1](middle))
        gate = gate * resize(F.relu6(self.act_embedding_list[2](coarse)), size)
        detail = self.embedding_list[0](fine) + self.embedding_list[1](middle)
        return gate * detail + resize(self.embedding_list[2](coarse), size)

    @property
    def out_channels(self) -> int:
        """Channels of the output, read from a kernel."""
        return self.embedding_list[0].out_channels


class AAMSx8(nn.Layer):
    """Aggregated attention module at stride 8: the coarser features give the attentions, the finest the detail."""

    stride = 8

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        fine, middle, coarse = in_channels
        self.embedding_list = nn.LayerList([_embedding(width, out_channels) for width in (fine, coarse)])
        self.act_embedding_list = nn.LayerList([_embedding(width, out_channels) for width in (middle, coarse)])

    def forward(self, fine: paddle.Tensor, middle: paddle.Tensor, coarse: paddle.Tensor) -> paddle.Tensor:
        size = spatial_size(fine)
        gate = F.relu6(self.act_embedding_list[0](resize(middle, size)))
        gate = gate * resize(F.relu6(self.act_embedding_list[1](coarse)), size)
        return gate * self.embedding_list[0](fine) + resize(self.embedding_list[1](coarse), size)

    @property
    def out_channels(self) -> int:
        """Channels of the output, read from a kernel."""
        return self.embedding_list[0].out_channels


INJECTIONS: dict[str, type[AAM] | type[AAMSx8]] = {kind.__name__: kind for kind in (AAM, AAMSx8)}


class StrideFormer(nn.Layer):
    """StrideFormer with its aggregated attention module.

    Features of strides 8, 16 and 32, and behind that of its own stride the one that AAM makes of them, which therefore
    is what a head gets that asks for this stride.

    Args:
        form: one of the published sizes.
        inj_type: 'AAM' (the feature has stride 16) or 'AAMSx8' (stride 8, as in PP-MobileSeg-Base).
        out_feat_chs: channels of the features of strides 8, 16 and 32. They are what the size says; PaddleSeg's
            configurations name them, and other numbers are refused.
        out_channels: channels of AAM's feature.
        drop_path_rate: share of the images for which the last block of a stage is skipped in training.
        in_channels: channels of the image.

    Raises:
        ValueError: an unknown ``inj_type``, or ``out_feat_chs`` that are not those of the size.
    """

    def __init__(
        self,
        form: StrideFormerForm,
        inj_type: str = "AAM",
        out_feat_chs: Sequence[int] | None = None,
        out_channels: int = 256,
        drop_path_rate: float = 0.1,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if inj_type not in INJECTIONS:
            raise ValueError(f"unknown inj_type '{inj_type}', expected one of {sorted(INJECTIONS)}")
        widths = [stage[-1].channels for stage in form.stages]
        if out_feat_chs is not None and list(out_feat_chs) != widths[1:]:
            raise ValueError(f"out_feat_chs is {list(out_feat_chs)}, the features have {widths[1:]} channels")
        self.smb1 = StrideFormerStage(form.stages[0], STEM_CHANNELS, in_channels)
        self.smb2 = StrideFormerStage(form.stages[1], widths[0], None)
        self.smb3 = StrideFormerStage(form.stages[2], widths[1], None)
        self.smb4 = StrideFormerStage(form.stages[3], widths[2], None)
        self.trans1, self.trans2 = (
            StrideFormerTransformer(width, keys, form.heads, ratio, form.depth, drop_path_rate)
            for width, keys, ratio in zip(widths[2:], KEY_CHANNELS, HIDDEN_RATIOS, strict=True)
        )
        self.inj_module = INJECTIONS[inj_type](widths[1:], out_channels)

    @property
    def fused_stride(self) -> int:
        """Stride of AAM's feature."""
        return self.inj_module.stride

    @property
    def feature_info(self) -> tuple[FeatureSpec, ...]:
        """Channels and strides of the outputs, finest first."""
        stages = (self.smb2, self.smb3, self.smb4)
        info = [FeatureSpec(stage.out_channels, stride) for stage, stride in zip(stages, STRIDES, strict=True)]
        info.insert(self._place(), FeatureSpec(self.inj_module.out_channels, self.fused_stride))
        return tuple(info)

    def _place(self) -> int:
        """Position of AAM's feature among the outputs."""
        return STRIDES.index(self.fused_stride) + 1

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        fine = self.smb2(self.smb1(x))
        middle = self.trans1(self.smb3(fine))
        coarse = self.trans2(self.smb4(middle))
        features = [fine, middle, coarse]
        features.insert(self._place(), self.inj_module(fine, middle, coarse))
        return features


@BACKBONES.add_component
def MobileSeg_Base(
    inj_type: str = "AAM",
    out_feat_chs: Sequence[int] | None = None,
    out_channels: int = 256,
    drop_path_rate: float = 0.1,
    in_channels: int = 3,
) -> StrideFormer:
    """StrideFormer-Base, the backbone of PP-MobileSeg-Base (PaddleSeg's name)."""
    return StrideFormer(BASE, inj_type, out_feat_chs, out_channels, drop_path_rate, in_channels)


@BACKBONES.add_component
def MobileSeg_Tiny(
    inj_type: str = "AAM",
    out_feat_chs: Sequence[int] | None = None,
    out_channels: int = 256,
    drop_path_rate: float = 0.1,
    in_channels: int = 3,
) -> StrideFormer:
    """StrideFormer-Tiny, the backbone of PP-MobileSeg-Tiny (PaddleSeg's name)."""
    return StrideFormer(TINY, inj_type, out_feat_chs, out_channels, drop_path_rate, in_channels)
