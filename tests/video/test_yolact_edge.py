from __future__ import annotations

import json
from typing import Any

import numpy as np
import paddle
import pytest

from mobileseg.backbones.mobilenetv2 import MobileNetV2_x0_25, MobileNetV2_x1_0
from mobileseg.backbones.resnet import ResNet50
from mobileseg.errors import ConfigError
from mobileseg.nn.graphs import run_once
from mobileseg.registry import BACKBONES
from mobileseg.video.flow_net import MotionMaps
from mobileseg.video.warp import warp
from mobileseg.video.yolact_edge import FlowYolact, KeyFrame, MobileYolactEdge, YolactEdge, moved_map
from mobileseg.weights.load import load_into
from tests.instance_tester import original_state
from tests.model_tester import REFERENCE, assert_close, fill, input_image, stored_keys

STREAMS = {
    "yolact_edge_stream_resnet50_275": ("yolact_edge_vid_resnet50", ResNet50, {}),
    "yolact_edge_stream_mobilenetv2_192x256": (
        "yolact_edge_vid_mobilenetv2", MobileNetV2_x1_0, {"taps": "yolact_edge"},
    ),
}  # fmt: skip
SPLITTABLE = [name for name in BACKBONES if not name.startswith(("Lite_HRNet", "TopTransformer", "MobileSeg_"))]


def frames(meta: dict[str, Any]) -> list[np.ndarray]:
    """The stream's normalised images, as its README makes them."""
    shape = (1, 3, meta["h"], meta["w"])
    base = np.random.RandomState(meta["seed"]).uniform(-1, 1, shape)
    found = []
    for t in range(len(meta["keys"])):
        noise = np.random.RandomState(meta["seed"] + 100 + t).uniform(-1, 1, shape)
        found.append((0.8 * np.roll(base, (2 * t, -3 * t), (2, 3)) + 0.2 * noise).astype(np.float32))
    return found


def kept(value: paddle.Tensor, meta: dict[str, Any], name: str) -> np.ndarray:
    """The entries of a tensor that the file has."""
    array = value.numpy()
    if name in ("loc", "conf", "mask"):
        return array[:, :: meta["prior_step"]]
    if name == "proto":
        step = meta["proto_step"]
        return array.transpose(0, 2, 3, 1)[:, ::step, ::step]
    if name.startswith("flow"):
        return array if array.shape[3] <= 39 else array[:, :, ::2, ::2]
    channels = meta["channel_step"] // 2 if name == "pre_cur" else meta["channel_step"]
    space = meta["spatial_step_if_width_over_12"] if array.shape[3] > 12 else 1
    return array[:, ::channels, ::space, ::space]


def non_key_tensors(network: FlowYolact, image: paddle.Tensor, key: KeyFrame) -> dict[str, paddle.Tensor]:
    """Everything that a non-key frame computes, by the names of the files."""
    lateral = network.lateral(image)
    reduced = network.flow_net_pre_convs(lateral)
    motions = network.flow_net(reduced, key.reduced)
    made = {"lateral": lateral, "pre_cur": reduced, "flow3": network.flow_net.flows(reduced, key.reduced)[0]}
    for level, motion, source in zip((4, 5), motions, (key.level4, key.level5), strict=True):
        made |= {f"flow{level}": motion.flow, f"scale{level}": motion.scale, f"bias{level}": motion.bias}
        made |= {f"warp{level}": warp(source, motion.flow), f"scaled{level}": moved_map(source, motion)}
    maps = network.transform(lateral, reduced, key)
    made |= {f"in{level}": value for level, value in zip((3, 4, 5), maps, strict=True)}
    return made | {"spa4": maps[1], "spa5": maps[2]}


@pytest.mark.both
@pytest.mark.parametrize("file", STREAMS)
def test_streams_of_the_original(file: str) -> None:
    """Every intermediate tensor of key and non-key frames."""
    keys, backbone, arguments = STREAMS[file]
    network = YolactEdge(40, backbone(**arguments), square_anchors=True)
    report = load_into(network, original_state(keys))
    assert report.complete, report
    network.eval()
    with np.load(REFERENCE / "golden" / "video" / f"{file}.npz") as archive:
        meta, golden = json.loads(str(archive["meta"])), {name: archive[name] for name in archive.files}
    compared, state = 0, None
    with paddle.no_grad():
        for index, (image, is_key) in enumerate(zip(frames(meta), meta["keys"], strict=True)):
            x = paddle.to_tensor(image)
            if is_key:
                maps, state = network.key_frame(x)
                made = {"lat3": network.lateral(x)}
                made |= {f"{kind}{level}": maps[level - 3] for level in (3, 4, 5) for kind in ("x", "in")}
            else:
                assert state is not None
                made = non_key_tensors(network, x, state)
                maps = [made["in3"], made["in4"], made["in5"]]
            made |= {f"P{level + 3}": value for level, value in enumerate(network.fpn.predict(maps))}
            made |= network.predictions(maps, image.shape[2:])
            for name, value in made.items():
                assert_close(kept(value, meta, name), golden[f"f{index}.{name}"], f"frame {index}: {name}")
                compared += 1
    stored = [name for name in golden if name != "meta" and not name.endswith((".input", ".priors"))]
    assert compared == len(stored)
    if "f0.priors" in golden:
        assert_close(network.anchors(meta["h"], meta["w"])[:: meta["prior_step"]], golden["f0.priors"], "anchors")


