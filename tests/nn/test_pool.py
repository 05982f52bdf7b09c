"""Bin pooling against a brute-force average, in every form that a graph may contain."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from mobileseg.export.conversion.ncnn import convert
from mobileseg.nn.pool import BinPool, bin_matrix, bin_windows
from tests.converting import traces

pytestmark = pytest.mark.both

# height, width, bins: dividing, not dividing, the map's own size, more bins than pixels, a single row
SHAPES = [
    (8, 12, 4),
    (8, 10, 4),
    (12, 15, 4),
    (7, 11, 2),
    (4, 4, 4),
    (4, 6, 4),
    (2, 2, 4),
    (1, 5, 2),
    (9, 9, 3),
    (6, 5, 1),
]


def brute_force(x: np.ndarray, bins: int) -> np.ndarray:
    """Adaptive average pooling, pixel by pixel, in float64."""
    height, width = x.shape[2:]
    result = np.zeros((*x.shape[:2], bins, bins))
    for row in range(bins):
        for column in range(bins):
            rows = slice(int(np.floor(row * height / bins)), int(np.ceil((row + 1) * height / bins)))
            columns = slice(int(np.floor(column * width / bins)), int(np.ceil((column + 1) * width / bins)))
            result[:, :, row, column] = x[:, :, rows, columns].astype(np.float64).mean(axis=(2, 3))
    return result


def noise(*shape: int) -> np.ndarray:
    return np.random.RandomState(0).randn(*shape).astype(np.float32)


def trace(layer: paddle.nn.Layer, shape: list[int | None], path: Path) -> paddle.nn.Layer:
    layer.eval()
    paddle.jit.save(layer, str(path), input_spec=[paddle.static.InputSpec(shape, "float32", name="x")])
    loaded = paddle.jit.load(str(path))
    loaded.eval()
    return loaded


def operators(loaded: paddle.nn.Layer) -> list[str]:
    return [op.type for op in loaded.program().global_block().ops if op.type not in {"feed", "fetch", "scale"}]


class Net(paddle.nn.Layer):
    """A pool between two convolutions: converters need a graph with parameters."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        paddle.seed(1)
        self.before, self.pool, self.after = paddle.nn.Conv2D(3, 5, 1), BinPool(bins), paddle.nn.Conv2D(5, 5, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.after(self.pool(self.before(x)))


def test_windows_of_a_known_case() -> None:
    assert bin_windows(10, 4) == [(0, 3), (2, 5), (5, 8), (7, 10)]
    assert bin_windows(2, 4) == [(0, 1), (0, 1), (1, 2), (1, 2)]
    np.testing.assert_allclose(bin_matrix(10, 4).sum(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize(("height", "width", "bins"), SHAPES)
def test_eager_equals_brute_force(height: int, width: int, bins: int) -> None:
    x = noise(2, 3, height, width)
    np.testing.assert_allclose(BinPool(bins)(paddle.to_tensor(x)).numpy(), brute_force(x, bins), atol=1e-5)


@traces
@pytest.mark.parametrize(("height", "width", "bins"), SHAPES)
def test_traced_equals_brute_force(height: int, width: int, bins: int, tmp_path: Path) -> None:
    x = noise(1, 3, height, width)
    loaded = trace(BinPool(bins), [1, 3, height, width], tmp_path / "pool")
    np.testing.assert_allclose(loaded(paddle.to_tensor(x)).numpy(), brute_force(x, bins), atol=1e-5)
    for op in loaded.program().global_block().ops:
        if op.type == "pool2d" and op.attr("adaptive"):
            assert list(op.attr("ksize")) == [1, 1], "adaptive pooling to more than one bin is not portable"


@traces
def test_traced_forms(tmp_path: Path) -> None:
    assert operators(trace(BinPool(4), [1, 3, 4, 4], tmp_path / "identity")) == []
    assert operators(trace(BinPool(4), [1, 3, 8, 12], tmp_path / "plain")) == ["pool2d"]
    constant = operators(trace(BinPool(4), [1, 3, 8, 10], tmp_path / "constant"))
    assert constant.count("matmul_v2") == 2
    assert "shape" not in constant


@traces
@pytest.mark.parametrize("batch", [1, None])
def test_unknown_size(batch: int | None, tmp_path: Path) -> None:
    loaded = trace(BinPool(4), [batch, 3, None, None], tmp_path / "pool")
    assert "pool2d" not in operators(loaded)
    for height, width in ((8, 12), (4, 16)):
        x = noise(batch or 2, 3, height, width)
        np.testing.assert_allclose(loaded(paddle.to_tensor(x)).numpy(), brute_force(x, 4), atol=1e-5)
    with pytest.raises((ValueError, RuntimeError, OSError)):  # not a multiple: refused, never silently wrong
        loaded(paddle.to_tensor(noise(batch or 2, 3, 9, 10)))


def test_gradient_of_the_traced_form() -> None:
    x = paddle.to_tensor(noise(1, 2, 8, 10), stop_gradient=False)
    BinPool(4)(x).square().sum().backward()
    expected = x.grad.numpy()
    x.clear_grad()
    layer = paddle.jit.to_static(BinPool(4), input_spec=[paddle.static.InputSpec([1, 2, 8, 10], "float32")])
    layer(x).square().sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-5)


def test_bins_must_be_positive() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        BinPool(0)


def to_onnx(folder: Path) -> Path:
    model = folder / "model.onnx"
    names = ["--model_filename", "model.pdmodel", "--params_filename", "model.pdiparams"]
    command = [sys.executable, "-m", "paddle2onnx.command", "--model_dir", str(folder), *names]
    subprocess.run([*command, "--save_file", str(model), "--opset_version", "13"], check=True, capture_output=True)
    return model


@traces
@pytest.mark.parametrize(("height", "width"), [(8, 12), (8, 10), (4, 4), (2, 3), (None, None)])
def test_onnx_runtime_agrees(height: int | None, width: int | None, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    net = Net(4)
    trace(net, [1, 3, height, width], tmp_path / "model")
    model = to_onnx(tmp_path)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    x = noise(1, 3, height or 12, width or 16)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], net(paddle.to_tensor(x)).numpy(), atol=1e-5)


@traces
@pytest.mark.parametrize(("height", "width"), [(8, 10), (4, 4), (None, None)])
def test_paddle_lite_agrees(height: int | None, width: int | None, tmp_path: Path) -> None:
    pytest.importorskip("paddlelite", reason="Paddle Lite has wheels up to Python 3.10")
    net = Net(4)
    trace(net, [1, 3, height, width], tmp_path / "model")
    x = noise(1, 3, height or 12, width or 16)
    np.save(tmp_path / "x.npy", x)
    subprocess.run([sys.executable, "-c", LITE, str(tmp_path)], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), net(paddle.to_tensor(x)).numpy(), atol=1e-5)


