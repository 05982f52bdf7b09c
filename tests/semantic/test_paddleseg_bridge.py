"""PaddleSeg's components by name: their own outputs and names, our contract, and errors that say what to do."""

import json
import subprocess
import sys
from importlib import metadata

import numpy as np
import paddle
import pytest

from mobileseg.backbones.base import FeatureSpec
from mobileseg.config.build import build_network
from mobileseg.errors import ConfigError, DependencyError
from mobileseg.nn.pool import BinPool
from mobileseg.semantic.paddleseg_bridge import PaddleSegNetwork, build_paddleseg
from mobileseg.weights.load import load_into
from tests.model_tester import assert_close, fill, run, shapes
from tests.reference_fill import input_image

pytest.importorskip("paddleseg", reason="needs requirements-paddleseg.txt")

SECTION = {"type": "paddleseg.PPLiteSeg", "num_classes": 4, "backbone": {"type": "paddleseg.STDC1"}}


def original(network, backbone, **arguments):
    """What PaddleSeg itself builds."""
    from paddleseg.cvlibs import manager

    with paddle.utils.unique_name.guard():
        layer = manager.BACKBONES[backbone]()
        return manager.MODELS[network](backbone=layer, **arguments)


@pytest.fixture(scope="module")
def pair():
    """PPLiteSeg through the bridge, and PaddleSeg's, with the same parameters."""
    return fill(build_network(SECTION)), fill(original("PPLiteSeg", "STDC1", num_classes=4))


def test_names_and_shapes_are_paddlesegs(pair):
    ours, theirs = pair
    assert isinstance(ours, PaddleSegNetwork)
    assert shapes(ours) == shapes(theirs)


@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
def test_evaluation_gives_the_first_logits(pair, size):
    ours, theirs = pair
    image = input_image(*size)
    outputs = run(ours, image)
    assert set(outputs) == {"logits"}
    assert_close(outputs["logits"].numpy(), run(theirs, image)[0].numpy(), "logits")


def test_training_gives_all_logits_in_the_order_of_the_losses(pair):
    ours, theirs = pair
    state = {name: tensor.numpy().copy() for name, tensor in ours.state_dict().items()}
    image = paddle.to_tensor(np.random.RandomState(0).randn(2, 3, 64, 64).astype(np.float32))
    for layer in pair:
        layer.train()
    outputs, expected = ours(image), theirs(image)
    assert list(outputs) == ["logits", "logits_aux1", "logits_aux2"]
    for output, reference in zip(outputs.values(), expected, strict=True):
        assert_close(output.numpy(), reference.numpy(), "training logits")
    for layer in pair:
        load_into(layer, state)


def test_a_step_of_training_moves_every_parameter():
    network = build_network(SECTION)
    names = [parameter.name for parameter in network.parameters()]
    assert len(set(names)) == len(names)
    before = {name: parameter.numpy().copy() for name, parameter in network.named_parameters()}
    optimizer = paddle.optimizer.Momentum(0.1, parameters=network.parameters())
    network.train()
    image = paddle.to_tensor(np.random.RandomState(0).randn(2, 3, 64, 64).astype(np.float32))
    sum(output.square().mean() for output in network(image).values()).backward()
    optimizer.step()
    still = [
        name
        for name, parameter in network.named_parameters()
        if np.array_equal(before[name], parameter.numpy()) and parameter.grad is None and not parameter.stop_gradient
    ]
    assert not still


def test_checkpoints_go_both_ways(pair, tmp_path):
    ours, theirs = pair
    paddle.save(theirs.state_dict(), str(tmp_path / "model.pdparams"))
    assert load_into(build_network(SECTION), tmp_path / "model.pdparams").complete
    missing, unexpected = theirs.set_state_dict(ours.state_dict())
    assert not missing
    assert not unexpected


