"""What datasets promise: arrays, randomness, label maps, messages."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.datasets import Dataset, Item, SegmentationDataset
from mobileseg.data.io import read_image, read_label
from mobileseg.data.sample import Sample
from mobileseg.errors import ConfigError, DataError

TRAIN = [
    {"type": "ResizeStepScaling", "min_scale_factor": 0.5, "max_scale_factor": 2.0},
    {"type": "RandomPaddingCrop", "crop_size": [20, 16]},
    {"type": "RandomHorizontalFlip"},
    {"type": "RandomDistort"},
    {"type": "Normalize"},
]


def dataset(folder, transforms=None, mode: str = "train", **more) -> Dataset:
    lists = {f"{mode}_path": "list.txt"}
    return Dataset(str(folder.root), transforms, mode, **({"num_classes": 3} | lists | more))


def test_items_of_training(folder) -> None:
    folder.fill("list.txt", 3)
    data = dataset(folder, TRAIN)
    item = data[(0, 1)]
    assert item["image"].shape == (3, 16, 20)
    assert item["image"].dtype == np.float32
    assert item["image"].flags.c_contiguous
    assert item["label"].shape == (16, 20)
    assert item["label"].dtype == np.int64
    assert item["index"] == 1
    assert item["index"].dtype == np.int64
    assert data.palette.shape == (3, 3)
    assert data.palette.dtype == np.uint8
    assert data.classes == ("class 0", "class 1", "class 2")


def test_randomness_comes_from_seed_epoch_and_index(folder) -> None:
    folder.fill("list.txt", 3)
    data, copy = dataset(folder, TRAIN), pickle.loads(pickle.dumps(dataset(folder, TRAIN)))
    keys = [(epoch, index) for epoch in range(3) for index in range(3)]
    first = {key: data[key]["image"].tobytes() for key in keys}
    assert {key: copy[key]["image"].tobytes() for key in reversed(keys)} == first
    assert len(set(first.values())) == 9
    assert data[2]["image"].tobytes() == first[(0, 2)]
    assert data[-1]["image"].tobytes() == first[(0, 2)]
    assert dataset(folder, TRAIN, seed=1)[(0, 0)]["image"].tobytes() != first[(0, 0)]
    with pytest.raises(IndexError):
        data[3]


def test_image_and_label_stay_together(folder) -> None:
    """The label is written into the image; whatever is cut and mirrored, both still agree."""
    label = folder.rng.integers(0, 3, (24, 32), dtype=np.uint8)
    folder.add("one", label, np.repeat(label[..., None] * 50, 3, axis=2))
    folder.list("list.txt", ["one"])
    steps = [{"type": "RandomPaddingCrop", "crop_size": [20, 30], "im_padding_value": 250}, *TRAIN[2:3]]
    data = dataset(folder, steps)
    for epoch in range(12):
        item = data[(epoch, 0)]
        expected = np.where(item["label"] == 255, 5, item["label"]) * 50
        np.testing.assert_array_equal(item["image"][0], expected)


def test_evaluation_leaves_labels_alone(folder) -> None:
    folder.fill("list.txt", 1)
    steps = [{"type": "Resize", "target_size": [64, 48]}, {"type": "Padding", "target_size": 70}, {"type": "Normalize"}]
    data = dataset(folder, steps, "val")
    item, sample = data[0], data.prepare(0)
    assert item["image"].shape == (3, 70, 70)
    np.testing.assert_array_equal(item["label"], read_label(data.items[0].label))
    assert sample.meta["geometry"] == [("resize", (24, 32)), ("padding", (48, 64))]
    with pytest.raises(ConfigError, match=r"RandomPaddingCrop.*'val'"):
        dataset(folder, TRAIN, "val")


def test_load_is_the_file_itself(folder) -> None:
    folder.fill("list.txt", 1)
    data = dataset(folder, TRAIN)
    sample = data.load(0)
    np.testing.assert_array_equal(sample.image, read_image(data.items[0].image).astype(np.float32))
    assert sample.image.dtype == np.float32
    assert sample.label.dtype == np.uint8
    assert sample.meta["image_path"].endswith("list_0.png")


def test_label_map(folder) -> None:
    label = np.zeros((24, 32), np.uint8)
    label[:3], label[3:5] = 255, 9
    folder.add("one", label)
    folder.list("list.txt", ["one"])
    mapped = dataset(folder, label_map={0: 0, 255: 1, "9": "2"}).load(0).label
    np.testing.assert_array_equal(np.unique(mapped, return_counts=True), [[0, 1, 2], [19 * 32, 3 * 32, 2 * 32]])
    np.testing.assert_array_equal(dataset(folder, label_map={9: 255}).load(0).label == 255, label > 0)
    for wrong in ({0: 300}, {"road": 1}, {-1: 0}):
        with pytest.raises(ConfigError, match="label_map"):
            dataset(folder, label_map=wrong)


def test_values_outside_the_classes(folder) -> None:
    label = np.ones((24, 32), np.uint8)
    label[0, :5], label[1, :2] = 3, 77
    _, path = folder.add("one", label)
    folder.list("list.txt", ["one"])
    with pytest.raises(DataError) as caught:
        dataset(folder)[0]
    message = str(caught.value)
    assert str(path) in message
    assert "3 (5 pixels), 77 (2 pixels)" in message
    assert "label_map" in message
    assert caught.value.exit_code == 3
    assert dataset(folder, num_classes=78).load(0).label.max() == 77
    assert dataset(folder, label_map={3: 0, 77: 255}).load(0).label.max() == 255


def test_ignore_index_other_than_255(folder) -> None:
    label = np.full((24, 32), 9, np.uint8)
    folder.add("one", label)
    folder.list("list.txt", ["one"])
    steps = [{"type": "Padding", "target_size": [40, 30]}]
    assert (dataset(folder, steps, ignore_index=9)[0]["label"] == 9).all()
    folder.add("one", np.full((24, 32), 255, np.uint8))
    with pytest.raises(DataError, match="9 = ignore"):
        dataset(folder, ignore_index=9).load(0)


def test_jpeg_labels_get_their_own_remedy(folder) -> None:
    Image.fromarray(folder.rng.integers(0, 3, (24, 32), dtype=np.uint8) * 20).save(folder.root / "mask.jpg")
    image, _ = folder.add("one")
    (folder.root / "list.txt").write_text(f"{image.name} mask.jpg\n")
    with pytest.raises(DataError, match="save labels as PNG"):
        dataset(folder).load(0)


def test_sizes_that_differ(folder) -> None:
    folder.add("one", np.zeros((32, 24), np.uint8))
    folder.list("list.txt", ["one"])
    with pytest.raises(DataError, match=r"one_label\.png is 24x32 but its image .*one\.png is 32x24"):
        dataset(folder).load(0)


def test_exif_rotated_photograph_needs_a_turned_label(folder) -> None:
    image, label = folder.add("one", np.zeros((32, 24), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(image).save(image, exif=exif)
    folder.list("list.txt", ["one"])
    assert dataset(folder).load(0).image.shape == (32, 24, 3)
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(label)
    with pytest.raises(DataError, match="EXIF"):
        dataset(folder).load(0)


def test_odd_images_train(folder) -> None:
    grey, alpha, tiny = (folder.root / f"{name}.png" for name in ("grey", "alpha", "tiny"))
    Image.fromarray(folder.rng.integers(0, 256, (24, 32), dtype=np.uint8)).save(grey)
    Image.fromarray(folder.rng.integers(0, 256, (24, 32, 4), dtype=np.uint8)).save(alpha)
    Image.fromarray(folder.rng.integers(0, 256, (1, 1, 3), dtype=np.uint8)).save(tiny)
    for path in (grey, alpha, tiny):
        size = Image.open(path).size[::-1]
        Image.fromarray(np.ones(size, np.uint8)).save(folder.root / f"{path.stem}_label.png")
    folder.list("list.txt", ["grey", "alpha", "tiny"])
    data = dataset(folder, TRAIN)
    for index in range(3):
        item = data[index]
        assert item["image"].shape == (3, 16, 20)
        assert np.isfinite(item["image"]).all()


def test_empty_and_impossible(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="empty"):
        SegmentationDataset([], mode="train", transforms=None, classes=["a"])
    item = [Item(tmp_path / "a.png", None)]
    with pytest.raises(ConfigError, match="num_classes is 0"):
        SegmentationDataset(item, mode="train", transforms=None, classes=[])
    with pytest.raises(ConfigError, match="ignore_index"):
        SegmentationDataset(item, mode="train", transforms=None, classes=["a"], ignore_index=300)


def test_photographs(photos: Path) -> None:
    data = Dataset(str(photos / "camvid"), TRAIN, train_path="train.txt")
    assert (len(data), data.num_classes, data.classes[0]) == (367, 11, "sky")
    for index in (0, 100, 366):
        item = data[index]
        assert item["image"].shape == (3, 16, 20)
        assert set(np.unique(item["label"])) <= {*range(11), 255}


@pytest.mark.parametrize("value", [3, 7, 256, -1, 1.5, True, "1"])
@pytest.mark.parametrize("name", ["Padding", "RandomPaddingCrop", "RandomRotation", "RandomExpand"])
def test_labels_that_a_transform_would_write_are_checked_when_it_is_built(folder, name: str, value: object) -> None:
    """Padding with 7 of three classes was a segmentation fault in the loss."""
    folder.fill("l.txt", 1)
    size = {"Padding": {"target_size": [64, 64]}}.get(name, {})
    step = {"type": name, "label_padding_value": value, **size}
    with pytest.raises(ConfigError, match=rf"{name}.label_padding_value is .*nor ignore_index \(255\)"):
        Dataset(str(folder.root), [step], train_path="l.txt", num_classes=3)
    for right in (0, 2, 255):
        Dataset(str(folder.root), [step | {"label_padding_value": right}], train_path="l.txt", num_classes=3)


def test_padding_of_255_is_refused_when_254_is_ignored(folder) -> None:
    folder.fill("l.txt", 1)
    steps = [{"type": "Padding", "target_size": [64, 64], "label_padding_value": 255}]
    with pytest.raises(ConfigError, match=r"ignore_index \(254\)"):
        Dataset(str(folder.root), steps, train_path="l.txt", num_classes=3, ignore_index=254)
    steps[0].pop("label_padding_value")
    data = Dataset(str(folder.root), steps, train_path="l.txt", num_classes=3, ignore_index=254)
    assert set(np.unique(data[0]["label"])) == {0, 1, 2, 254}


def test_labels_that_a_transform_has_written_are_checked(folder) -> None:
    """A transform of somebody's own declares nothing."""
    folder.fill("l.txt", 1)

    def spoil(sample: Sample, rng: np.random.Generator) -> Sample:
        sample.label[0, :5] = 9
        return sample

    def widen(sample: Sample, rng: np.random.Generator) -> Sample:
        sample.label = sample.label.astype(np.int32) * 1000
        return sample

    for step, message in ((spoil, r"9 \(5 pixels\)"), (widen, "type int32, expected uint8")):
        data = Dataset(str(folder.root), [step], train_path="l.txt", num_classes=3)
        with pytest.raises(DataError, match=f"after the transforms, the label of .*l_0.png has .*{message}"):
            data[0]
