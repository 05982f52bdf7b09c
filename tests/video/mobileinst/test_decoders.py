"""Mask decoder and instance decoder against the public reproduction of MobileInst."""

from __future__ import annotations

import hashlib

import numpy as np
import paddle
import pytest

from mobileseg.nn.blocks import resize
from mobileseg.video.mobileinst.instance_decoder import ActivationMaps, InstanceDecoder, MaskedMean
from mobileseg.video.mobileinst.mask_decoder import MaskDecoder, best_of_cells, pooled_tokens
from mobileseg.video.mobileinst.positions import coordinates, sine_positions
from tests.model_tester import assert_close
from tests.reference_fill import fill_value
from tests.video.mobileinst.golden import parts

pytestmark = pytest.mark.both

INPUTS = ((256, 16, 24), (256, 8, 12), (256, 4, 6), (384, 2, 3))
MASK_DECODER = (
    *((f"laterals.{level}.", f"injections.{level}.0.") for level in range(3)),
    ("token_layer.", "injections.3.0."),
    ("enhance_first.local_layer", "se1.lateral_l"),
    ("enhance_first.global_layer", "se1.lateral_g"),
    ("enhance_first.", "se1."),
    ("enhance_last.local_layer", "se2.lateral_l"),
    ("enhance_last.global_layer", "se2.lateral_g"),
    ("enhance_last.", "se2."),
    *((f"top_down.{level}.", f"conv1.{level}.0.") for level in range(3)),
    *((f"bottom_up.{level}.", f"conv2.{level}.0.") for level in range(3)),
)
INSTANCE_DECODER = {
    "global_layer": "g_proj",
    "local_layer": "l_proj",
    "global_decoder.0.cross_norm": "g_d1.norm",
    "global_decoder.0.self_norm": "g_d2.norm",
    "global_decoder.0.cross.proj": "g_d1.multihead_attn.out_proj",
    "global_decoder.0.self_attention.proj": "g_d2.self_attn.out_proj",
    "local_decoder.0.cross_norm": "l_d1.norm",
    "local_decoder.0.self_norm": "l_d2.norm",
    "local_decoder.0.cross.proj": "l_d1.multihead_attn.out_proj",
    "local_decoder.0.self_attention.proj": "l_d2.self_attn.out_proj",
    "local_decoder.0.feed_forward.norm": "mlp.norm",
    "local_decoder.0.feed_forward.linear1": "mlp.linear1",
    "local_decoder.0.feed_forward.linear2": "mlp.linear2",
    "norm": "decoder_norm",
    "classes": "cls_score",
    "objectness": "objectness",
    "kernels": "mask_kernel",
}
ATTENTIONS = {
    "global_decoder.0.cross": "g_d1.multihead_attn",
    "global_decoder.0.self_attention": "g_d2.self_attn",
    "local_decoder.0.cross": "l_d1.multihead_attn",
    "local_decoder.0.self_attention": "l_d2.self_attn",
}
QUERIES = {"query_content": "query_feat", "query_position": "query_embed"}
BRANCH = "decoder.inst_branch."


def original_name(name: str) -> str:
    """The reproduction's name of a parameter of the mask decoder."""
    if name.startswith("project."):
        return f"decoder.mask_branch.{name.removeprefix('project.')}"
    ours, theirs = next(pair for pair in MASK_DECODER if name.startswith(pair[0]))
    end = name[len(ours) :].replace("_mean", "running_mean").replace("_variance", "running_var")
    return f"encoder.{theirs}{end}"


def noise(name: str, shape: list[int]) -> np.ndarray:
    seed = int(hashlib.sha1(name.encode()).hexdigest()[:8], 16)
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32)


def instance_state(network: InstanceDecoder) -> dict[str, np.ndarray]:
    """Parameters of the instance decoder by the rule of the reproduction's names."""
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    state = {}
    for ours, theirs in INSTANCE_DECODER.items():
        for end in ("weight", "bias"):
            state[f"{ours}.{end}"] = fill_value(f"{BRANCH}{theirs}.{end}", shapes[f"{ours}.{end}"])
    for ours, theirs in ATTENTIONS.items():  # there the three projections are one
        weight, bias = (
            fill_value(f"{BRANCH}{theirs}.in_proj_{end}", shape)
            for end, shape in (("weight", (256, 768)), ("bias", (768,)))
        )
        for index, part in enumerate(("to_q", "to_k", "to_v")):
            span = slice(index * 256, (index + 1) * 256)
            state[f"{ours}.{part}.weight"], state[f"{ours}.{part}.bias"] = weight[:, span], bias[span]
    for ours, theirs in QUERIES.items():
        state[ours] = noise(f"{BRANCH}{theirs}.weight", shapes[ours][1:])[None]
    assert set(state) == set(shapes)
    return state


@pytest.fixture(scope="module")
def decoded() -> tuple[paddle.Tensor, paddle.Tensor, paddle.Tensor]:
    """Mask features, features before their projection, global tokens."""
    network = MaskDecoder([256, 256, 256], 384, 256, 128)
    network.eval()
    state = {name: fill_value(original_name(name), value.shape) for name, value in network.state_dict().items()}
    network.set_state_dict(state)
    inputs = [
        paddle.to_tensor(np.random.RandomState(310 + index).uniform(0, 1, (1, *shape)).astype(np.float32))
        for index, shape in enumerate(INPUTS)
    ]
    with paddle.no_grad():
        return network(inputs[:3], inputs[3])