def test_a_backbone_of_paddleseg_under_our_network():
    network = build_network({"type": "MobileSeg", "num_classes": 3, "backbone": {"type": "paddleseg.STDC2"}})
    assert network.backbone.feature_info == tuple(
        FeatureSpec(channels, stride)
        for channels, stride in zip((32, 64, 256, 512, 1024), (2, 4, 8, 16, 32), strict=True)
    )
    assert network.strides == (8, 16, 32)
    assert run(network, input_image(75, 101))["logits"].shape == [1, 3, 75, 101]


def test_a_backbone_of_ours_under_paddlesegs_network():
    arguments = {"num_classes": 4, "backbone_indices": [1, 2, 3]}
    ours = build_network({"type": "paddleseg.PPLiteSeg", **arguments, "backbone": {"type": "MobileNetV2_x0_25"}})
    theirs = original("PPLiteSeg", "MobileNetV2_x0_25", **arguments)
    assert shapes(ours) == shapes(theirs)
    image = input_image(64, 96)
    assert_close(run(fill(ours), image)["logits"].numpy(), run(fill(theirs), image)[0].numpy(), "logits")


def test_two_networks_in_one_process_share_no_parameter_names():
    """MobileNetV3 of PaddleSeg gives its parameters fixed names; optimizers tell parameters by name."""
    first, second = (build_paddleseg("backbone", "STDC1", {}) for _ in range(2))
    head = paddle.nn.Conv2D(1024, 4, 1)
    names = [p.name for layer in (first, second, head) for p in layer.parameters()]
    assert len(set(names)) == len(names)
    for _ in range(2):
        build_paddleseg("backbone", "MobileNetV3_small_x0_35", {})


@pytest.mark.parametrize("size", [(96, 160), (None, None)], ids=["fixed", "dynamic"])
def test_graphs_equal_the_network_and_hold_nothing_that_converts_badly(pair, tmp_path, size):
    network, _ = pair
    assert [layer.bins for layer in network.sublayers() if isinstance(layer, BinPool)] == [1, 2, 4]
    assert network.size_multiple == 128
    network.eval()
    before = paddle.shape
    spec = paddle.static.InputSpec([1, 3, *size], "float32", name="x")
    paddle.jit.save(network, str(tmp_path / "m"), input_spec=[spec])
    assert paddle.shape is before
    graph = paddle.jit.load(str(tmp_path / "m"))
    graph.eval()
    operators = graph.program().global_block().ops
    pools = [op for op in operators if op.type == "pool2d" and op.attr("adaptive")]
    assert all(list(op.attr("ksize")) == [1, 1] for op in pools)
    assert ("shape" in {op.type for op in operators}) == (size[0] is None)
    image = input_image(*(size if size[0] else (128, 256)))
    output = graph(paddle.to_tensor(image))
    assert_close(output.numpy(), run(network, image)["logits"].numpy(), "traced logits")


@pytest.mark.long
def test_exported_and_verified_on_every_engine(pair, tmp_path):
    """At 256x320, where the pooling of PaddleSeg's context module is converted wrongly by paddle2onnx."""
    from mobileseg.export.exporter import export_network
    from mobileseg.export.manifest import Subject
    from mobileseg.export.options import ExportOptions

    images = [np.random.RandomState(seed).randint(0, 256, (64, 80, 3), np.uint8) for seed in range(4)]
    subject = Subject("ppliteseg", tuple("abcd"), ((0, 0, 0),) * 4)
    options = ExportOptions(256, 320, output_op="none")
    result = export_network(pair[0], tmp_path / "artefact", options, subject, images, accept_weak=True)
    assert {row.status for row in result.rows} <= {"ok", "converted-not-run", "skipped"}
    assert {row.engine for row in result.rows if row.status == "ok"} >= {"paddle", "onnxruntime"}


