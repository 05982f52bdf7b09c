"""The dual transformer instance decoder: queries look at the global tokens, then at the mask features.

Attention is made of linear layers, matrix products of two activations and softmax on known shapes. Tokens are made of a
map by reshape and transpose and go through a linear layer before they are multiplied with anything (docs/video.md says
which forms the engines compute wrongly).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import paddle
from paddle import nn
from paddle.nn import functional as F
from paddle.nn.initializer import Constant, Normal

from mobileseg.nn.compat import spatial_size
from mobileseg.video.mobileinst.positions import sine_positions

CLASS_PRIOR = 0.01
"""Probability of every class before training, or the focal loss of all the background drowns the rest at the start."""


class Tokens(NamedTuple):
    """A map as a transformer takes it.

    Attributes:
        values: float32 [N, M, C].
        keys: float32 [N, M, C], the values plus their positions.
    """

    values: paddle.Tensor
    keys: paddle.Tensor


class TokenAttention(nn.Layer):
    """Multi-head attention, scores divided by the root of a head's width.

    Args:
        channels: width of tokens and result.
        heads: they split the channels.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, query: paddle.Tensor, key: paddle.Tensor, value: paddle.Tensor) -> paddle.Tensor:
        """[N, Q, C] from ``query`` [N, Q, C], ``key`` and ``value`` [N, M, C]; N = 1 goes with any other."""
        q, k, v = self._split(self.to_q(query)), self._split(self.to_k(key)), self._split(self.to_v(value))
        scores = paddle.matmul(q, k, transpose_y=True) * (1.0 / math.sqrt(int(q.shape[-1])))
        mixed = paddle.transpose(paddle.matmul(F.softmax(scores, axis=-1), v), [0, 2, 1, 3])
        return self.proj(paddle.reshape(mixed, [0, int(query.shape[1]), int(self.to_v.weight.shape[1])]))

    def _split(self, tokens: paddle.Tensor) -> paddle.Tensor:
        """[N, M, C] to [N, heads, M, C / heads]."""
        length, channels = int(tokens.shape[1]), int(tokens.shape[2])
        return paddle.transpose(paddle.reshape(tokens, [0, length, self.heads, channels // self.heads]), [0, 2, 1, 3])


class FeedForward(nn.Layer):
    """Norm, linear, ReLU, linear; added to its input."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)

    def forward(self, queries: paddle.Tensor) -> paddle.Tensor:
        return queries + self.linear2(F.relu(self.linear1(self.norm(queries))))


class QueryLayer(nn.Layer):
    """Cross attention, self attention, feed-forward layer; the norms stand before them.

    Args:
        channels: width.
        heads: of both attentions.
        hidden: width inside of the feed-forward layer; 0 for none.
    """

    def __init__(self, channels: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.cross_norm = nn.LayerNorm(channels)
        self.cross = TokenAttention(channels, heads)
        self.self_norm = nn.LayerNorm(channels)
        self.self_attention = TokenAttention(channels, heads)
        self.feed_forward = FeedForward(channels, hidden) if hidden else nn.Identity()

    def forward(self, queries: paddle.Tensor, positions: paddle.Tensor, tokens: Tokens) -> paddle.Tensor:
        """Queries [N, Q, C] with their positions [1, Q, C]; N may be 1 for tokens of any number of images."""
        queries = queries + self.cross(self.cross_norm(queries) + positions, tokens.keys, tokens.values)
        values = self.self_norm(queries)
        placed = values + positions
        return self.feed_forward(queries + self.self_attention(placed, placed, values))


class ActivationMaps(nn.Layer):
    """Queries from the image: every query is the mean of the pixels at which its map is active.

    The instance activation maps of SparseInst (Cheng et al., CVPR 2022, arXiv:2203.12827).

    Args:
        channels: of the map, and of a query.
        queries: number of maps.
    """

    def __init__(self, channels: int, queries: int) -> None:
        super().__init__()
        self.maps = nn.Conv2D(channels, queries, 3, padding=1)
        Normal(std=0.01)(self.maps.weight)
        Constant(-math.log((1 - CLASS_PRIOR) / CLASS_PRIOR))(self.maps.bias)
        self.linear = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, feature: paddle.Tensor) -> paddle.Tensor:
        """[N, C, h, w] to [N, queries, C]. The norm takes the place of the division by the sum of a map."""
        shares = F.sigmoid(self.maps(feature))
        pixels = math.prod(int(length) for length in spatial_size(feature))
        shares = paddle.reshape(shares, [0, int(shares.shape[1]), pixels])
        sums = paddle.matmul(shares, paddle.reshape(feature, [0, int(feature.shape[1]), pixels]), transpose_y=True)
        return F.relu(self.linear(self.norm(sums)))


class MaskedMean(nn.Layer):
    """Adds to a query what lies under its own mask: the mean of a map, weighted by the mask.

    After the group features of K-Net (Zhang et al., NeurIPS 2021, arXiv:2106.14855).

    Args:
        channels: of queries and map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.linear = nn.Linear(channels, channels)

    def forward(
        self, queries: paddle.Tensor, kernels: paddle.Tensor, feature: paddle.Tensor, mask_features: paddle.Tensor
    ) -> paddle.Tensor:
        """[N, Q, C] from queries [N, Q, C], their kernels [N, Q, k], a map [N, C, h, w] and mask features [N, k, h, w].

        The norm takes the place of the division by the sum of a mask.
        """
        pixels = math.prod(int(length) for length in spatial_size(feature))
        logits = paddle.matmul(kernels, paddle.reshape(mask_features, [0, int(mask_features.shape[1]), pixels]))
        flat = paddle.reshape(feature, [0, int(feature.shape[1]), pixels])
        return queries + self.linear(self.norm(paddle.matmul(F.sigmoid(logits), flat, transpose_y=True)))


class InstanceDecoder(nn.Layer):
    """Queries to classes, objectness and kernels.

    The global decoder attends to the global tokens, the local decoder to the mask features' maxima; both are query
    layers one after the other. The heads serve the queries of either.

    Args:
        num_classes: classes without background.
        queries: how many; of no account where the cells are the queries.
        channels: width, a multiple of 4 and of ``heads``.
        mask_channels: length of a kernel.
        heads: of every attention.
        hidden: width inside of the feed-forward layers.
        layers: query layers of each of the two decoders.
        feed_forward: 'each': every query layer has one, so that the queries of the global decoder are whole; 'last':
            the last one alone, the smaller form of the public reproduction.
        query_source: where the content of the queries comes from. 'learned': it is learned, as in the paper;
            'activation': from the image (:class:`ActivationMaps`); 'cells': every cell of the local map is a query,
            at the place of the cell.
        mask_pooling: queries get what lies under the masks that they have after the global decoder
            (:class:`MaskedMean`), which is not of the paper.
    """

    def __init__(
        self,
        num_classes: int,
        queries: int,
        channels: int,
        mask_channels: int,
        *,
        heads: int = 8,
        hidden: int = 512,
        layers: int = 1,
        feed_forward: str = "each",
        query_source: str = "learned",
        mask_pooling: bool = False,
    ) -> None:
        super().__init__()
        self.global_layer = nn.Conv2D(channels, channels, 1)
        self.local_layer = nn.Conv2D(channels, channels, 1)
        inner = hidden if feed_forward == "each" else 0
        self.global_decoder = nn.LayerList([QueryLayer(channels, heads, inner) for _ in range(layers)])
        last = [inner] * (layers - 1) + [hidden]
        self.local_decoder = nn.LayerList([QueryLayer(channels, heads, width) for width in last])
        self.query_source = query_source
        if query_source == "learned":
            self.query_content = self.create_parameter([1, queries, channels], default_initializer=Normal())
        elif query_source == "activation":
            self.activation = ActivationMaps(channels, queries)
        else:
            self.cells = nn.Linear(channels, channels)
        if query_source != "cells":
            self.query_position = self.create_parameter([1, queries, channels], default_initializer=Normal())
        self.pool = MaskedMean(channels) if mask_pooling else None
        self.norm = nn.LayerNorm(channels)
        self.classes = nn.Linear(channels, num_classes)
        self.objectness = nn.Linear(channels, 1)
        self.kernels = nn.Linear(channels, mask_channels)
        for head in (self.classes, self.objectness, self.kernels):  # long kernels would begin sure of wrong masks
            Normal(std=0.01)(head.weight)
        Constant(-math.log((1 - CLASS_PRIOR) / CLASS_PRIOR))(self.classes.bias)

    def forward(
        self, global_map: paddle.Tensor, local_map: paddle.Tensor, cell_masks: paddle.Tensor | None = None
    ) -> dict[str, paddle.Tensor]:
        """``logits`` [N, Q, K], ``objectness`` [N, Q, 1] and ``kernels`` [N, Q, k] of two maps [N, C, h, w].

        With ``mask_pooling`` also of the mask features [N, k, h, w] of the local map's cells. In training also those
        of the global decoder's queries, named ``global_logits`` and so on.
        """
        queries = self.look_globally(global_map, local_map)
        found = self.answers(self.look_locally(queries, local_map, cell_masks))
        if self.training:
            found.update({f"global_{name}": value for name, value in self.answers(queries).items()})
            found["global_queries"] = queries
        return found

    def look_globally(self, global_map: paddle.Tensor, local_map: paddle.Tensor) -> paddle.Tensor:
        """Queries [N, Q, C] after the global decoder."""
        tokens = _tokens(self.global_layer(global_map))
        queries, positions = self._content(local_map), self._positions(local_map)
        for layer in self.global_decoder:
            queries = layer(queries, positions, tokens)
        return queries

    def look_locally(
        self, queries: paddle.Tensor, local_map: paddle.Tensor, cell_masks: paddle.Tensor | None = None
    ) -> paddle.Tensor:
        """Queries [N, Q, C] of the global decoder, of this frame or another one, after the local decoder."""
        if self.pool is not None:
            queries = self.pool(queries, self.kernels(self.norm(queries)), local_map, cell_masks)
        tokens = _tokens(self.local_layer(local_map))
        positions = self._positions(local_map)
        for layer in self.local_decoder:
            queries = layer(queries, positions, tokens)
        return queries

    def _content(self, local_map: paddle.Tensor) -> paddle.Tensor:
        """Queries [N, Q, C] before the first layer; N is 1 where they do not depend on the image."""
        if self.query_source == "learned":
            return self.query_content
        if self.query_source == "activation":
            return self.activation(local_map)
        return self.cells(_tokens(local_map).values)

    def _positions(self, local_map: paddle.Tensor) -> paddle.Tensor:
        """Where the queries are, [1, Q, C]."""
        return _cell_positions(local_map) if self.query_source == "cells" else self.query_position

    def answers(self, queries: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """``logits``, ``objectness`` and ``kernels`` of queries [N, Q, C]."""
        queries = self.norm(queries)
        return {
            "logits": self.classes(queries),
            "objectness": self.objectness(queries),
            "kernels": self.kernels(queries),
        }


def _tokens(feature: paddle.Tensor) -> Tokens:
    height, width = (int(length) for length in spatial_size(feature))
    channels = int(feature.shape[1])
    values = paddle.transpose(paddle.reshape(feature, [0, channels, height * width]), [0, 2, 1])
    return Tokens(values, values + _cell_positions(feature))


def _cell_positions(feature: paddle.Tensor) -> paddle.Tensor:
    """Of the cells of a map [N, C, h, w]: [1, h * w, C]."""
    height, width = (int(length) for length in spatial_size(feature))
    return paddle.to_tensor(sine_positions(height, width, int(feature.shape[1])))


# The sizes of a map are Python values, and constants are made of them: tracing must not rewrite these.
_cell_positions = paddle.jit.not_to_static(_cell_positions)
_tokens = paddle.jit.not_to_static(_tokens)
