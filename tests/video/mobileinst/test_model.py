"""The network on any backbone, and its two graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from mobileseg.backbones.mobilenetv2 import MobileNetV2_x0_25
from mobileseg.backbones.topformer import TopTransformer_Tiny
from mobileseg.errors import ConfigError
from mobileseg.nn.graphs import run_once
from mobileseg.registry import BACKBONES, NETWORKS
from mobileseg.video.mobileinst.model import MobileInst
from mobileseg.video.mobileinst.names import ANSWERS, MAPS
from tests.instance_tester import FORBIDDEN
from tests.model_tester import assert_close, fill, input_image, run

SMALL: dict[str, Any] = {"channels": 16, "mask_channels": 8, "num_queries": 6, "heads": 2, "hidden": 24}
EVALUATION = {"mask_features", *MAPS, *ANSWERS}
TRAINING = EVALUATION | {"global_queries", *(f"global_{name}" for name in ANSWERS)}


def build(num_classes: int = 3, backbone: paddle.nn.Layer | None = None, **arguments: Any) -> MobileInst:
    return MobileInst(num_classes, MobileNetV2_x0_25() if backbone is None else backbone, **{**SMALL, **arguments})


def assert_outputs(network: MobileInst, outputs: dict[str, paddle.Tensor], size: tuple[int, int]) -> None:
    assert set(outputs) == (TRAINING if network.training else EVALUATION)
    assert all(bool(paddle.isfinite(value).all()) for value in outputs.values())
    batch, stride = outputs["kernels"].shape[0], network.mask_stride
    assert outputs["mask_features"].shape == [batch, 8, *(-(-length // stride) for length in size)]
    tokens = [-(-length // 64) * 64 // network.token_stride for length in size]
    assert [outputs[name].shape for name in MAPS] == [[batch, 16, *tokens]] * 2
    queries = network.num_queries or tokens[0] * tokens[1]
    shapes = [[batch, queries, 8], [batch, queries, network.num_classes], [batch, queries, 1]]
    assert [outputs[name].shape for name in ANSWERS] == shapes


def test_registered() -> None:
    assert NETWORKS.get("MobileInst") is MobileInst
    network = build()
    assert network.task == "video"
    inside = {id(parameter) for part in network.components().values() for parameter in part.parameters()}
    assert all(id(parameter) in inside for parameter in network.parameters())


@pytest.mark.both
@pytest.mark.parametrize("size", [(75, 101), (33, 40), (64, 128)])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"mask_stride": 16, "token_stride": 32},
        {"query_source": "activation", "use_coordinates": True, "token_stride": 16},
        {"query_source": "cells", "num_queries": None, "token_stride": 32},
    ],
    ids=["published", "coarse", "activation", "cells"],
)
def test_any_size(size: tuple[int, int], arguments: dict[str, Any]) -> None:
    network = build(**arguments)
    assert_outputs(network, run(network, input_image(*size)), size)
    network.train()
    assert_outputs(network, network(paddle.to_tensor(np.concatenate([input_image(*size)] * 2))), size)


@pytest.mark.parametrize("name", list(BACKBONES))
def test_any_backbone(name: str) -> None:
    """Those that are dilated end at stride 8, and are refused."""
    backbone = BACKBONES.get(name)()
    if {8, 16, 32} - {spec.stride for spec in backbone.feature_info}:
        with pytest.raises(ConfigError, match=r"strides \[16, 32\] were asked for"):
            build(1, backbone)
        return
    network = build(1, backbone)
    assert_outputs(network, run(network, input_image(75, 101)), (75, 101))


def test_cells_have_classes_in_training_alone() -> None:
    network = build(semantic=True, token_stride=16)
    assert "cell_classes" not in run(network, input_image(75, 101))
    network.train()
    found = network(paddle.to_tensor(np.concatenate([input_image(75, 101)] * 2)))
    assert found["cell_classes"].shape == [2, 3, 5, 7]
    assert set(found) == TRAINING | {"cell_classes"}


def test_tokens_of_the_backbone_are_used() -> None:
    network = build(backbone=TopTransformer_Tiny())
    assert network.mask_decoder.token_layer.in_channels == 208
    assert build().mask_decoder.token_layer.in_channels == sum(
        spec.channels for spec in MobileNetV2_x0_25().feature_info if spec.stride in (8, 16, 32)
    )


def test_zeros_at_the_border_are_what_padding_inside_is() -> None:
    network = fill(build())
    image = input_image(75, 101)
    padded = np.pad(image, [(0, 0), (0, 0), (0, 128 - 75), (0, 128 - 101)])
    inside, outside = run(network, image), run(network, padded)
    for name in ANSWERS:
        np.testing.assert_array_equal(inside[name].numpy(), outside[name].numpy())
    np.testing.assert_array_equal(inside["mask_features"].numpy(), outside["mask_features"].numpy()[:, :, :10, :13])


def chosen(source: str) -> dict[str, Any]:
    if source == "pooling":
        return {"mask_pooling": True}
    return {"query_source": source, **({"num_queries": None} if source == "cells" else {})}


@pytest.mark.parametrize("source", ["learned", "activation", "cells", "pooling"])
def test_gradients_reach_every_parameter(source: str) -> None:
    paddle.seed(0)
    network = build(**chosen(source), use_coordinates=True, decoder_layers=2)
    outputs = network(paddle.to_tensor(np.random.RandomState(1).randn(2, 3, 128, 128).astype(np.float32)))
    masks = paddle.matmul(outputs["kernels"], outputs["mask_features"].reshape([2, 8, -1]))
    early = sum(outputs[f"global_{name}"].square().mean() for name in ANSWERS)
    (
        masks.square().mean() + outputs["logits"].square().mean() + outputs["objectness"].square().mean() + early
    ).backward()
    for name, parameter in network.named_parameters():
        if not parameter.stop_gradient:
            assert parameter.grad is not None, name
            gradient = parameter.grad.numpy()
            assert np.isfinite(gradient).all(), name
            # A bias before a softmax over keys, or before a norm, has none by nature.
            assert np.abs(gradient).max() > 0 or name.endswith("bias"), name


@pytest.mark.both
def test_graphs_together_are_the_network() -> None:
    network = fill(build())
    size = (75, 101)
    expected = run(network, input_image(*size))
    with paddle.no_grad():
        made = run_once(network, size, paddle.to_tensor(input_image(*size)))
    assert set(made) == EVALUATION
    for name, value in expected.items():
        np.testing.assert_array_equal(made[name].numpy(), value.numpy())
    deployed = network.graphs(size)
    assert deployed.pipelines == {"key": ("features", "instances"), "nonkey": ("features",)}
    assert not deployed.state
    assert [graph.inputs[0].shape for graph in deployed.graphs] == [(1, 3, *size), (1, 16, 2, 2)]


@pytest.mark.parametrize("graph", ["features", "instances"])
@pytest.mark.parametrize("source", ["learned", "activation", "cells", "pooling"])
def test_traced_graphs(graph: str, source: str, tmp_path: Path) -> None:
    """The same numbers in Paddle Inference with oneDNN, and no operator that a converter refuses."""
    network = fill(build(backbone=TopTransformer_Tiny(), **chosen(source), token_stride=32))
    network.eval()
    deployed = network.graphs((128, 192)).graph(graph)
    specs = [paddle.static.InputSpec(list(one.shape), one.dtype, name=one.name) for one in deployed.inputs]
    given = [np.random.RandomState(3).randn(*one.shape).astype(np.float32) for one in deployed.inputs]
    with paddle.no_grad():
        expected = deployed.layer(*(paddle.to_tensor(array) for array in given))
    paddle.jit.save(deployed.layer, str(tmp_path / "model"), input_spec=specs)
    loaded = paddle.jit.load(str(tmp_path / "model"))
    block = loaded.program().global_block()
    kinds = {operator.type for operator in block.ops}
    # TopFormer splits its tokens by slices, which every converter takes.
    assert not kinds & (FORBIDDEN - {"slice"} if graph == "features" else FORBIDDEN)
    config = paddle.inference.Config(str(tmp_path / "model.pdmodel"), str(tmp_path / "model.pdiparams"))
    config.enable_mkldnn()
    config.disable_glog_info()
    predictor = paddle.inference.create_predictor(config)
    for name, array in zip(predictor.get_input_names(), given, strict=True):
        predictor.get_input_handle(name).copy_from_cpu(array)
    predictor.run()
    found = [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
    for name, array in zip(sorted(expected), found, strict=True):  # Paddle saves a dict sorted by its keys
        assert_close(array, expected[name].numpy(), f"{graph}: {name}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 18, "heads": 4}, "multiple of 4"),
        ({"num_queries": 0}, "at least 1"),
        ({"mask_stride": 4}, "mask_stride is one of 8, 16"),
        ({"query_source": "random"}, "query_source"),
        ({"query_source": "cells"}, "num_queries is 6, and with query_source: cells every cell is a query"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**arguments)


def test_cells_are_queries_of_their_places() -> None:
    """A query sees what is in its cell: where two cells of an image are exchanged, so are their queries' contents."""
    decoder = build(**chosen("cells")).instance_decoder
    local = paddle.rand([1, 16, 2, 3])
    turned = paddle.flip(local, [3])
    content = decoder._content(local).numpy().reshape(2, 3, 16)
    np.testing.assert_allclose(decoder._content(turned).numpy().reshape(2, 3, 16), content[:, ::-1], atol=1e-6)
    assert [list(decoder._positions(one).shape) for one in (local, paddle.rand([2, 16, 4, 4]))] == [
        [1, 6, 16],
        [1, 16, 16],
    ]
    assert "query_position" not in dict(decoder.named_parameters())


class Coarse(paddle.nn.Layer):
    """A backbone without stride 8."""

    feature_info = MobileNetV2_x0_25().feature_info[-2:]


def test_a_backbone_without_the_strides() -> None:
    with pytest.raises(ConfigError, match=r"strides \[8\]"):
        build(backbone=Coarse())
    assert build(backbone=Coarse(), mask_stride=16).strides == (16, 32)
