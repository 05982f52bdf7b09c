"""Checksums, claims and palettes of PNG files; files are written by hand or by Pillow."""

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.data import png
from mobileseg.data.io import ColourLabelError, FileError, SizeError, TruncatedFileError, read_image, read_label

pytestmark = pytest.mark.both

LABEL = np.random.default_rng(4).integers(0, 5, (40, 50), dtype=np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def written(width: int, height: int, depth: int, colour: int, rows: bytes, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return png.SIGNATURE + head + b"".join(more) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def encoded(pixels: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **options)
    return stream.getvalue()


def packed(values: np.ndarray, depth: int) -> bytes:
    """Rows of a PNG of that depth, each with the filter 'none' in front."""
    bits = (values[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    rows = np.packbits(bits.reshape(len(values), -1).astype(np.uint8), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in rows)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("colour", [png.GREY, png.PALETTE])
def test_labels_of_few_bits_keep_their_values(tmp_path: Path, depth: int, colour: int) -> None:
    """Pillow spreads grey of 2 and 4 bits over 0..255: class 3 of 4 bits would be 51."""
    values = np.random.default_rng(depth).integers(0, min(1 << depth, 200), (9, 13))
    palette = [chunk(b"PLTE", b"\1\2\3" * (1 << depth))] if colour == png.PALETTE else []
    path = tmp_path / "label.png"
    path.write_bytes(written(13, 9, depth, colour, packed(values, depth), *palette))
    np.testing.assert_array_equal(read_label(path), values)


def test_a_flipped_bit_is_never_read_as_truth(tmp_path: Path) -> None:
    """Whatever bit it is: the label is refused, or it is what it was."""
    data = encoded(LABEL)
    rng = np.random.default_rng(8)
    refused = 0
    for position in rng.integers(0, 8 * len(data), 400):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << (position % 8)
        path = tmp_path / "label.png"
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read_label(path), LABEL)
        except FileError:
            refused += 1
    assert refused == 400  # every byte of such a file belongs to the signature, to a length, or to a checksum


def test_a_damaged_comment_does_not_spoil_an_image(tmp_path: Path, picture) -> None:
    image = picture(20, 30)
    data = encoded(image)
    broken = chunk(b"tEXt", b"a\0b")[:-1] + b"x"
    path = tmp_path / "image.png"
    path.write_bytes(data[:33] + broken + data[33:])
    np.testing.assert_array_equal(read_image(path), image)
    path.write_bytes(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    with pytest.raises(FileError, match="the checksum of its chunk b'IDAT' is wrong"):
        read_image(path)


def test_bytes_behind_the_end_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "label.png"
    path.write_bytes(encoded(LABEL) + b"\0" * 100_000)
    np.testing.assert_array_equal(read_label(path), LABEL)
    assert read_image(path).shape == (40, 50, 3)


@pytest.mark.parametrize("size", [(16_700_000, 9), (9, 16_700_000), (2**31 - 1, 2**31 - 1), (16385, 16384), (0, 4)])
def test_claims_are_looked_at_before_anything_is_allocated(tmp_path: Path, size: tuple[int, int]) -> None:
    """A file of 253 bytes, grey with alpha, was decoded for minutes."""
    path = tmp_path / "label.png"
    path.write_bytes(written(*size, 8, 4, b"\0" * 20_000))
    start = time.process_time()
    for read in (read_label, read_image):
        with pytest.raises((SizeError, TruncatedFileError, FileError)):
            read(path)
    assert time.process_time() - start < 1.0


def test_a_claim_that_deflate_cannot_keep_is_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "label.png"
    path.write_bytes(written(16000, 16000, 8, 0, b"\0" * 1000))
    with pytest.raises(TruncatedFileError):
        read_label(path)
    flat = np.zeros((3000, 3000), np.uint8)  # the strongest compression that there is
    path.write_bytes(encoded(flat, compress_level=9))
    np.testing.assert_array_equal(read_label(path), flat)


@pytest.mark.parametrize("mode", ["LA", "RGB", "RGBA"])
def test_large_colour_labels_are_refused_in_time(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "label.png"
    Image.new(mode, (4000, 3000)).save(path, compress_level=1)
    start = time.process_time()
    with pytest.raises(ColourLabelError):
        read_label(path)
    assert time.process_time() - start < 3.0


def test_palettes() -> None:
    image = Image.fromarray(LABEL, mode="P")
    image.putpalette([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 1, 1, 1])
    stream = io.BytesIO()
    image.save(stream, "PNG")
    assert png.palette(stream.getvalue())[:2].tolist() == [[9, 8, 7], [6, 5, 4]]
    assert png.palette(encoded(LABEL)) is None
    assert png.palette(b"\xff\xd8\xff") is None
    assert png.header(b"short") is None


@pytest.mark.parametrize("length", range(0, 60, 7))
def test_cut_files_are_truncated(length: int) -> None:
    assert png.fault(encoded(LABEL)[:length], every_chunk=True) in ("truncated", "its header is damaged")
