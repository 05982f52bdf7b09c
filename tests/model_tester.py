"""What every backbone must do, as base classes: a new family costs a subclass that names its variants.

    class TestMyNet(BackboneTester):      # build, contract, gradients, sizes, saving, tracing
        variants = ("MyNet_x0_5", "MyNet_x1_0")

`VariantTester` also compares every variant with its case of tools/make_reference.py, `GoldenTester` the whole
network with a file of tests/reference/golden.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import paddle
import pytest

from mobileseg.registry import BACKBONES
from mobileseg.semantic.model import MobileSeg
from tests.converting import traces
from tests.reference_fill import digest, fill_value, input_image, sample

REFERENCE = Path(__file__).parent / "reference"
TOLERANCE = 1e-4
PUBLISHED: dict[str, Any] = {"cm_bin_sizes": (1, 2, 4), "cm_out_ch": 128, "arm_out_chs": (32, 64, 128)}


def fill(layer: paddle.nn.Layer, prefix: str = "") -> paddle.nn.Layer:
    """The layer with every parameter set by the rule of names; ``prefix`` is put before the names."""
    state = layer.state_dict()
    layer.set_state_dict({key: fill_value(prefix + key, value.shape) for key, value in state.items()})
    return layer


def shapes(layer: paddle.nn.Layer, prefix: str = "") -> dict[str, list[int]]:
    """Names and shapes of a layer's state dict."""
    return {prefix + key: list(value.shape) for key, value in layer.state_dict().items()}


def run(layer: paddle.nn.Layer, image: np.ndarray) -> Any:
    """Outputs in evaluation mode, without gradients."""
    layer.eval()
    with paddle.no_grad():
        return layer(paddle.to_tensor(image))


def assert_close(actual: np.ndarray, expected: np.ndarray, what: str) -> None:
    """Largest difference at most ``TOLERANCE`` standard deviations of the expected values."""
    assert actual.shape == expected.shape, f"{what}: {actual.shape} for {expected.shape}"
    error = float(np.abs(actual - expected).max() / expected.std())
    assert error <= TOLERANCE, f"{what} differs by {error:.2e} standard deviations"


