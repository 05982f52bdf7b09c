"""What every instance network must do, as base classes.

    class TestMyYolact(InstanceTester):   # contract, class counts, sizes, gradients, saving, tracing
        network = "MyYolact"

`GoldenInstanceTester` also compares networks with files of tests/reference/golden, whose parameters are filled by
the names of the original and pass through the conversion of names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import paddle
import pytest

from mobileseg.registry import BACKBONES, NETWORKS
from mobileseg.weights.load import LoadReport, load_into
from tests.converting import traces
from tests.model_tester import REFERENCE, assert_close, fill, input_image, run, stored_keys
from tests.reference_fill import INSTANCE_GAIN, fill_value

EVALUATION = {"loc", "conf", "mask", "proto"}
TRAINING = {"loc", "logits", "mask", "proto", "segm", "anchors"}
#: Operators that a deployed graph of fixed size may not hold: some converter refuses each, or takes it for another.
FORBIDDEN = {
    "shape",
    "gather",
    "gather_nd",
    "slice",
    "flatten",
    "flatten_contiguous_range",
    "bmm",
    "einsum",
    "expand_as",
}


class Golden(NamedTuple):
    """A file of reference/golden and reference/keys, and the network that equals the original."""

    file: str
    backbone: dict[str, Any]


def original_state(file: str) -> dict[str, np.ndarray]:
    """The original's state dict of a keys file, filled by the rule of names."""
    return {
        key: np.array(0) if key.endswith("num_batches_tracked") else fill_value(key, shape, INSTANCE_GAIN)
        for key, shape in stored_keys(file).items()
    }


