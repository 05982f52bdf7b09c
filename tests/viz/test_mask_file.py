import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mobileseg.data.io import read_label
from mobileseg.errors import DataError
from mobileseg.viz.mask_file import write_mask

PALETTE = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)


def test_a_mask_holds_numbers_for_readers_and_colours_for_viewers(tmp_path: Path) -> None:
    numbers = np.array([[0, 1, 2], [2, 255, 0]], np.uint8)
    write_mask(tmp_path / "mask.png", numbers, PALETTE)
    np.testing.assert_array_equal(read_label(tmp_path / "mask.png"), numbers)
    with Image.open(tmp_path / "mask.png") as image:
        assert image.mode == "P"
        shown = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(shown[0], PALETTE)
    assert shown[1, 1].tolist() == [255, 255, 255]


def test_numbers_above_255_are_stored_in_16_bits(tmp_path: Path) -> None:
    numbers = np.arange(300, dtype=np.uint16).reshape(15, 20)
    write_mask(tmp_path / "mask.png", numbers, PALETTE)
    stored = cv2.imread(os.fspath(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, numbers)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, dtype: type) -> None:
    with pytest.raises(DataError, match=r"cannot write .*nowhere"):
        write_mask(tmp_path / "nowhere" / "mask.png", np.zeros((2, 2), dtype), PALETTE)