def test_mask_decoder(decoded: tuple[paddle.Tensor, ...]) -> None:
    masks, fused, tokens = decoded
    assert_close(resize(tokens, (4, 6)).numpy()[:, ::4], parts()["dec.x_global"], "global tokens")
    assert_close(fused.numpy()[:, ::8, ::2, ::2], parts()["dec.x_local"], "features")
    assert_close(masks.numpy()[:, ::4, ::2, ::2], parts()["dec.mask_features"], "mask features")
    assert_close(best_of_cells(fused, 4).numpy()[:, ::4], parts()["dec.pooled_local"], "local tokens")


@pytest.mark.parametrize("stride", [32, 64])
def test_instance_decoder(decoded: tuple[paddle.Tensor, ...], stride: int) -> None:
    masks, fused, tokens = decoded
    network = InstanceDecoder(80, 100, 256, 128, feed_forward="last")
    network.eval()
    network.set_state_dict(instance_state(network))
    local = best_of_cells(fused, stride // 8)
    with paddle.no_grad():
        found = network(resize(tokens, local.shape[2:]), local)
    end = "64" if stride == 64 else ""
    assert_close(found["logits"].numpy()[:, ::2], parts()[f"dec.logits{end}"], "logits")
    assert_close(found["kernels"].numpy()[:, ::2], parts()[f"dec.kernels{end}"], "kernels")
    assert_close(found["objectness"].numpy(), parts()[f"dec.objectness{end}"], "objectness")
    if stride == 32:
        product = paddle.matmul(found["kernels"], masks.reshape([1, 128, -1])).reshape([1, 100, 16, 24])
        assert_close(resize(product, (32, 48)).numpy()[:, ::10, ::3, ::3], parts()["dec.masks"], "masks")


def test_positions() -> None:
    ours = sine_positions(2, 3, 256).reshape(2, 3, 256).transpose(2, 0, 1)[None]
    np.testing.assert_allclose(ours, parts()["dec.pos_embed"], atol=1e-6)


def test_coordinates_are_those_of_the_centres() -> None:
    found = coordinates(2, 4)
    np.testing.assert_allclose(found[0, 0, 1], [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(found[0, 1, :, 2], [-0.5, 0.5])


def test_tokens_of_a_backbone_without_any() -> None:
    features = [
        np.random.RandomState(seed).rand(1, 2, 64 // s, 128 // s).astype(np.float32) for seed, s in ((0, 8), (1, 16))
    ]
    found = pooled_tokens([paddle.to_tensor(one) for one in features], (8, 16), 64).numpy()
    expected = np.concatenate([one.reshape(1, 2, 1, one.shape[2], 2, -1).mean(axis=(3, 5)) for one in features], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_decoders_of_two_levels_and_more_layers() -> None:
    masks, fused, tokens = MaskDecoder([8, 12], 20, 16, 6, use_coordinates=True)(
        [paddle.rand([2, 8, 8, 12]), paddle.rand([2, 12, 4, 6])], paddle.rand([2, 20, 1, 2])
    )
    assert [masks.shape, fused.shape, tokens.shape] == [[2, 6, 8, 12], [2, 16, 8, 12], [2, 16, 1, 2]]
    network = InstanceDecoder(3, 5, 16, 6, heads=2, hidden=8, layers=2, query_source="activation")
    found = network(tokens, best_of_cells(fused, 4))
    assert found["global_queries"].shape == [2, 5, 16]
    sum(found[name].sum() for name in found).backward()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


def test_means_under_masks() -> None:
    """Two queries, one of which has its mask on the left half; checkpoints know the names of the layer."""
    layer = MaskedMean(4)
    layer.linear.weight.set_value(np.eye(4, dtype=np.float32))
    rng = np.random.RandomState(0)
    feature, queries = rng.rand(1, 4, 3, 6).astype(np.float32), rng.rand(1, 2, 4).astype(np.float32)
    masks = np.full((1, 1, 3, 6), -50, np.float32)
    masks[..., :3] = 50
    kernels = np.array([[[1.0], [0.0]]], np.float32)  # the left half, and half of everything
    found = layer(*(paddle.to_tensor(value) for value in (queries, kernels, feature, masks))).numpy()
    for row, mean in enumerate((feature[0, :, :, :3].mean(axis=(1, 2)), feature[0].mean(axis=(1, 2)))):
        normal = (mean - mean.mean()) / mean.std()
        np.testing.assert_allclose(found[0, row], queries[0, row] + normal, atol=2e-3)
    decoder = InstanceDecoder(3, 5, 16, 6, heads=2, hidden=8, mask_pooling=True)
    assert {name.split(".")[1] for name in decoder.state_dict() if name.startswith("pool")} == {"norm", "linear"}


def test_a_map_that_is_active_at_one_pixel_gives_what_is_there() -> None:
    layer = ActivationMaps(4, 1)
    paddle.nn.initializer.Constant(0.0)(layer.maps.weight)
    state = {name: value.numpy() for name, value in layer.state_dict().items()}
    state["maps.weight"][0, 0, 1, 1] = 100.0  # active where channel 0 is 1
    state["linear.weight"], state["linear.bias"] = np.eye(4, dtype=np.float32), np.zeros(4, np.float32)
    layer.set_state_dict(state)
    feature = np.random.RandomState(0).rand(1, 4, 3, 5).astype(np.float32)
    feature[:, 0] = 0
    feature[0, 0, 1, 3] = 1
    found = layer(paddle.to_tensor(feature)).numpy()[0, 0]
    # The other 14 maps stay at the prior of 1 %.
    flat = feature[0].reshape(4, -1)
    weights = np.where(flat[0] == 1, 1.0, 0.01)
    mean = (flat * weights).sum(axis=1) / weights.sum()
    np.testing.assert_allclose(found, np.maximum((mean - mean.mean()) / mean.std(), 0), atol=2e-3)
