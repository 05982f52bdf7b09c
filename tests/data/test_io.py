"""Decoding against Pillow."""

import contextlib
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from mobileseg.data.io import (
    IMAGE_SUFFIXES,
    ColourLabelError,
    DepthError,
    FileError,
    MissingFileError,
    SizeError,
    TruncatedFileError,
    orientation,
    read_ids,
    read_image,
    read_label,
    write_png,
)
from mobileseg.errors import DataError

pytestmark = pytest.mark.both


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_rotation_is_applied_once(tmp_path: Path, picture, turn: int, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"quality": 95} if suffix == "jpg" else {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(picture(24, 40)).save(path, exif=exif, **options)
    with Image.open(path) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB")).astype(int)
    image = read_image(path)
    assert image.shape == expected.shape == ((40, 24, 3) if turn > 4 else (24, 40, 3))
    assert np.abs(image - expected).max() <= (4 if suffix == "jpg" else 0)
    assert orientation(path.read_bytes()) == turn


def test_modes_of_images(tmp_path: Path, picture) -> None:
    image = picture(10, 14)
    for mode in ("RGB", "L", "RGBA", "P", "1", "LA"):
        path = tmp_path / f"{mode}.png"
        Image.fromarray(image).convert(mode).save(path)
        expected = np.asarray(Image.open(path).convert("RGB"))
        np.testing.assert_array_equal(read_image(path), expected, err_msg=mode)
    deep = np.arange(140, dtype=np.uint16).reshape(10, 14) * 400
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png")[..., 1], deep >> 8)
    Image.fromarray(image).save(tmp_path / "moving.gif")
    assert read_image(tmp_path / "moving.gif").shape == (10, 14, 3)
    Image.fromarray(image[:1, :1]).save(tmp_path / "one.png")
    np.testing.assert_array_equal(read_image(tmp_path / "one.png"), image[:1, :1])


def test_photograph_decodes_as_pillow_does(photos: Path) -> None:
    path = next((photos / "camvid/images/val").glob("*.jpg"))
    difference = read_image(path).astype(int) - np.asarray(Image.open(path).convert("RGB"))
    assert np.abs(difference).mean() < 0.5  # two JPEG libraries, same colours in the same order


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_truncated_files_are_refused(tmp_path: Path, picture, suffix: str, share: float) -> None:
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    Image.fromarray(picture(60, 80)).save(whole)
    data = whole.read_bytes()
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(FileError, match="cut") as caught:
        read_image(cut)
    assert caught.value.remedy
    assert read_image(whole).shape == (60, 80, 3)


def test_truncated_jpeg_with_a_complete_thumbnail(tmp_path: Path, picture) -> None:
    """The end marker of a thumbnail inside EXIF must not hide that the photograph has none."""
    thumbnail, photograph = io.BytesIO(), io.BytesIO()
    Image.fromarray(picture(16, 16)).save(thumbnail, "JPEG")
    Image.fromarray(picture(60, 80)).save(photograph, "JPEG")
    body = photograph.getvalue()
    segment = b"Exif\0\0" + thumbnail.getvalue()
    data = body[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + body[2:]
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    assert read_image(path).shape == (60, 80, 3)
    path.write_bytes(data[: len(data) - 400])
    with pytest.raises(TruncatedFileError):
        read_image(path)


def test_jpeg_with_zeros_or_a_trailer_behind_the_end_is_whole(tmp_path: Path, picture) -> None:
    buffer = io.BytesIO()
    Image.fromarray(picture(30, 30)).save(buffer, "JPEG")
    path = tmp_path / "photo.jpg"
    for trailer in (b"\0" * 5000, b"maker's notes" * 900):
        path.write_bytes(buffer.getvalue() + trailer)
        assert read_image(path).shape == (30, 30, 3)


def test_damaged_png_is_refused(tmp_path: Path, picture) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(picture(60, 80)).save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(FileError, match=r"photo\.png"):
        read_image(path)


@pytest.mark.parametrize("read", [read_image, read_label])
def test_missing_empty_and_foreign_files(tmp_path: Path, read) -> None:
    with pytest.raises(MissingFileError, match=r"no\.png") as caught:
        read(tmp_path / "no.png")
    assert "dataset_root" in str(caught.value)
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(TruncatedFileError, match=r"empty\.png"):
        read(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(FileError, match=r"text\.png"):
        read(tmp_path / "text.png")
    with pytest.raises(FileError):
        read(tmp_path)


def test_errors_survive_the_way_back_from_a_worker(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError) as caught:
        read_image(tmp_path / "no.png")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), copy.code, str(copy)) == (MissingFileError, "missing", str(caught.value))
    assert isinstance(copy, DataError)


def test_labels_keep_stored_indices(tmp_path: Path) -> None:
    label = np.random.default_rng(1).integers(0, 256, (9, 11), dtype=np.uint8)
    path = tmp_path / "label.png"
    palette = np.random.default_rng(2).integers(0, 256, (256, 3), dtype=np.uint8)
    for colours in (None, palette):
        write_png(path, label, colours)
        assert Image.open(path).mode == ("L" if colours is None else "P")
        np.testing.assert_array_equal(read_label(path), label)
    np.testing.assert_array_equal(read_image(path), palette[label])
    Image.fromarray(label.astype(np.uint16)).save(path)
    np.testing.assert_array_equal(read_label(path), label)
    Image.fromarray(label > 100).save(path)
    np.testing.assert_array_equal(read_label(path), (label > 100).astype(np.uint8))
    assert read_label(path).dtype == np.uint8


def test_colour_labels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "label.png"
    colours = np.zeros((6, 8, 3), np.uint8)
    colours[2:] = 128, 0, 64
    Image.fromarray(colours).save(path)
    with pytest.raises(ColourLabelError, match=r"label\.png.*RGB.*\(128, 0, 64\)"):
        read_label(path)
    Image.fromarray(np.repeat(np.eye(6, dtype=np.uint8)[..., None], 3, 2)).save(path)
    with pytest.raises(ColourLabelError, match="channels are equal"):
        read_label(path)


def test_deep_labels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "label.png"
    Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(path)
    with pytest.raises(DepthError, match="1000"):
        read_label(path)
    path = tmp_path / "label.tif"
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(path)
    with pytest.raises(DepthError, match="mode F"):
        read_label(path)


def test_truncated_label(tmp_path: Path) -> None:
    path = tmp_path / "label.png"
    write_png(path, np.random.default_rng(0).integers(0, 9, (64, 64), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(TruncatedFileError, match=r"label\.png"):
        read_label(path)


def test_write_png_to_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write"):
        write_png(tmp_path / "no" / "x.png", np.zeros((2, 2), np.uint8))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_images_of_32_bits_are_refused(tmp_path: Path, dtype: type) -> None:
    """OpenCV clips their values to 0..255: a height map in 0..1 would be black."""
    path = tmp_path / "deep.tif"
    Image.fromarray(np.linspace(0, 1000, 200).reshape(10, 20).astype(dtype)).save(path)
    with pytest.raises(DepthError, match="from 0 to 1000") as caught:
        read_image(path)
    assert "8 or 16 bits" in caught.value.remedy
    Image.fromarray(np.full((10, 20), 30000, np.uint16)).save(path)
    assert read_image(path)[0, 0].tolist() == [117, 117, 117]


def test_exif_of_an_image_beyond_the_limit_of_pillow(tmp_path: Path, picture, monkeypatch) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(24, 40)).save(path, exif=exif)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # 960 pixels are more than twice that
    assert read_image(path).shape == (40, 24, 3)
    assert orientation(path.read_bytes()) == 6


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp", "gif"])
def test_images_beyond_the_budget_are_refused(tmp_path: Path, picture, suffix: str, monkeypatch) -> None:
    path = tmp_path / f"large.{suffix}"
    Image.fromarray(picture(24, 40)).save(path)
    assert read_image(path).shape == (24, 40, 3)
    monkeypatch.setattr("mobileseg.limits.MAX_PIXELS", 959)
    with pytest.raises(SizeError, match="40x24 are 960 pixels, more than 959"):
        read_image(path)


def test_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero"), tmp_path):
        with pytest.raises(FileError, match="cannot be read"):
            read_image(path)
        with pytest.raises(FileError, match="cannot be read"):
            read_label(path)


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_suffix_that_is_looked_for_is_decoded(tmp_path: Path, picture, suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    image = Image.fromarray(picture(24, 40)).convert("L" if suffix == ".pgm" else "RGB")
    image.save(path, format={".jfif": "JPEG"}.get(suffix))
    assert read_image(path).shape == (24, 40, 3)


def test_formats_that_are_opened_within_the_limit_of_pillow(tmp_path: Path, picture, monkeypatch) -> None:
    Image.fromarray(picture(24, 40)).save(tmp_path / "image.bmp")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(SizeError, match="too large"):
        read_image(tmp_path / "image.bmp")


def test_ids_of_objects(tmp_path: Path) -> None:
    values = np.array([[0, 1001], [65_535, 2]], np.uint16)
    for name in ("ids.png", "ids.tif"):
        Image.fromarray(values).save(tmp_path / name)
        np.testing.assert_array_equal(read_ids(tmp_path / name), values)
        assert read_ids(tmp_path / name).dtype == np.int32
    Image.fromarray(values.astype(np.uint8)).save(tmp_path / "small.png")
    np.testing.assert_array_equal(read_ids(tmp_path / "small.png"), values.astype(np.uint8))


def test_ids_that_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "colour.png")
    with pytest.raises(ColourLabelError, match="3 channels"):
        read_ids(tmp_path / "colour.png")
    pages = [Image.fromarray(np.zeros((4, 4), np.uint16))] * 3
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ColourLabelError, match="3 pages"):
        read_ids(tmp_path / "pages.tif")
    Image.fromarray(np.full((4, 4), -1, np.int32)).save(tmp_path / "negative.tif")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    for name in ("negative.tif", "float.tif"):
        with pytest.raises(DepthError, match="expected whole numbers"):
            read_ids(tmp_path / name)
    whole = tmp_path / "whole.tif"
    Image.fromarray(np.zeros((64, 64), np.uint16)).save(whole)
    data = whole.read_bytes()
    for size in range(0, len(data), 97):
        (tmp_path / "cut.tif").write_bytes(data[:size])
        with pytest.raises(FileError):
            read_ids(tmp_path / "cut.tif")
    with pytest.raises(MissingFileError):
        read_ids(tmp_path / "none.tif")
    header = bytearray(data)
    for offset in range(8, len(header) - 4, 4):  # a directory full of nonsense must not take memory or crash
        broken = bytes(header[:offset]) + b"\xff\xff\xff\x7f" + bytes(header[offset + 4 :])
        (tmp_path / "broken.tif").write_bytes(broken)
        with contextlib.suppress(FileError):
            read_ids(tmp_path / "broken.tif")
