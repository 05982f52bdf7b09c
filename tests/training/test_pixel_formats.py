"""Images of one to four channels and of 16 bits, from training to every engine."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from mobileseg.cli import main
from mobileseg.data.datasets import Dataset
from mobileseg.errors import ConfigError, DataError
from mobileseg.export.options import ENGINES
from mobileseg.runtime.engines.registry import unavailable
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.training.network_segmenter import NetworkSegmenter

SIDE = 32
FORMATS = {
    "grey": (1, None, np.uint8),
    "grey, 12 of 16 bits": (1, (0, 4095), np.uint16),
    "grey and alpha": (2, None, np.uint8),
    "colour, 16 bits": (3, (1000, 60000), np.uint16),
    "four channels, 16 bits": (4, (0, 10000), np.uint16),
}
TARGETS = [target for target in ("paddle", "onnx", "lite_x86", "ncnn") if not unavailable(ENGINES[target])]
CONFIG = """
iters: 2
batch_size: 2
num_workers: 0
seed: 1
train_dataset: &data
  type: Dataset
  dataset_root: {root}
  train_path: {root}/list.txt
  val_path: {root}/list.txt
  num_classes: 3
  mode: train
  img_channels: {channels}
  img_range: {range}
  transforms:
    - {{type: RandomPaddingCrop, crop_size: [32, 32]}}
    - {{type: RandomHorizontalFlip}}
    - {{type: RandomBlur, prob: 0.5}}
    - {{type: RandomNoise}}
    - {{type: Normalize, mean: [0.4], std: [0.3]}}
val_dataset:
  <<: *data
  mode: val
  transforms:
    - {{type: Resize, target_size: [32, 32]}}
    - {{type: Normalize, mean: [0.4], std: [0.3]}}
model:
  type: MobileSeg
  num_classes: 3
  backbone: {{type: MobileNetV2_x0_25, in_channels: {channels}}}
optimizer: {{type: SGD, momentum: 0.9}}
lr_scheduler: {{type: PolynomialDecay, learning_rate: 0.01}}
loss: {{types: [{{type: CrossEntropyLoss}}], coef: [1, 0.4, 0.4]}}
"""


def dataset(root, channels, limits, dtype):
    """Four images in which the class is the level of the last channel; returns their arrays."""
    low, high = limits or (0, 255)
    images = []
    for number in range(4):
        rng = np.random.default_rng(number)
        label = np.kron(rng.permutation([0, 1, 2, 0]).reshape(2, 2), np.ones((SIDE // 2, SIDE // 2))).astype(np.uint8)
        levels = rng.uniform(0.0, 0.3, (SIDE, SIDE, channels))
        levels[..., -1] += label * 0.3
        pixels = np.rint(low + levels * (high - low)).astype(dtype)
        path = root / f"{number}.png"
        if channels == 2:
            Image.fromarray(pixels, mode="LA").save(path)
        else:
            order = [2, 1, 0, 3][:channels] if channels > 2 else [0]
            cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., order]))
        cv2.imwrite(str(root / f"{number}_label.png"), label)
        images.append(pixels)
    (root / "list.txt").write_text("".join(f"{number}.png {number}_label.png\n" for number in range(4)))
    return images


@pytest.mark.parametrize("name", FORMATS)
def test_files_are_read_as_they_were_written(name, tmp_path):
    channels, limits, dtype = FORMATS[name]
    written = dataset(tmp_path, channels, limits, dtype)
    data = Dataset(
        str(tmp_path), mode="val", val_path="list.txt", num_classes=3, img_channels=channels, img_range=limits
    )
    low, high = limits or (0, 255)
    for index, pixels in enumerate(written):
        np.testing.assert_array_equal(data.pixels.read(tmp_path / f"{index}.png"), pixels)
        expected = (pixels.astype(np.float64) - low) * 255 / (high - low)
        np.testing.assert_allclose(data.load(index).image, expected, atol=1e-4)
        assert data[index]["image"].shape == (channels, SIDE, SIDE)


@pytest.mark.long
@pytest.mark.parametrize("name", FORMATS)
def test_from_training_to_every_engine(name, tmp_path, capsys):
    channels, limits, dtype = FORMATS[name]
    images = dataset(tmp_path, channels, limits, dtype)
    file = tmp_path / "net.yml"
    shown = "null" if limits is None else list(limits)
    file.write_text(CONFIG.format(root=tmp_path, channels=channels, range=shown))
    run, folder = tmp_path / "run", tmp_path / "export"
    assert main(["train", str(file), "--save_dir", str(run)]) == 0, capsys.readouterr().err
    scores = tmp_path / "scores.json"
    assert main(["val", str(file), "--model_path", str(run / "best"), "--json", str(scores)]) == 0
    words = ["export", str(file), "--model_path", str(run / "best"), "--save_dir", str(folder), "--accept_weak"]
    assert main([*words, "--targets", *TARGETS]) == 0, capsys.readouterr().err
    manifest = Manifest.read(folder)
    assert (manifest.image.channels, manifest.image.range) == (channels, limits or (0, 255))
    network = NetworkSegmenter.of_folder(run / "best")
    for target in TARGETS:
        segmenter = Segmenter(folder, engine=ENGINES[target])
        for index, pixels in enumerate(images):
            labels = segmenter(tmp_path / f"{index}.png").labels
            np.testing.assert_array_equal(segmenter(pixels).labels, labels)
            assert (labels != network(pixels).labels).mean() < 0.01  # pixels between two classes
    engine = json.loads(scores.read_text())["miou"]
    exported = tmp_path / "exported.json"
    assert main(["val", str(file), "--model", str(folder), "--engine", "paddle", "--json", str(exported)]) == 0
    assert json.loads(exported.read_text())["miou"] == pytest.approx(engine, abs=0.01)
    assert main(["predict", "--model", str(folder), str(tmp_path / "0.png"), "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").is_dir()
    assert main(["doctor", "model", str(folder)]) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"img_channels": 5}, "img_channels is 5, expected 1 to 4"),
        ({"img_range": [10, 10]}, "two ascending whole numbers"),
        ({"img_range": [0, 70000]}, "two ascending whole numbers"),
        ({"img_channels": 1, "transforms": [{"type": "RandomDistort"}]}, "is for images of three channels"),
        ({"img_channels": 1, "transforms": [{"type": "Normalize", "mean": [0.1, 0.2, 0.3]}]}, "3 values of mean"),
    ],
)
def test_formats_that_cannot_be(changes, message, tmp_path):
    dataset(tmp_path, 1, None, np.uint8)
    with pytest.raises(ConfigError, match=message) as caught:
        Dataset(str(tmp_path), train_path="list.txt", num_classes=3, **changes)
    assert caught.value.remedy


def test_files_of_another_format_are_named(tmp_path):
    dataset(tmp_path, 1, (0, 4095), np.uint16)
    four = Dataset(str(tmp_path), train_path="list.txt", num_classes=3, img_channels=4)
    with pytest.raises(DataError, match="has 1 channel, img_channels is 4"):
        four.load(0)
    narrow = Dataset(str(tmp_path), train_path="list.txt", num_classes=3, img_channels=1, img_range=[0, 1000])
    with pytest.raises(DataError, match=r"img_range is \[0, 1000\]"):
        narrow.load(0)
    shifted = Dataset(str(tmp_path), train_path="list.txt", num_classes=3, img_channels=1)  # no range: 16 bits as 8
    assert shifted.pixels.read(tmp_path / "0.png").dtype == np.uint8
