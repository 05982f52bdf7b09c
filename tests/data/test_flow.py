"""Flow files, against OpenCV's reader and writer; and what is said about broken ones."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobileseg.data.flow import read_flow, write_flow
from mobileseg.data.io import FileError, MissingFileError, SizeError, TruncatedFileError
from mobileseg.errors import DataError

FLOW = np.random.default_rng(0).normal(0, 9, (5, 7, 2)).astype(np.float32)


def test_the_same_bytes_as_opencv(tmp_path: Path) -> None:
    cv2.writeOpticalFlow(str(tmp_path / "cv.flo"), FLOW)
    write_flow(tmp_path / "ours.flo", FLOW)
    assert (tmp_path / "ours.flo").read_bytes() == (tmp_path / "cv.flo").read_bytes()
    np.testing.assert_array_equal(read_flow(tmp_path / "cv.flo"), FLOW)
    assert read_flow(tmp_path / "cv.flo").dtype == np.float32


def test_real_flow(photos: Path) -> None:
    path = photos / "flying_chairs/00001_flow.flo"
    np.testing.assert_array_equal(read_flow(path), cv2.readOpticalFlow(str(path)))


def header(width: int, height: int, tag: bytes = b"PIEH") -> bytes:
    return tag + struct.pack("<ii", width, height)


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"", TruncatedFileError, "is empty"),
        (b"PIEH\1\0", FileError, "no .flo file"),
        (header(2, 2, b"HEIP") + bytes(32), FileError, "begins with b'HEIP'"),
        (header(2, 2) + bytes(31), TruncatedFileError, "2x2 takes 44 bytes, the file has 43"),
        (header(2, 2) + bytes(40), FileError, "its size is not what it says"),
        (header(0, 2), SizeError, "no size of an image"),
        (header(-3, 2), SizeError, "no size of an image"),
        (header(2**31 - 1, 2**31 - 1) + bytes(9), SizeError, "more than"),
        (header(60_000, 60_000) + bytes(9), SizeError, "pixels, more than"),
        (header(1, 1) + struct.pack("<ff", 1.0, float("nan")), FileError, "no finite numbers"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, data: bytes, kind: type, message: str) -> None:
    path = tmp_path / "x.flo"
    path.write_bytes(data)
    with pytest.raises(kind, match=message):
        read_flow(path)


def test_no_file_and_no_flow(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_flow(tmp_path / "none.flo")
    for shape in ((5, 7), (5, 7, 3), (0, 7, 2)):
        with pytest.raises(DataError, match="expected \\[H, W, 2\\]"):
            write_flow(tmp_path / "x.flo", np.zeros(shape, np.float32))
    with pytest.raises(OSError):
        write_flow(tmp_path / "no" / "x.flo", FLOW)
