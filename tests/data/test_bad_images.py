"""Damaged images are refused, sound ones stand upright; the table is that of the C++ program's tests."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.io import FileError, read_image

sys.path.append(str(Path(__file__).parents[2] / "deploy" / "lite" / "tests"))
from fixture_pictures import REFUSED, SIZE, pixels, write_pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("images")
    write_pictures(place)
    return place


@pytest.mark.parametrize("name", REFUSED)
def test_damaged_images_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(FileError) as caught:
        read_image(folder / name)
    assert name in str(caught.value)
    assert REFUSED[name] in str(caught.value)


def test_sound_images_are_read_and_stand_upright(folder: Path) -> None:
    turns = {1: 0, 3: 2, 6: 3, 8: 1}  # orientation -> quarter turns to the left
    sound = [path for path in folder.iterdir() if path.name not in REFUSED]
    assert len(sound) == 42
    for path in sound:
        turned = path.stem[-1] in "5678" and path.stem.startswith("turn")
        image = read_image(path)
        assert image.shape == (*(SIZE[::-1] if turned else SIZE), 3), path.name
        orientation = int(path.stem[-1]) if path.stem.startswith("turn") else 0
        if orientation in turns and path.suffix != ".jpg":
            assert np.array_equal(image, np.rot90(pixels(), turns[orientation])), path.name
