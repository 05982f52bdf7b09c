import numpy as np
import paddle
import pytest

from mobileseg.semantic.deploy import DeployLabels
from tests.export.conftest import MEAN, STD, options


class Echo(paddle.nn.Layer):
    """Its input as logits of three classes."""

    def forward(self, x):
        return {"logits": x}


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (1, 6, 8, 3), dtype=np.uint8)


def run(array, **changes):
    with paddle.no_grad():
        return DeployLabels(Echo(), options(**changes))(paddle.to_tensor(array)).numpy()


def normalised(pixels):
    return ((pixels / 255.0 - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2)


def test_bytes_nhwc_normalised(pixels):
    form = {"input_dtype": "uint8", "normalize_in_graph": True, "layout": "NHWC", "output_op": "none"}
    np.testing.assert_allclose(run(pixels, **form), normalised(pixels), atol=1e-6)


def test_argmax_is_int32(pixels):
    labels = run(normalised(pixels).astype(np.float32))
    assert labels.dtype == np.int32
    assert np.array_equal(labels, normalised(pixels).argmax(axis=1))


def test_softmax(pixels):
    values = normalised(pixels).astype(np.float32)
    expected = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(run(values, output_op="softmax"), expected, rtol=1e-5)


def test_final_resize_is_half_pixel_bilinear(pixels):
    import cv2

    values = normalised(pixels).astype(np.float32)
    resized = run(values, output_op="none", output_size=(12, 20))
    expected = cv2.resize(values[0].transpose(1, 2, 0), (20, 12), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(resized[0].transpose(1, 2, 0), expected, atol=1e-5)


def test_state_of_the_network_is_untouched():
    assert DeployLabels(Echo(), options()).state_dict() == {}