@pytest.mark.both
@pytest.mark.parametrize("minimal", [False, True])
def test_names_of_the_published_weights(minimal: bool) -> None:
    """Both configurations; parts of the pyramid are one module here."""
    network = YolactEdge(40, BACKBONES.get("ResNet101")(), refine=not minimal)
    theirs = {
        name.replace("fpn_phase_1.", "fpn.").replace("fpn_phase_2.", "fpn."): shape
        for name, shape in stored_keys("yolact_edge_vid_minimal" if minimal else "yolact_edge_vid").items()
        if not name.startswith("backbone.")
    }
    ours = {name: list(value.shape) for name, value in network.state_dict().items()}
    assert {name: shape for name, shape in ours.items() if not name.startswith("backbone.")} == theirs


def test_costs_of_the_published_network() -> None:
    """Parameters of decision 18 by part, and of the parts that only video has."""
    network = YolactEdge(40, MobileNetV2_x1_0(taps="yolact_edge"))
    sizes = {name: sum(int(p.size) for p in layer.parameters()) for name, layer in network.named_children()}
    assert sizes["flow_net"] == 2_003_856
    assert sizes["flow_net_pre_convs"] == 147_520
    assert sizes["spa"] == 2_359_808
    assert sizes["fpn"] == 66_304 + 2_950_400


@pytest.mark.both
@pytest.mark.parametrize("kind", [YolactEdge, MobileYolactEdge])
def test_graphs_are_the_network(kind: type[FlowYolact]) -> None:
    """Both pipelines, as a runtime walks them, against the methods; no weight is in two graphs."""
    size = (64, 96)
    network = fill(kind(3, MobileNetV2_x0_25(), input_size=64, fpn_channels=16, num_prototypes=4))
    network.eval()
    deployed = network.graphs(size)
    with paddle.no_grad():
        first, second = (paddle.to_tensor(input_image(*size) * factor) for factor in (1.0, 0.5))
        maps, key = network.key_frame(first)
        wanted = [network.predictions(maps, size), network.predictions(network.non_key_frame(second, key), size)]
        state: dict[str, paddle.Tensor] = {}
        for image, pipeline, expected in zip((first, second), ("key", "nonkey"), wanted, strict=True):
            known = {"x": image, **state}
            for name in deployed.pipelines[pipeline]:
                graph = deployed.graph(name)
                fed = [known[spec.name] for spec in graph.inputs]
                assert [list(spec.shape) for spec in graph.inputs] == [list(tensor.shape) for tensor in fed]
                made = graph.layer(*fed)
                assert tuple(made) == graph.outputs
                known |= made
            state |= {kept: known[source] for kept, source in deployed.state.get(pipeline, {}).items()}
            for name, value in expected.items():
                np.testing.assert_array_equal(known[name].numpy(), value.numpy())
    assert set(run_once(network, size)) >= {"loc", "conf", "mask", "proto", "level5", "reduced"}


@pytest.mark.parametrize("name", SPLITTABLE)
def test_any_backbone_that_is_a_chain(name: str) -> None:
    network = MobileYolactEdge(2, BACKBONES.get(name)(), input_size=64, fpn_channels=8, num_prototypes=4)
    network.eval()
    x = paddle.to_tensor(input_image(75, 101))
    with paddle.no_grad():
        maps, key = network.key_frame(x)
        again = network.non_key_frame(x, key)
        np.testing.assert_array_equal(
            network.lateral(x).numpy(), network.fpn.lateral(network.backbone(x)[network.indices[0]]).numpy()
        )
    assert [level.shape for level in again] == [level.shape for level in maps]


@pytest.mark.parametrize("name", sorted(set(BACKBONES) - set(SPLITTABLE)))
def test_other_backbones_are_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be split"):
        MobileYolactEdge(2, BACKBONES.get(name)(), fpn_channels=8)


def test_widths_of_the_flow_network() -> None:
    with pytest.raises(ConfigError, match="flow_widths is \\[4, 4\\]"):
        YolactEdge(2, MobileNetV2_x0_25(), flow_widths=[4, 4])


@pytest.mark.both
def test_a_map_that_does_not_move() -> None:
    """No flow, scale 1 and bias 0 leave a map as it is."""
    level = paddle.to_tensor(input_image(5, 7))
    still = MotionMaps(paddle.zeros([1, 2, 5, 7]), paddle.ones_like(level), paddle.zeros_like(level))
    np.testing.assert_allclose(moved_map(level, still).numpy(), level.numpy(), atol=1e-5)
