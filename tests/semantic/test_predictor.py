"""Flips, scales and windows against NumPy and, where it is installed, against PaddleSeg."""

import importlib

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from mobileseg.data.sample import Sample
from mobileseg.errors import ConfigError
from mobileseg.semantic.predictor import NetworkPredictor, TestOptions, window_starts

pytestmark = pytest.mark.both


class Positional(paddle.nn.Layer):
    """Logits that depend on neighbours and on the place in the input, so that every view gives others."""

    def __init__(self):
        super().__init__()
        paddle.seed(0)
        self.conv = paddle.nn.Conv2D(3, 4, 5, padding=2)

    def forward(self, x):
        ramp = paddle.linspace(0, 1, x.shape[3]).reshape([1, 1, 1, -1]) + paddle.linspace(0, 2, x.shape[2]).reshape(
            [1, 1, -1, 1]
        )
        return {"logits": self.conv(x) + ramp * paddle.to_tensor([0.0, 1.0, -1.0, 0.5]).reshape([1, 4, 1, 1])}


class Pointwise(paddle.nn.Layer):
    def forward(self, x):
        return {"logits": x * 2.0}


@pytest.fixture
def image():
    return paddle.to_tensor(np.random.default_rng(0).normal(size=(1, 3, 21, 34)).astype(np.float32))


def logits(network, image, **options):
    return NetworkPredictor(network, TestOptions.from_section(options)).logits(image).numpy()


def test_flips_average_the_logits(image):
    network = Positional()

    def view(axes):
        x = image.numpy()
        flipped = paddle.to_tensor(np.ascontiguousarray(np.flip(x, axes)))
        return np.flip(network(flipped)["logits"].numpy(), axes)

    for horizontal, vertical, views in [(True, False, [[], [3]]), (True, True, [[], [3], [2], [2, 3]])]:
        expected = np.mean([view(axes) for axes in views], axis=0)
        found = logits(network, image, aug_eval=True, flip_horizontal=horizontal, flip_vertical=vertical)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_scales_average_the_logits(image):
    network = Positional()
    expected = []
    for height, width in [(16, 26), (21, 34), (26, 43)]:  # int(21 * 0.75 + 0.5), ...
        resized = F.interpolate(image, [height, width], mode="bilinear")
        expected.append(F.interpolate(network(resized)["logits"], [21, 34], mode="bilinear").numpy())
    found = logits(network, image, aug_eval=True, scales=[0.75, 1.0, 1.25], flip_horizontal=False)
    np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=1e-5)


def test_without_aug_eval_scales_and_flips_are_off(image):
    network = Positional()
    np.testing.assert_array_equal(
        logits(network, image, scales=[0.5], flip_horizontal=True), network(image)["logits"].numpy()
    )


@pytest.mark.parametrize("stride", [[8, 8], [16, 16], [5, 7]])
def test_windows_of_a_pointwise_network_change_nothing(image, stride):
    found = logits(Pointwise(), image, is_slide=True, crop_size=[16, 16], stride=stride)
    np.testing.assert_allclose(found, image.numpy() * 2.0, rtol=1e-6)


@pytest.mark.parametrize("stride", [1, 3, 8])
@pytest.mark.parametrize("length", range(5, 30))
def test_windows_cover_everything_and_are_whole(length, stride):
    starts = window_starts(length, 8, stride)
    covered = np.zeros(length, int)
    for start in starts:
        covered[start : start + 8] += 1
    assert covered.all()
    assert len(set(starts)) == len(starts)
    assert all(start + 8 <= length for start in starts) or length < 8


@pytest.mark.parametrize(
    "options",
    [
        {"is_slide": True, "crop_size": [16, 12], "stride": [10, 9]},
        {"aug_eval": True, "scales": [0.75, 1.25], "flip_horizontal": True, "flip_vertical": True},
        {"aug_eval": True, "scales": [1.5], "is_slide": True, "crop_size": [20, 20], "stride": [13, 13]},
    ],
)
def test_same_logits_as_paddleseg(image, options):
    pytest.importorskip("paddleseg")
    infer = importlib.import_module("paddleseg.core.infer")
    network = Positional()

    def theirs(x):
        return [network(x)["logits"]]

    window = {key: options[key] for key in ("is_slide", "crop_size", "stride") if key in options}
    with paddle.no_grad():
        if options.get("aug_eval"):
            flips = {key: options.get(key, False) for key in ("flip_horizontal", "flip_vertical")}
            _, expected = infer.aug_inference(theirs, image, [], scales=options["scales"], **flips, **window)
        else:
            _, expected = infer.inference(theirs, image, [], **window)
    own = {"flip_horizontal": False} | options
    np.testing.assert_allclose(logits(network, image, **own), expected.numpy(), atol=1e-4)


def test_labels_come_in_the_size_of_the_original():
    """Padding is cut off before, and a resize undone on the logits, not on the labels."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(8, 12, 3)).astype(np.float32)
    sample = Sample(values, None, {"geometry": [("resize", (14, 20)), ("padding", (7, 10))]})
    found = NetworkPredictor(Pointwise())(sample).labels
    cut = paddle.to_tensor(values[:7, :10].transpose(2, 0, 1)[None].copy())
    scores = F.interpolate(cut, [14, 20], mode="bilinear", align_corners=False)[0].numpy()
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, scores.argmax(axis=0))
    plain = NetworkPredictor(Pointwise())(Sample(values, None, {"geometry": []})).labels
    np.testing.assert_array_equal(plain, values.argmax(axis=2))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"is_slide": True}, "needs crop_size and stride"),
        ({"is_slide": True, "crop_size": [8], "stride": [8, 8]}, "crop_size is"),
        ({"scales": [0.0]}, "expected positive"),
        ({"scales": []}, "expected positive"),
        ({"flips": True}, "flips"),
    ],
)
def test_impossible_options(section, message):
    with pytest.raises(ConfigError, match=message):
        TestOptions.from_section(section)