def test_logits_of_another_size_are_resized(monkeypatch):
    class Coarse(paddle.nn.Layer):
        def __init__(self, num_classes):
            super().__init__()
            self.conv = paddle.nn.Conv2D(3, num_classes, 3, stride=4, padding=1)

        def forward(self, x):
            return [self.conv(x)]

    from paddleseg.cvlibs import manager

    monkeypatch.setitem(manager.MODELS.components_dict, "Coarse", Coarse)
    network = build_paddleseg("network", "Coarse", {"num_classes": 3})
    assert run(network, input_image(30, 45))["logits"].shape == [1, 3, 30, 45]


def test_a_child_replaced_in_the_network_is_used(pair):
    network = build_network(SECTION)
    network.seg_heads = paddle.nn.LayerList([paddle.nn.Conv2D(64, 4, 1)])
    fill(network)
    logits = run(network, input_image(64, 64))["logits"]
    assert not np.allclose(logits.numpy(), run(pair[0], input_image(64, 64))["logits"].numpy())


@pytest.mark.parametrize(
    ("section", "message", "remedy"),
    [
        ({"type": "paddleseg.PPLiteseg"}, "no network named 'PPLiteseg'", "paddleseg.PPLiteSeg"),
        ({"num_clases": 4}, "no argument 'num_clases'", "num_classes"),
        ({"backbone": {"type": "paddleseg.STDC3"}}, "no backbone named 'STDC3'", "paddleseg.STDC"),
        ({"backbone": {"type": "paddleseg.STDC1", "depth": 3}}, "no argument 'depth'|unexpected keyword", ""),
        ({"cm_bin_sizes": "x"}, "cannot be built|cannot run", "arguments"),
    ],
)
def test_mistakes_are_named(section, message, remedy):
    with pytest.raises(ConfigError, match=message) as caught:
        build_network({**SECTION, **section})
    assert remedy in str(caught.value)


def test_a_component_that_ends_the_process_is_an_error(monkeypatch):
    """ViTAdapter calls exit() where its own operator is not installed."""
    from paddleseg.cvlibs import manager

    def leave():
        raise SystemExit(0)

    monkeypatch.setitem(manager.BACKBONES.components_dict, "Leaving", leave)
    with pytest.raises(ConfigError, match=r"paddleseg\.Leaving cannot be built: SystemExit"):
        build_paddleseg("backbone", "Leaving", {})


def test_pretrained_is_never_unpickled_by_the_package():
    with pytest.raises(ConfigError, match="pretrained"):
        build_paddleseg("backbone", "STDC1", {"pretrained": "x.pdparams"})


@pytest.mark.parametrize("installed", [None, "2.9.0"])
def test_a_missing_package_names_the_requirements_file(monkeypatch, installed):
    def version(name):
        if installed is None:
            raise metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(DependencyError, match=r"paddleseg 2\.8\.0") as caught:
        build_paddleseg("backbone", "STDC1", {})
    assert "--no-deps -r requirements-paddleseg.txt" in caught.value.remedy


STATE_OF_THE_PROCESS = """
import json, logging, os, signal, sys
import mobileseg
import numpy as np
import paddle
from mobileseg.semantic import paddleseg_package

def state():
    return [
        [str(handler) for handler in logging.getLogger().handlers], logging.getLogger().level,
        str(np.get_printoptions()), os.environ.get("SEG_HOME"), sys.path, os.getcwd(),
        [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        paddle.get_default_dtype(), paddle.in_dynamic_mode(), str(sys.excepthook),
    ]

before = state()
paddleseg_package.import_paddleseg()
print(json.dumps([before, state(), "visualdl" in sys.modules, "matplotlib" in sys.modules]))
"""


def test_importing_the_package_leaves_the_process_as_it_was(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "MOBILESEG_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-W", "ignore", "-c", STATE_OF_THE_PROCESS]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    before, after, *heavy = json.loads(done.stdout.splitlines()[-1])
    assert after == before
    assert heavy == [False, False]
    assert not (tmp_path / ".paddleseg").exists()