def map_sizes(strides: tuple[int, ...], height: int, width: int) -> list[tuple[int, int]]:
    """Sizes of the pyramid's levels."""
    return [(-(-height // stride), -(-width // stride)) for stride in strides]


def assert_outputs(network: paddle.nn.Layer, outputs: dict[str, paddle.Tensor], height: int, width: int) -> None:
    """Names, shapes, types and ranges of the outputs for an image of that size."""
    assert set(outputs) == (TRAINING if network.training else EVALUATION)
    assert all(value.dtype == paddle.float32 for value in outputs.values())
    assert all(bool(paddle.isfinite(value).all()) for value in outputs.values())
    batch = outputs["loc"].shape[0]
    levels = map_sizes(network.strides, height, width)
    count = len(network.anchor_ratios) * sum(rows * columns for rows, columns in levels)
    classes, prototypes = network.num_classes, network.num_prototypes
    scores = outputs["logits" if network.training else "conf"]
    assert outputs["loc"].shape == [batch, count, 4]
    assert scores.shape == [batch, count, classes + 1]
    assert outputs["mask"].shape == [batch, count, prototypes]
    fine = (2 * levels[0][0], 2 * levels[0][1])
    if network.detail_index is not None:
        (fine,) = map_sizes((4,), height, width)
    assert outputs["proto"].shape == [batch, prototypes, *fine]
    assert float(outputs["mask"].abs().max()) <= 1
    assert float(outputs["proto"].min()) >= 0
    anchors = network.anchors(height, width)
    assert (anchors.shape, anchors.dtype) == ((count, 4), np.float32)
    if network.training:
        assert outputs["segm"].shape == [batch, classes, *levels[0]]
        np.testing.assert_array_equal(outputs["anchors"].numpy(), anchors)
    else:
        np.testing.assert_allclose(scores.sum(axis=-1).numpy(), 1, atol=1e-5)


class InstanceTester:
    """Subclass with ``network`` to test a registered network."""

    #: Registered name.
    network: ClassVar[str] = ""
    #: Arguments that differ from the defaults.
    arguments: ClassVar[dict[str, Any]] = {}
    #: The backbone of the tests that do not depend on it.
    backbone: ClassVar[str] = "MobileNetV2_x0_25"
    #: Standard deviations by which evaluation may differ from training, on the statistics of the same batch.
    mode_tolerance: ClassVar[float] = 2e-3

    def build(self, num_classes: int = 3, backbone: str = "", **arguments: Any) -> paddle.nn.Layer:
        """The network with the given or the usual backbone."""
        layer = BACKBONES.get(backbone or self.backbone)()
        return NETWORKS.get(self.network)(num_classes, layer, **{**self.arguments, **arguments})

    @pytest.fixture(scope="class")
    def built(self) -> paddle.nn.Layer:
        return fill(self.build())

    def test_contract(self, built: paddle.nn.Layer) -> None:
        assert built.task == "instance"
        assert built.variances == (0.1, 0.2)
        parts = built.components()
        assert list(parts) == ["backbone", "fpn", "protonet", "head"]
        inside = {id(parameter) for part in parts.values() for parameter in part.parameters()}
        outside = [name for name, parameter in built.named_parameters() if id(parameter) not in inside]
        assert outside == ["semantic_seg_conv.weight", "semantic_seg_conv.bias"]

    @pytest.mark.parametrize("size", [(75, 101), (33, 40), (64, 96)])
    def test_any_size(self, built: paddle.nn.Layer, size: tuple[int, int]) -> None:
        assert_outputs(built, run(built, input_image(*size)), *size)
        built.train()
        image = paddle.to_tensor(np.concatenate([input_image(*size)] * 2))
        assert_outputs(built, built(image), *size)

    @pytest.mark.parametrize("num_classes", [1, 90])
    def test_any_class_count(self, num_classes: int) -> None:
        network = self.build(num_classes)
        assert_outputs(network, run(network, input_image(64, 64)), 64, 64)

    @pytest.mark.parametrize("name", list(BACKBONES))
    def test_any_backbone(self, name: str) -> None:
        network = self.build(backbone=name, fpn_channels=16, num_prototypes=4)
        assert_outputs(network, run(network, input_image(75, 101)), 75, 101)

    def test_gradients_reach_every_parameter(self) -> None:
        paddle.seed(0)
        network = self.build()
        network.train()
        outputs = network(paddle.to_tensor(np.random.RandomState(1).randn(2, 3, 64, 96).astype(np.float32)))
        sum(outputs[name].square().mean() for name in sorted(TRAINING - {"anchors"})).backward()
        for name, parameter in network.named_parameters():
            if not parameter.stop_gradient:
                assert parameter.grad is not None, f"{name} has no gradient"
                gradient = parameter.grad.numpy()
                assert np.isfinite(gradient).all(), f"the gradient of {name} is not finite"
                assert np.abs(gradient).max() > 0 or name.endswith("bias"), f"the gradient of {name} is zero"

    def test_evaluation_equals_training_on_the_same_statistics(self) -> None:
        """Norms that serve several levels must mean the same in both modes."""
        network = fill(self.build())
        for layer in network.sublayers():
            if isinstance(layer, paddle.nn.BatchNorm2D):
                layer._momentum = 0.0  # the running statistics become those of the batch
        image = paddle.to_tensor(np.random.RandomState(2).uniform(-1, 1, (4, 3, 128, 160)).astype(np.float32))
        network.train()
        with paddle.no_grad():
            training = network(image)
            network.eval()
            evaluation = network(image)
        for name in sorted(TRAINING & EVALUATION):
            expected = training[name].numpy()
            difference = np.abs(evaluation[name].numpy() - expected).max() / expected.std()
            assert difference <= self.mode_tolerance, f"{name} differs by {difference:.4f} standard deviations"

    def test_save_and_load(self, built: paddle.nn.Layer, tmp_path: Path) -> None:
        path = str(tmp_path / "model.pdparams")
        paddle.save(built.state_dict(), path)
        other = self.build()
        assert load_into(other, path).complete
        ours, theirs = run(built, input_image(64, 64)), run(other, input_image(64, 64))
        for name in EVALUATION:
            np.testing.assert_array_equal(ours[name].numpy(), theirs[name].numpy())

    @traces
    @pytest.mark.parametrize("size", [(75, 101), (None, None)], ids=["fixed", "dynamic"])
    def test_traced_graph_equals_eager(self, built: paddle.nn.Layer, size: tuple[Any, Any], tmp_path: Path) -> None:
        image = input_image(*(size if size[0] else (2 * built.size_multiple, 3 * built.size_multiple)))
        expected = run(built, image)
        spec = paddle.static.InputSpec([1, 3, *size], "float32", name="x")
        paddle.jit.save(built, str(tmp_path / "model"), input_spec=[spec])
        loaded = paddle.jit.load(str(tmp_path / "model"))
        loaded.eval()
        block = loaded.program().global_block()
        if size[0]:
            assert not {operator.type for operator in block.ops} & FORBIDDEN
            made = [
                name
                for operator in block.ops
                for slot in operator.output_names
                if slot != "XShape"
                for name in operator.output(slot)
            ]
            assert max(len(block.var(name).shape) for name in made) == 4, "a tensor of five axes"
        outputs = loaded(paddle.to_tensor(image))
        for name, output in zip(sorted(expected), outputs, strict=True):  # Paddle saves a dict sorted by its keys
            assert_close(output.numpy(), expected[name].numpy(), f"traced {name}")


class GoldenInstanceTester(InstanceTester):
    """Networks that equal the originals of files in reference/."""

    #: Arguments under which the network equals the originals.
    parity: ClassVar[dict[str, Any]] = {}
    goldens: ClassVar[tuple[Golden, ...]] = ()
    #: Originals of which there are only the names.
    known: ClassVar[tuple[Golden, ...]] = ()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        for argument, cases in (("golden", self.goldens), ("known", self.known)):
            if argument in metafunc.fixturenames:
                metafunc.parametrize(argument, cases, ids=[case.file for case in cases])

    def original(self, case: Golden) -> tuple[paddle.nn.Layer, LoadReport]:
        """The network with the original's parameters."""
        backbone = dict(case.backbone)
        layer = BACKBONES.get(backbone.pop("type"))(**backbone)
        network = NETWORKS.get(self.network)(80, layer, **self.arguments, **self.parity)
        return network, load_into(network, original_state(case.file))

    def test_golden_outputs(self, golden: Golden) -> None:
        network, report = self.original(golden)
        assert report.complete
        outputs = {name: value.numpy() for name, value in run(network, input_image(550, 550)).items()}
        actual = {name: outputs[name][:, ::97] for name in ("loc", "conf", "mask")}
        actual["proto"] = outputs["proto"].transpose(0, 2, 3, 1)[:, ::9, ::9]
        actual["priors"] = network.anchors(550, 550)[::97]
        with np.load(REFERENCE / "golden" / f"{golden.file}.npz") as expected:
            for name in expected.files:
                assert_close(actual[name], expected[name], name)

    def test_every_name_is_known(self, known: Golden) -> None:
        _, report = self.original(known)
        assert report.complete
