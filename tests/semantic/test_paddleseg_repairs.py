"""Repairs of PaddleSeg: what runs again gives what it is meant to give."""

import numpy as np
import paddle
import pytest
from paddle import nn

from mobileseg.config.build import build_network
from mobileseg.semantic.paddleseg_repairs import deformable_attention, gathering_booleans, repair
from tests.model_tester import run
from tests.reference_fill import input_image

pytest.importorskip("paddleseg", reason="needs requirements-paddleseg.txt")


class PointHead(nn.Layer):
    subdivision_num_points = 7


def test_points_are_the_most_uncertain_pixels():
    holder = nn.Sequential(PointHead())
    repair(holder)
    logits = paddle.to_tensor(np.random.default_rng(0).standard_normal((2, 1, 4, 5)).astype(np.float32))
    indices, points = holder[0].get_points_test(logits, lambda value: value)
    for image, chosen, centres in zip(logits.numpy(), indices.numpy(), points.numpy(), strict=True):
        assert set(chosen) == set(np.argsort(-image.ravel())[:7])
        np.testing.assert_allclose(centres[:, 0], (chosen % 5 + 0.5) / 5, rtol=1e-6)
        np.testing.assert_allclose(centres[:, 1], (chosen // 5 + 0.5) / 4, rtol=1e-6)
    few, _ = holder[0].get_points_test(logits[:, :, :2, :2], lambda value: value)
    assert few.shape == [2, 4]


def test_pointrend_evaluates_and_trains():
    backbone = {"type": "ResNet50_vd", "output_stride": 8}
    section = {"type": "paddleseg.PointRend", "num_classes": 3, "backbone": backbone, "backbone_indices": [0, 1, 2, 3]}
    network = build_network(section)
    assert run(network, input_image(64, 96))["logits"].shape == [1, 3, 64, 96]
    network.train()
    outputs = network(paddle.zeros([2, 3, 64, 96]))
    logits, points = outputs["logits_aux1"]
    assert logits.shape[:2] == [2, 3]
    assert points.shape == [2, logits.shape[2], 2]


def test_synchronised_norms_keep_names_and_values():
    norm = nn.SyncBatchNorm(4)
    norm._mean.set_value(paddle.full([4], 0.5))
    names = list(norm.state_dict())
    repair(nn.Sequential(norm))
    assert type(norm) is nn.BatchNorm2D
    assert list(norm.state_dict()) == names
    norm.eval()
    np.testing.assert_allclose(norm(paddle.full([1, 4, 2, 2], 0.5)).numpy(), 0.0, atol=1e-6)


def test_position_embeddings_of_another_size_are_resized(tmp_path):
    section = {"type": "paddleseg.VisionTransformer", "embed_dim": 16, "depth": 2, "num_heads": 2, "patch_size": 16}
    model = {"type": "paddleseg.LinearSegmenter", "num_classes": 3}
    first = build_network({**model, "backbone": {**section, "img_size": 64}})
    paddle.save(first.backbone.state_dict(), str(tmp_path / "vit.pdparams"))
    second = build_network(
        {**model, "backbone": {**section, "img_size": 96, "pretrained": str(tmp_path / "vit.pdparams")}}
    )
    expected = second.backbone.resize_pos_embed(first.backbone.pos_embed, (4, 4), (6, 6))
    np.testing.assert_array_equal(second.backbone.pos_embed.numpy(), expected.numpy())
    name = "blocks.0.attn.qkv.weight"
    one, other = (network.backbone.state_dict()[name].numpy() for network in (first, second))
    np.testing.assert_array_equal(one, other)


def test_booleans_are_gathered_and_paddle_is_as_before():
    before = paddle.gather
    with gathering_booleans():
        found = paddle.gather(paddle.to_tensor([True, False, True]), paddle.to_tensor([1, 2]), axis=0)
        numbers = paddle.gather(paddle.to_tensor([[1.5], [2.5]]), paddle.to_tensor([1]), axis=0)
    assert found.numpy().tolist() == [False, True]
    assert numbers.numpy().tolist() == [[2.5]]
    assert paddle.gather is before


def test_deformable_attention_by_brute_force():
    """Bilinear, a place at the middle of its pixel, zero outside."""
    rng = np.random.default_rng(0)
    shapes, heads, width, queries, points = [(3, 4), (2, 2)], 2, 3, 5, 2
    value = rng.standard_normal((1, 16, heads, width)).astype(np.float32)
    locations = rng.uniform(-0.2, 1.2, (1, queries, heads, 2, points, 2)).astype(np.float32)
    weights = rng.random((1, queries, heads, 2, points)).astype(np.float32)
    expected = np.zeros((queries, heads, width))
    for query, head, level, point in np.ndindex(queries, heads, 2, points):
        height, across = shapes[level]
        plane = value[0, [0, 12][level] :, head][: height * across].reshape(height, across, width)
        x, y = locations[0, query, head, level, point] * (across, height) - 0.5
        for row in (int(np.floor(y)), int(np.floor(y)) + 1):
            for column in (int(np.floor(x)), int(np.floor(x)) + 1):
                if 0 <= row < height and 0 <= column < across:
                    near = (1 - abs(y - row)) * (1 - abs(x - column))
                    expected[query, head] += weights[0, query, head, level, point] * near * plane[row, column]
    arrays = (value, np.int64(shapes), np.int64([0, 12]), locations, weights)
    found = deformable_attention(*(paddle.to_tensor(array) for array in arrays), 64)
    np.testing.assert_allclose(found.numpy()[0].reshape(queries, heads, width), expected, rtol=1e-4, atol=1e-5)