@traces
@pytest.mark.parametrize(("height", "width"), [(8, 12), (8, 10), (4, 4), (None, None)])
@pytest.mark.parametrize("onednn", [True, False])
def test_paddle_inference_agrees(height: int | None, width: int | None, onednn: bool, tmp_path: Path) -> None:
    """Its graph passes replace operators, so the traced program's own answer proves nothing about it."""
    net = Net(4)
    trace(net, [1, 3, height, width], tmp_path / "model")
    x = noise(1, 3, height or 12, width or 16)
    np.save(tmp_path / "x.npy", x)
    subprocess.run([sys.executable, "-c", INFERENCE, str(tmp_path), str(onednn)], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), net(paddle.to_tensor(x)).numpy(), atol=1e-5)


@traces
@pytest.mark.parametrize(("height", "width"), [(8, 12), (8, 10)])
def test_ncnn_agrees(height: int, width: int, tmp_path: Path) -> None:
    ncnn = pytest.importorskip("ncnn")
    net = Net(4)
    trace(net, [1, 3, height, width], tmp_path / "model")
    to_onnx(tmp_path)
    files = str(tmp_path / "model.param"), str(tmp_path / "model.bin")
    convert(tmp_path / "model.onnx", *files, [[[1, 3, height, width]]])
    graph = ncnn.Net()
    graph.opt.use_fp16_packed = graph.opt.use_fp16_storage = graph.opt.use_fp16_arithmetic = False
    graph.opt.use_bf16_packed = graph.opt.use_bf16_storage = False
    assert graph.load_param(files[0]) == 0
    assert graph.load_model(files[1]) == 0
    x = noise(1, 3, height, width)
    borrowed = np.ascontiguousarray(x[0])
    extractor = graph.create_extractor()
    extractor.input(graph.input_names()[0], ncnn.Mat(borrowed))
    _, output = extractor.extract(graph.output_names()[0])
    np.testing.assert_allclose(np.array(output)[None], net(paddle.to_tensor(x)).numpy(), atol=1e-4)


# Engines run in processes of their own: they die by signal, and do not bear each other.
INFERENCE = """
import zlib, sys
import numpy as np
from paddle import inference
folder, onednn = sys.argv[1:]
config = inference.Config(folder + "/model.pdmodel", folder + "/model.pdiparams")
if onednn == "True":
    config.enable_mkldnn()
predictor = inference.create_predictor(config)
x = np.load(folder + "/x.npy")
handle = predictor.get_input_handle(predictor.get_input_names()[0])
handle.reshape(x.shape)
handle.copy_from_cpu(x)
predictor.run()
np.save(folder + "/y.npy", predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu())
"""
LITE = """
import zlib, sys, os
import numpy as np
from paddlelite.lite import MobileConfig, Opt, create_paddle_predictor
folder = sys.argv[1]
opt = Opt()
opt.set_model_file(folder + "/model.pdmodel")
opt.set_param_file(folder + "/model.pdiparams")
opt.set_valid_places("x86")
opt.set_model_type("naive_buffer")
opt.set_optimize_out(folder + "/model")
opt.run()
config = MobileConfig()
config.set_model_from_file(folder + "/model.nb")
predictor = create_paddle_predictor(config)
predictor.get_input(0).from_numpy(np.load(folder + "/x.npy"))
predictor.run()
np.save(folder + "/y.npy", np.array(predictor.get_output(0).numpy(), copy=True))
os._exit(0)
"""
