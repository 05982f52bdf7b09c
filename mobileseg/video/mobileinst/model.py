"""MobileInst on any registered backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import paddle
from paddle import nn

from mobileseg.backbones.base import Backbone, indices_of_strides
from mobileseg.errors import ConfigError
from mobileseg.names import IMAGE
from mobileseg.nn.blocks import resize
from mobileseg.nn.compat import spatial_size
from mobileseg.nn.graphs import Deployment, GraphInput, NetworkGraph
from mobileseg.nn.padding import cut_to_stride, pad_to_multiple
from mobileseg.registry import NETWORKS
from mobileseg.tasks import VIDEO
from mobileseg.video.mobileinst.instance_decoder import InstanceDecoder
from mobileseg.video.mobileinst.mask_decoder import MaskDecoder, best_of_cells, pooled_tokens
from mobileseg.video.mobileinst.names import ANSWERS, CELL_CLASSES, FEATURES, INSTANCES, MAPS, MASK_FEATURES
from mobileseg.video.names import KEY, NONKEY

TOKEN_STRIDE = 64
LEVEL_STRIDES = (8, 16, 32)
MASK_STRIDES = (8, 16)


@NETWORKS.add_component
class MobileInst(nn.Layer):
    """MobileInst (Zhang et al., AAAI 2024, arXiv:2303.17594): queries, kernels, and masks as products with them.

    What the paper leaves open is decided as the public reproduction has it, but for 64 as the stride of the tokens (the
    paper's) and a feed-forward layer in both decoders. Sides of images that are not multiples of 64 are padded inside
    with zeros, and the mask features cut.

    Args:
        num_classes: classes without the background.
        backbone: a layer that keeps the contract of :class:`~mobileseg.backbones.base.Backbone`, with features of
            strides 8 (unless ``mask_stride`` is 16), 16 and 32. Its feature of stride 64 is taken for the global
            tokens; where it has none, they are the other features, averaged.
        channels: width of both decoders, a multiple of 4 and of ``heads``.
        mask_channels: length of a kernel, and channels of the mask features.
        num_queries: the most objects that are found in an image; 100 by default, of no use with 'cells'.
        mask_stride: stride of the mask features, 8 or 16.
        token_stride: stride of the maps that queries attend to: 64, 32 or 16. Small images have few tokens at 64.
        heads: of every attention.
        hidden: width inside of the feed-forward layers.
        decoder_layers: query layers of the global decoder, and of the local one.
        feed_forward: 'each' or 'last'; see :class:`~mobileseg.video.mobileinst.instance_decoder.InstanceDecoder`.
        query_source: 'learned' as in the paper, 'activation' or 'cells'; see there. With 'cells' every cell of the maps
            is a query: 100 of an image of 640x640 at the stride 64, 144 of one of 192x192 at 16.
        use_coordinates: tell the mask decoder x and y, which is not of the paper.
        mask_pooling: between its two decoders a query gets what lies under its mask, which is not of the paper.
        semantic: in training a convolution says of every cell of the local map which classes are there, as YOLACT has
            it (:class:`~mobileseg.video.mobileinst.losses.MobileInstLoss`, ``semantic_weight``); not of the paper.

    Raises:
        ConfigError: the arguments contradict each other or the backbone.
    """

    task = VIDEO

    def __init__(
        self,
        num_classes: int,
        backbone: Backbone,
        channels: int = 256,
        mask_channels: int = 128,
        num_queries: int | None = None,
        mask_stride: Literal[8, 16] = 8,
        token_stride: Literal[16, 32, 64] = 64,
        heads: int = 8,
        hidden: int = 512,
        decoder_layers: int = 1,
        feed_forward: Literal["each", "last"] = "each",
        query_source: Literal["learned", "activation", "cells"] = "learned",
        use_coordinates: bool = False,
        mask_pooling: bool = False,
        semantic: bool = False,
    ) -> None:
        super().__init__()
        if query_source == "cells" and num_queries is not None:
            raise ConfigError(
                f"MobileInst: num_queries is {num_queries}, and with query_source: cells every cell is a query",
                remedy="leave num_queries out; token_stride says how many cells there are",
            )
        queries = 100 if num_queries is None else num_queries
        _check(num_classes, channels, mask_channels, queries, heads, hidden, decoder_layers)
        _check_choices(mask_stride, token_stride, feed_forward, query_source)
        self.num_classes = num_classes
        self.num_queries = None if query_source == "cells" else queries
        """Of every image; None where the cells of the maps are the queries."""
        self.mask_stride = mask_stride
        """Stride of the mask features in pixels of the image."""
        self.token_stride = token_stride
        self.size_multiple = TOKEN_STRIDE
        self.strides = tuple(stride for stride in LEVEL_STRIDES if stride >= mask_stride)
        info = backbone.feature_info
        try:
            self.indices = indices_of_strides(info, self.strides)
        except ValueError as error:
            raise ConfigError(
                f"MobileInst: {error}", remedy="take a backbone that has them, or mask_stride: 16 where 8 is missing"
            ) from None
        self.token_index = {spec.stride: index for index, spec in enumerate(info)}.get(TOKEN_STRIDE)
        widths = [info[index].channels for index in self.indices]
        token_channels = sum(widths) if self.token_index is None else info[self.token_index].channels
        self.backbone = backbone
        self.mask_decoder = MaskDecoder(widths, token_channels, channels, mask_channels, use_coordinates)
        self.instance_decoder = InstanceDecoder(
            num_classes,
            queries,
            channels,
            mask_channels,
            heads=heads,
            hidden=hidden,
            layers=decoder_layers,
            feed_forward=feed_forward,
            query_source=query_source,
            mask_pooling=mask_pooling,
        )
        self.semantic = nn.Conv2D(channels, num_classes, 1) if semantic else None

    def components(self) -> dict[str, nn.Layer]:
        """The parts of the network that is deployed, by name."""
        return {
            "backbone": self.backbone,
            "mask_decoder": self.mask_decoder,
            "instance_decoder": self.instance_decoder,
        }

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """Predictions for float32 [N, 3, H, W], for Q queries, K classes and kernels of length k.

        Returns:
            ``mask_features`` [N, k, ceil(H / mask_stride), ceil(W / mask_stride)], ``kernels`` [N, Q, k] (a kernel
            times the mask features is the logit of a mask), ``logits`` [N, Q, K] of the classes, ``objectness``
            [N, Q, 1] (logit of the mask's IoU), and the two maps that the queries looked at, ``global_map`` and
            ``local_map`` [N, C, h, w]; in training also ``global_queries`` [N, Q, C], those of the global decoder, and
            ``global_kernels``, ``global_logits`` and ``global_objectness``, what the heads make of them, and with the
            option ``semantic`` [N, K, ceil(H / token_stride), ceil(W / token_stride)], logits.
        """
        found = self.features(x)
        return {**found, **self.instances(found)}

    def features(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """``mask_features``, ``global_map`` and ``local_map`` of :meth:`forward`: all that a frame needs whose kernels
        are those of an earlier one."""
        size = spatial_size(x)
        features = self.backbone(pad_to_multiple(x, TOKEN_STRIDE))
        levels = [features[index] for index in self.indices]
        if self.token_index is None:
            tokens = pooled_tokens(levels, self.strides, TOKEN_STRIDE)
        else:
            tokens = features[self.token_index]
        masks, fused, tokens = self.mask_decoder(levels, tokens)
        local = best_of_cells(fused, self.token_stride // self.mask_stride)
        found = {
            MASK_FEATURES: cut_to_stride(masks, size, self.mask_stride),
            MAPS[0]: resize(tokens, spatial_size(local)),
            MAPS[1]: local,
        }
        if self.training and self.semantic is not None:
            found[CELL_CLASSES] = cut_to_stride(self.semantic(local), size, self.token_stride)
        return found

    def instances(self, found: Mapping[str, paddle.Tensor]) -> dict[str, paddle.Tensor]:
        """What the instance decoder makes of :meth:`features`."""
        global_map, local_map = (found[name] for name in MAPS)
        answers: dict[str, paddle.Tensor] = self.instance_decoder(global_map, local_map, self.cell_masks(local_map))
        return answers

    def cell_masks(self, local_map: paddle.Tensor) -> paddle.Tensor | None:
        """Mask features [N, k, h, w] of the cells of the local map, which the instance decoder takes with
        ``mask_pooling``; else None."""
        return None if self.instance_decoder.pool is None else self.mask_decoder.project(local_map)

    def graphs(self, size: tuple[int, int]) -> Deployment:
        """Two graphs: `features` of every frame, and `instances` of those frames whose kernels are used.

        Kernels, classes and objectness are kept by whoever runs the stream, so the graphs keep nothing.
        """
        shapes = self.shapes(size)
        maps = tuple(GraphInput(name, shapes[name]) for name in MAPS)
        features = NetworkGraph(FEATURES, _Features(self), (GraphInput(IMAGE, (1, 3, *size)),), (MASK_FEATURES, *MAPS))
        instances = NetworkGraph(INSTANCES, _Instances(self), maps, ANSWERS)
        return Deployment((features, instances), {KEY: (FEATURES, INSTANCES), NONKEY: (FEATURES,)})

    def shapes(self, size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
        """Shapes of all outputs for one image of a size (height, width)."""
        cells = tuple(-(-length // self.mask_stride) for length in size)
        tokens = tuple(-(-length // TOKEN_STRIDE) * TOKEN_STRIDE // self.token_stride for length in size)
        decoder = self.instance_decoder
        channels, length = (int(layer.weight.shape[0]) for layer in (decoder.global_layer, self.mask_decoder.project))
        widths = dict(zip(ANSWERS, (length, self.num_classes, 1), strict=True))
        return {
            MASK_FEATURES: (1, length, *cells),
            **dict.fromkeys(MAPS, (1, channels, *tokens)),
            **{name: (1, self.num_queries or tokens[0] * tokens[1], width) for name, width in widths.items()},
        }


class _Features(nn.Layer):
    """The graph `features`."""

    def __init__(self, network: MobileInst) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        return self.network.features(x)


class _Instances(nn.Layer):
    """The graph `instances`."""

    def __init__(self, network: MobileInst) -> None:
        super().__init__()
        self.decoder = network.instance_decoder
        self.project = None if self.decoder.pool is None else network.mask_decoder.project

    def forward(self, global_map: paddle.Tensor, local_map: paddle.Tensor) -> dict[str, paddle.Tensor]:
        cell_masks = None if self.project is None else self.project(local_map)
        found = self.decoder(global_map, local_map, cell_masks)
        return {name: found[name] for name in ANSWERS}


def _check(
    num_classes: int, channels: int, mask_channels: int, queries: int, heads: int, hidden: int, layers: int
) -> None:
    if min(num_classes, channels, mask_channels, queries, heads, hidden, layers) < 1:
        raise ConfigError(
            "MobileInst: num_classes, channels, mask_channels, num_queries, heads, hidden and decoder_layers are at "
            f"least 1, got {num_classes}, {channels}, {mask_channels}, {queries}, {heads}, {hidden} and {layers}"
        )
    if channels % 4 or channels % heads:
        raise ConfigError(
            f"MobileInst: channels must be a multiple of 4 and of heads, got {channels} and {heads} heads",
            remedy="for instance channels: 128 and heads: 8",
        )


def _check_choices(mask_stride: int, token_stride: int, feed_forward: str, query_source: str) -> None:
    allowed = {
        "mask_stride": (mask_stride, MASK_STRIDES),
        "token_stride": (token_stride, (16, 32, TOKEN_STRIDE)),
        "feed_forward": (feed_forward, ("each", "last")),
        "query_source": (query_source, ("learned", "activation", "cells")),
    }
    for name, (value, choices) in allowed.items():
        if value not in choices:
            raise ConfigError(f"MobileInst: {name} is one of {', '.join(map(str, choices))}, got {value}")
