"""The quick look at labels before a training."""

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.datasets import Dataset
from mobileseg.data.doctor.diagnose import preflight
from mobileseg.data.io import read_bytes
from mobileseg.errors import DataError
from tests.data.conftest import Folder


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(autouse=True)
def few(monkeypatch) -> None:
    """A sample of four labels."""
    monkeypatch.setattr("mobileseg.semantic.doctor.SAMPLE", 4)


def test_preflight_stops_0_255_masks(folder) -> None:
    for index in range(8):
        label = np.zeros((24, 32), np.uint8)
        label[:5] = 255
        folder.add(str(index), label)
    name = folder.list("l.txt", list("01234567"))
    with pytest.raises(DataError, match="0 and 255 only") as caught:
        preflight(Dataset(str(folder.root), train_path=name, num_classes=2))
    assert "label_map: {0: 0, 255: 1}" in caught.value.remedy
    preflight(Dataset(str(folder.root), train_path=name, num_classes=2, label_map={255: 1}))
    folder.add("3", np.ones((24, 32), np.uint8))  # the sample has 0, 2, 5 and 7 alone
    preflight(Dataset(str(folder.root), train_path=name, num_classes=2))


def test_preflight_reads_few_labels(folder, monkeypatch) -> None:
    data = Dataset(str(folder.root), train_path=folder.fill("l.txt", 30), num_classes=3)
    read = []
    monkeypatch.setattr(
        "mobileseg.semantic.doctor.read_bytes", lambda path, what: read.append(path) or read_bytes(path, what)
    )
    preflight(data)
    assert len(read) == 4


def test_preflight_of_labels_that_are_fine_or_missing(folder) -> None:
    data = Dataset(str(folder.root), train_path=folder.fill("train.txt", 4), num_classes=3)
    preflight(data)
    (folder.root / "test.txt").write_text("train_0.png\n")
    preflight(Dataset(str(folder.root), mode="test", test_path="test.txt", num_classes=3))
    data.items[0].label.unlink()
    with pytest.raises(DataError, match="does not exist"):
        preflight(data)


def filled(folder, *values: int, classes: int) -> Dataset:
    """Labels of 24x32 of one value each."""
    for index, value in enumerate(values):
        folder.add(str(index), np.full((24, 32), value, np.uint8))
    name = folder.list("l.txt", [str(index) for index in range(len(values))])
    return Dataset(str(folder.root), train_path=name, num_classes=classes)


def test_preflight_stops_labels_that_count_from_one(folder) -> None:
    """Training says the same at the first label with the value, not to ignore the last class."""
    data = filled(folder, 1, 2, 3, classes=3)
    remedy = "the labels seem to count from 1: write 'label_map: {1: 0, 2: 1, 3: 2}'"
    with pytest.raises(DataError, match="outside the 3 classes") as caught:
        preflight(data)
    assert caught.value.remedy == remedy
    with pytest.raises(DataError) as caught:
        data[2]
    assert caught.value.remedy == remedy


def test_preflight_stops_labels_without_a_pixel_that_counts(folder) -> None:
    with pytest.raises(DataError, match="no pixel that counts"):
        preflight(filled(folder, *[255] * 9, classes=1))
    preflight(filled(folder, *[255] * 8, 0, classes=1))
    preflight(filled(folder, 255, 0, *[255] * 7, classes=1))  # the sample does not have the one that counts


def test_preflight_stops_palettes_in_another_order(folder) -> None:
    for name, palette in (("a", [0, 0, 0, 255, 0, 0, 0, 255, 0]), ("b", [0, 0, 0, 0, 255, 0, 255, 0, 0])):
        _, path = folder.add(name)
        label = Image.open(path)
        label.putpalette(palette)
        label.save(path)
    data = Dataset(str(folder.root), train_path=folder.list("l.txt", ["a", "b"]), num_classes=3)
    with pytest.raises(DataError, match="palettes differ in order"):
        preflight(data)
