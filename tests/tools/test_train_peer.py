"""tools/train_peer.py: crops, the table of scores and the weights; the peers themselves need their environments."""

import argparse
import json

import cv2
import numpy as np
import paddle
import pytest

from mobileseg.backbones.mobilenetv2 import MobileNetV2_x1_0
from mobileseg.weights.read import read_weights
from tools import train_peer


@pytest.fixture
def data(tmp_path):
    """Two validation images of 40x30: two classes, side by side, and an ignored row."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    lines = []
    for name in ("one", "two"):
        label = np.zeros((30, 40), np.uint8)
        label[:, 20:] = 1
        label[0] = 255
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.stack([label * 0 + 10, label * 0 + 20, label], 2))
        cv2.imwrite(str(tmp_path / "labels" / f"{name}.png"), label)
        lines.append(f"images/{name}.png labels/{name}.png")
    (tmp_path / "val.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "classes.txt").write_text("left\nright\n")
    return tmp_path


def options(data, **more):
    values = {"data": data, "crop": [64, 48], "scales": [1.0, 1.75], "input": [80, 60], "crops": 16, "seed": 0}
    names = {"verb": "smp", "network": "unet", "save_dir": data / "run"}
    return argparse.Namespace(**(values | names | more))


def test_a_crop_keeps_image_and_label_together(data):
    """The image shows the label itself, so what is cut and mirrored can be compared."""
    rng = np.random.default_rng(0)
    label = np.kron(np.array([[0, 1], [2, 3]], np.uint8), np.ones((60, 80), np.uint8))
    image = np.repeat(label[..., None] * 60, 3, axis=2)
    sizes, mirrored = set(), set()
    for _ in range(40):
        pixels, found = train_peer.random_crop(image, label, options(data), rng)
        assert pixels.shape == (3, 48, 64)
        assert pixels.dtype == np.float32
        assert found.shape == (48, 64)
        planes = [np.pad((found == value).view(np.uint8), 2) for value in np.unique(found)]
        inside = [cv2.erode(plane, np.ones((5, 5)))[2:-2, 2:-2] > 0 for plane in planes]  # a border is blended
        levels = [pixels[0][where] for where in inside if where.any()]
        assert all(np.ptp(level) < 1e-4 for level in levels)
        means = [level.mean() for level in levels]
        assert means == sorted(means)
        sizes.add(len(np.unique(found)))
        mirrored.add(bool(found[0, 0] > found[0, -1]))
    assert {1, 2} <= sizes
    assert mirrored == {True, False}


def test_small_images_are_padded_with_ignored_pixels(data):
    label = np.ones((20, 30), np.uint8)
    crops = [train_peer.random_crop(np.zeros((20, 30, 3), np.uint8), label, options(data, scales=[1.0, 1.0]), rng)
             for rng in map(np.random.default_rng, range(5))]  # fmt: skip
    for _, found in crops:
        assert (found == 1).sum() == 600
        assert set(np.unique(found)) == {1, 255}


def test_labels_have_the_size_of_their_images_and_are_scored(data, capsys):
    """A peer that answers 'right' on the three right quarters: IoU 10/20 and 20/30 of the columns."""

    def logits(image):
        assert image.shape == (1, 3, 60, 80)
        np.testing.assert_allclose(image[0, 2, 5, 5], 10 / 127.5 - 1, rtol=1e-5)  # blue comes last
        columns = np.tile(np.arange(20) >= 5, (15, 1)).astype(np.float32)
        return np.stack([1 - columns, columns])

    train_peer.write_labels(options(data), logits, seconds=90)
    assert cv2.imread(str(data / "run" / "labels" / "one.png"), cv2.IMREAD_UNCHANGED).shape == (30, 40)
    capsys.readouterr()
    assert train_peer.main(["--data", str(data), "score", str(data / "run")]) == 0
    head, _, row = capsys.readouterr().out.splitlines()
    assert head == "| network | crops | minutes | mIoU | accuracy | left | right |"
    assert row == "| smp unet | 16 | 1.5 | 0.5833 | 0.7500 | 0.500 | 0.667 |"
    assert json.loads((data / "run" / "peer.json").read_text())["crops"] == 16


def test_weights_have_the_names_of_the_suite(data):
    paddle.seed(3)
    network = MobileNetV2_x1_0()
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    np.savez(data / "source.npz", **arrays)
    assert train_peer.main(["weights", str(data / "source.npz"), str(data / "made" / "backbone.pdparams")]) == 0
    made = read_weights(data / "made" / "backbone.pdparams")
    assert made.keys() == arrays.keys()
    assert all(np.array_equal(made[name], arrays[name]) for name in arrays)