def stored_keys(name: str) -> dict[str, list[int]]:
    """Names and shapes of a file of reference/keys."""
    lines = (REFERENCE / "keys" / f"keys_{name}.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {row[0]: [int(length) for length in row[1].strip("[]").split(",") if length] for row in rows}


def stored_variant(name: str, file: str = "variants") -> dict[str, np.ndarray]:
    """Outputs of a case of tools/make_reference.py, or of the script that writes another file."""
    with np.load(REFERENCE / "golden" / f"{file}.npz") as archive:
        found = {key.rsplit(":", 1)[1]: archive[key] for key in archive.files if key.rsplit(":", 1)[0] == name}
    assert found, f"{file}.npz has no case {name}: run the script in tools/ that writes it"
    return found


class BackboneTester:
    """Subclass with ``variants`` to test a family."""

    #: Registered names.
    variants: ClassVar[tuple[str, ...]] = ()
    #: The variant for the tests that do not depend on the width; the first one by default.
    lead: ClassVar[str] = ""
    #: Arguments of the backbone under which it equals the original.
    parity: ClassVar[dict[str, Any]] = {}
    #: Arguments of MobileSeg for this family.
    head: ClassVar[dict[str, Any]] = {}
    #: Ends of the names of trainable parameters that have no gradient by design.
    without_gradient: ClassVar[tuple[str, ...]] = ()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "variant" in metafunc.fixturenames:
            metafunc.parametrize("variant", type(self).variants)

    @pytest.fixture(scope="class")
    def built(self) -> paddle.nn.Layer:
        return fill(self.build(), "backbone.")

    def build(self, variant: str = "") -> paddle.nn.Layer:
        """A variant, or the lead, with the arguments of the original."""
        return BACKBONES.get(variant or self.lead or self.variants[0])(**self.parity)

    def test_variant(self, variant: str) -> None:
        backbone = self.build(variant)
        assert_info_true(backbone, run(backbone, input_image(64, 96)), 64, 96)

    @pytest.mark.parametrize("size", [(75, 101), (33, 40)])
    def test_sizes_that_do_not_divide(self, built: paddle.nn.Layer, size: tuple[int, int]) -> None:
        assert_info_true(built, run(built, input_image(*size)), *size)
        logits = run(MobileSeg(3, built), input_image(*size))["logits"]
        assert logits.shape == [1, 3, *size]
        assert bool(paddle.isfinite(logits).all())

    @pytest.mark.parametrize("num_classes", [1, 150])
    def test_any_class_count(self, built: paddle.nn.Layer, num_classes: int) -> None:
        assert run(MobileSeg(num_classes, built), input_image(64, 64))["logits"].shape == [1, num_classes, 64, 64]

    def test_other_input_channels(self) -> None:
        backbone = BACKBONES.get(self.lead or self.variants[0])(in_channels=4)
        image = np.concatenate([input_image(64, 64), input_image(64, 64)[:, :1]], axis=1)
        assert_info_true(backbone, run(backbone, image), 64, 64)

    def test_gradients_reach_every_parameter(self) -> None:
        paddle.seed(0)
        backbone = BACKBONES.get(self.lead or self.variants[0])()
        backbone.train()
        means = {key: value.numpy().copy() for key, value in backbone.state_dict().items() if key.endswith("_mean")}
        features = backbone(paddle.to_tensor(np.random.RandomState(1).randn(2, 3, 64, 96).astype(np.float32)))
        sum(feature.square().mean() for feature in features).backward()
        for name, parameter in backbone.named_parameters():
            if parameter.stop_gradient or name.endswith(self.without_gradient):
                continue
            assert parameter.grad is not None, f"{name} has no gradient"
            assert np.isfinite(parameter.grad.numpy()).all(), f"the gradient of {name} is not finite"
        state = backbone.state_dict()
        still = [key for key, mean in means.items() if np.array_equal(mean, state[key].numpy())]
        assert not still, f"running means that did not move: {still}"

    def test_save_and_load(self, built: paddle.nn.Layer, tmp_path: Path) -> None:
        path = str(tmp_path / "model.pdparams")
        paddle.save(built.state_dict(), path)
        other = self.build()
        missing, unexpected = other.set_state_dict(paddle.load(path))
        assert not missing
        assert not unexpected
        for ours, theirs in zip(run(built, input_image(64, 64)), run(other, input_image(64, 64)), strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())

    @traces
    @pytest.mark.parametrize("size", [(96, 160), (None, None)], ids=["fixed", "dynamic"])
    def test_traced_graph_equals_eager(self, built: paddle.nn.Layer, size: tuple[Any, Any], tmp_path: Path) -> None:
        network = fill(MobileSeg(3, built, **PUBLISHED, **self.head))
        network.eval()
        image = input_image(*((96, 160) if size[0] else (network.size_multiple, 2 * network.size_multiple)))
        expected = run(network, image)["logits"].numpy()
        spec = paddle.static.InputSpec([1, 3, *size], "float32", name="x")
        paddle.jit.save(network, str(tmp_path / "model"), input_spec=[spec])
        loaded = paddle.jit.load(str(tmp_path / "model"))
        loaded.eval()
        kinds = {operator.type for operator in loaded.program().global_block().ops}
        if size[0]:
            assert "shape" not in kinds, "a graph of fixed size must not read its own shape"
        assert not kinds & {"flatten", "flatten_contiguous_range", "bmm", "einsum"}
        assert_close(loaded(paddle.to_tensor(image)).numpy(), expected, "traced logits")


class VariantTester(BackboneTester):
    """Every variant equals its case in a file of reference/golden."""

    #: The file.
    reference: ClassVar[str] = "variants"

    def test_variant(self, variant: str) -> None:
        backbone = fill(self.build(variant), "backbone.")
        expected = stored_variant(variant, self.reference)
        assert digest(shapes(backbone, "backbone.")) == str(expected["digest"]), "names or shapes differ"
        height, width = (int(length) for length in expected["size"])
        features = run(backbone, input_image(height, width))
        assert_info_true(backbone, features, height, width)
        assert {f"f{index}" for index in range(len(features))} == set(expected) - {"digest", "size"}
        for index, feature in enumerate(features):
            assert_close(sample(feature.numpy()), expected[f"f{index}"], f"{variant} feature {index}")


class GoldenTester(VariantTester):
    """One variant under MobileSeg equals a file of reference/golden, names and shapes a file of reference/keys."""

    #: File name and registered name.
    golden: ClassVar[tuple[str, str]] = ("", "")

    def test_golden_outputs(self) -> None:
        file, variant = self.golden
        network = MobileSeg(19, self.build(variant), **PUBLISHED, **self.head)
        assert shapes(network) == stored_keys(file)
        fill(network)
        image = input_image(128, 192)
        with np.load(REFERENCE / "golden" / f"{file}.npz") as expected:
            assert_close(run(network, image)["logits"].numpy()[:, :, ::4, ::4], expected["out"], "logits")
            for index, feature in enumerate(run(network.backbone, image)):
                assert_close(feature.numpy()[:, :, ::2, ::2], expected[f"f{index}"], f"feature {index}")


def assert_info_true(backbone: paddle.nn.Layer, features: list[paddle.Tensor], height: int, width: int) -> None:
    """``feature_info`` describes the features of an image of that size, finest first."""
    info = backbone.feature_info
    assert len(info) == len(features)
    assert [spec.stride for spec in info] == sorted(spec.stride for spec in info)
    for spec, feature in zip(info, features, strict=True):
        assert feature.shape[1:] == [spec.channels, -(-height // spec.stride), -(-width // spec.stride)]
