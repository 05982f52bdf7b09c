from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mobileseg.compress.precision.images import choose_images, coverage, read_chosen
from mobileseg.data.io import write_png
from mobileseg.data.items import Item
from mobileseg.data.pixel_format import PHOTOGRAPH
from mobileseg.data.sample import Sample
from mobileseg.errors import CompressionError, DataError


class Labels:
    """Image i shows the classes of `shown[i]`."""

    task, num_classes, classes, pixels = "semantic", 3, ("a", "b", "c"), PHOTOGRAPH

    def __init__(self, shown):
        self.shown = shown

    def __len__(self):
        return len(self.shown)

    def load(self, index):
        label = np.resize(np.array([*self.shown[index], 255], np.uint8), (4, 4))
        return Sample(np.zeros((4, 4, 3), np.float32), label, {})


def test_rare_classes_come_first_and_all_are_shown():
    dataset = Labels([[0]] * 17 + [[0, 1]] + [[0]] + [[2]])
    assert set(choose_images(dataset, 5)[:2]) == {17, 19}
    chosen = choose_images(dataset, 5)
    assert len(set(chosen)) == 5
    assert coverage(dataset, [17, 19, 0]) == {"a": 2, "b": 1, "c": 1}


def test_a_small_dataset_gives_all_it_has():
    assert Counter(choose_images(Labels([[0], [1], [2]]), 50)) == Counter([0, 1, 2])


def test_no_images_are_refused():
    with pytest.raises(CompressionError, match="0 images"):
        choose_images(Labels([[0]]), 0)


def test_objects_count_as_classes():
    class Objects(Labels):
        task = "instance"

        def objects(self, index):
            return type("Found", (), {"classes": np.array(self.shown[index])})

    assert choose_images(Objects([[0, 0], [0, 0], [], [1]]), 2) in ([0, 3], [3, 0])


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    write_png(tmp_path / "good.png", np.zeros((4, 5, 3), np.uint8))
    (tmp_path / "bad.png").write_bytes(b"not an image")
    dataset = Labels([[0], [0]])
    dataset.items = [Item(tmp_path / "good.png", None), Item(tmp_path / "bad.png", None)]
    assert read_chosen(dataset, [0])[0].shape == (4, 5, 3)
    with pytest.raises(DataError, match=r"an image to calibrate with cannot be used: .*bad\.png"):
        read_chosen(dataset, [0, 1])
    dataset.items[1] = Item(Path(tmp_path / "absent.png"), None)
    with pytest.raises(DataError, match=r"absent\.png"):
        read_chosen(dataset, [1])
