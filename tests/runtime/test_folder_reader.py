from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.io import read_image, write_png
from mobileseg.errors import DataError
from mobileseg.runtime.folder_reader import FolderReader


def shade(value: int, size: tuple[int, int] = (4, 6)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


def test_images_are_frames_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, value in (("b.png", 2), ("a.png", 1), ("c.PNG", 3), ("sub/d.png", 4)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_png(tmp_path / name, shade(value))
    (tmp_path / "notes.md").touch()
    (tmp_path / "folder.png").mkdir()
    with FolderReader(tmp_path, 10.0, read_image) as reader:
        found = [(int(frame[0, 0, 0]), round(reader.seconds, 6)) for frame in reader]
        reader.check_complete()
    assert found == [(1, 0.0), (2, 0.1), (3, 0.2)]


def test_a_frame_of_another_size_is_named(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", shade(1))
    write_png(tmp_path / "b.png", shade(2, (5, 6)))
    with (
        FolderReader(tmp_path, 25.0, read_image) as reader,
        pytest.raises(DataError, match=r"b\.png is 5x6 \(height x width\), the frames before it are 4x6"),
    ):
        list(reader)


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no image"):
        FolderReader(tmp_path, 25.0, read_image)
