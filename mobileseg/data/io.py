"""Reading and writing images and index masks."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from mobileseg.data import png
from mobileseg.errors import DataError
from mobileseg.limits import MAX_IMAGE_BYTES, read_regular, size_fault
from mobileseg.viz.mask_file import save_png


class FileError(DataError):
    """A file that cannot be decoded; ``code`` says why, for reports."""

    code = "unreadable"


class MissingFileError(FileError):
    """There is no such file."""

    code = "missing"


class TruncatedFileError(FileError):
    """The file ends before the image does."""

    code = "truncated"


class DepthError(FileError):
    """An image with values of a range that is not known, or a label with values that are no 8-bit indices."""

    code = "depth"


class ChannelsError(FileError):
    """An image with other channels than the dataset has."""

    code = "channels"


class SizeError(FileError):
    """The file claims a size that is not taken."""

    code = "size"


class ColourLabelError(FileError):
    """A label with colours in place of class indices."""

    code = "colour"


IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".gif"})
"""Of files that :func:`read_image` decodes, in lower case."""

_EXIF_ORIENTATION = 0x0112
_JPEG_START = b"\xff\xd8"
_TIFF_STARTS = (b"II*\0", b"MM\0*")
_WEBP_STARTS = (b"RIFF", b"WEBP")
_MOST_COLOURS = 1 << 20  # pixels of a label that are looked at for the colours a message names
_MOST_IDS = 65_535  # what 16 bits hold
_REDOWNLOAD = "copy or download the file again, or take its line out of the list"


def read_image(path: str | Path) -> np.ndarray:
    """Decode an image as it is meant to be seen.

    EXIF rotation is applied once, greyscale becomes three equal channels, an alpha channel is dropped
    and 16-bit files are scaled to 8 bits. Values of 32 bits have no known range and are refused.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        FileError: the file is missing, empty, no image, damaged, larger than :mod:`mobileseg.limits` allows, has
            values of 32 bits, or ends before the image does.
    """
    return decode_image(read_bytes(path, "image"), path)


def decode_image(data: bytes, path: str | Path) -> np.ndarray:
    """Like :func:`read_image` for a file that is in memory; ``path`` is for messages only."""
    _check_complete(data, path, "image")
    head = png.header(data) if data.startswith(png.SIGNATURE) else None
    if head is None:
        _opened(data, path, "image").close()  # for its size
    else:  # Pillow refuses a PNG for a damaged comment, too
        _check_size(head.height, head.width, path, "image")
    buffer = np.frombuffer(data, np.uint8)
    tiff = data.startswith(_TIFF_STARTS)
    try:
        if tiff:
            _check_depth(cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED), path)
        image = cv2.imdecode(buffer, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        image = None
    if image is None:  # formats that OpenCV was built without, for example GIF
        return _decode_with_pillow(_opened(data, path, "image"), path)
    turn = 1 if tiff else orientation(data)  # OpenCV turns TIFF whatever the flag says
    return _orient(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), turn)


def decode_unchanged(data: bytes, path: str | Path, *, alpha: bool = False) -> np.ndarray:
    """The values of an image file as they are stored, turned as EXIF says.

    Args:
        data: of the file.
        path: for messages.
        alpha: grey with alpha is wanted, which OpenCV does not tell from colours with alpha.

    Returns:
        uint8 or uint16, [H, W], or [H, W, C]: three channels are BGR, four BGRA, two grey and alpha.

    Raises:
        FileError: as :func:`read_image`.
    """
    _check_complete(data, path, "image")
    with _opened(data, path, "image") as pil:
        mode = pil.mode
        if alpha and mode == "LA":
            return _orient(np.asarray(pil), orientation(data))
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        values = None
    if values is None:
        raise FileError(f"the image {path} (mode {mode}) cannot be decoded", remedy="store it as PNG or TIFF")
    _check_depth(values, path)
    tiff = data.startswith(_TIFF_STARTS)
    return values if tiff else _orient(values, orientation(data))


def read_label(path: str | Path) -> np.ndarray:
    """Decode an index mask: greyscale, 1-bit, palette (its indices, not its colours) or 16-bit up to 255.

    Returns:
        uint8 [H, W], the stored values.

    Raises:
        FileError: missing, truncated, a colour image, or values that do not fit 8 bits.
    """
    return decode_label(read_bytes(path, "label"), path)


def decode_label(data: bytes, path: str | Path) -> np.ndarray:
    """Like :func:`read_label` for a file that is in memory; ``path`` is for messages only."""
    _check_complete(data, path, "label")
    with _opened(data, path, "label") as pil:
        mode = pil.mode
        try:
            values = np.asarray(pil)
        except Exception as error:  # Pillow's decoders let through whatever damaged bytes lead to
            raise FileError(f"the label {path} cannot be decoded: {error}", remedy=_REDOWNLOAD) from error
    head = png.header(data) if data.startswith(png.SIGNATURE) else None
    if head is not None and head.colour == png.GREY and head.depth in (2, 4):
        values = values // (255 // ((1 << head.depth) - 1))  # Pillow spreads 2 and 4 bits of grey over 0..255
    if values.ndim != 2:
        raise ColourLabelError(
            f"the label {path} is a colour image (mode {mode}, {values.shape[2]} channels); "
            "expected one class index per pixel (greyscale or palette PNG)" + _colours(values),
            remedy="write class indices as an 8-bit single-channel PNG; 'mobileseg doctor data CONFIG' lists the files",
        )
    if values.dtype in (np.uint8, np.bool_):
        return np.array(values, dtype=np.uint8)
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise DepthError(
            f"the label {path} has values from {values.min()} to {values.max()} (mode {mode}); expected 0..255",
            remedy="write class indices as an 8-bit single-channel PNG, 255 for pixels to ignore",
        )
    return values.astype(np.uint8)


def read_ids(path: str | Path) -> np.ndarray:
    """Decode a map of object numbers: PNG or TIFF of one channel with 8 or 16 bits, not negative.

    Returns:
        int32 [H, W], the stored values (of a palette image, its indices).

    Raises:
        FileError: missing, truncated, a colour image, several pages, or values of another kind.
    """
    data = read_bytes(path, "label")
    _check_complete(data, path, "label")
    with _opened(data, path, "label") as pil:
        mode = pil.mode
        try:
            pages = getattr(pil, "n_frames", 1)
            values = np.asarray(pil)
        except Exception as error:  # Pillow's decoders let through whatever damaged bytes lead to
            raise FileError(f"the label {path} cannot be decoded: {error}", remedy=_REDOWNLOAD) from error
    if pages != 1 or values.ndim != 2:
        seen = f"{pages} pages" if pages != 1 else f"{values.shape[-1]} channels"
        raise ColourLabelError(
            f"the label {path} has {seen} (mode {mode}); expected one number of an object per pixel",
            remedy="write one 8-bit or 16-bit image of one channel per frame",
        )
    if values.dtype.kind not in "iub" or values.min() < 0 or values.max() > _MOST_IDS:
        raise DepthError(
            f"the label {path} has values from {values.min():g} to {values.max():g} of type {values.dtype}; expected "
            f"whole numbers of 0..{_MOST_IDS}",
            remedy="write numbers of objects as 8-bit or 16-bit image",
        )
    return values.astype(np.int32)


def label_colours(data: bytes, values: np.ndarray) -> dict[int, tuple[int, int, int]]:
    """The colour of every given value in the palette of an encoded label; {} for a label without a palette."""
    palette = png.palette(data)
    if palette is None:
        return {}
    return {
        int(value): (int(r), int(g), int(b)) for value in values if value < len(palette) for r, g, b in [palette[value]]
    }


def write_png(path: str | Path, pixels: np.ndarray, palette: np.ndarray | None = None) -> None:
    """Write uint8 [H, W] (greyscale, or palette PNG with ``palette`` uint8 [K, 3]) or uint8 [H, W, 3] RGB.

    Raises:
        DataError: the folder cannot be written to.
    """
    pil = Image.fromarray(pixels)
    if palette is not None:
        pil = Image.fromarray(pixels, mode="P")
        pil.putpalette(palette.astype(np.uint8).tobytes())
    save_png(path, pil)


def orientation(data: bytes) -> int:
    """EXIF orientation (1..8; 1 = as stored) of an encoded image."""
    # Pillow decodes a whole PNG to look for EXIF at its end; almost no PNG has any.
    if data.startswith(png.SIGNATURE) and b"eXIf" not in data:
        return 1
    try:
        with _pillow(data) as pil:
            value = pil.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:
        return 1  # broken EXIF does not make the pixels unreadable
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _pillow(data: bytes) -> Any:
    """An encoded image as Pillow sees it, not yet decoded; without Pillow's limit of pixels, ours takes its place.

    Pillow refuses the EXIF of a photograph of 200 million pixels like everything else of it.
    """
    stream = io.BytesIO(data)
    if data.startswith(_JPEG_START):
        return JpegImagePlugin.JpegImageFile(stream)
    if data.startswith(png.SIGNATURE):
        return PngImagePlugin.PngImageFile(stream)
    if data.startswith(_TIFF_STARTS):
        return TiffImagePlugin.TiffImageFile(stream)
    if (data[:4], data[8:12]) == _WEBP_STARTS:
        return WebPImagePlugin.WebPImageFile(stream)
    return Image.open(stream)


def _opened(data: bytes, path: str | Path, what: str) -> Any:
    """:func:`_pillow` of an image whose size is taken.

    Raises:
        FileError: no image, or too large.
    """
    try:
        pil = _pillow(data)
    except Image.DecompressionBombError as error:  # of formats that are opened within Pillow's own limit
        raise SizeError(
            f"the {what} {path} is too large: {error}", remedy="cut it into tiles, or store it as PNG"
        ) from error
    except Exception as error:  # Pillow's readers let through whatever damaged bytes lead to
        raise FileError(
            f"the {what} {path} is not an image that can be decoded (it begins with {data[:8]!r})",
            remedy="convert it to JPEG or PNG, or take its line out of the list",
        ) from error
    _check_size(pil.height, pil.width, path, what)
    return pil


def _check_size(height: int, width: int, path: str | Path, what: str) -> None:
    fault = size_fault(height, width)
    if fault:
        raise SizeError(f"the {what} {path} is too large: {fault}", remedy="cut it into tiles, or take it out")


def _check_depth(decoded: np.ndarray | None, path: str | Path) -> None:
    if decoded is not None and decoded.dtype not in (np.uint8, np.uint16):
        raise DepthError(
            f"the image {path} has values of type {decoded.dtype}, from {decoded.min():g} to {decoded.max():g}; which "
            "of them is black and which is white is not known",
            remedy="scale it to 8 or 16 bits and store it as PNG",
        )


def _orient(image: np.ndarray, turn: int) -> np.ndarray:
    if turn in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if turn in (2, 3, 6, 7):
        image = image[:, ::-1]
    if turn in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def read_bytes(path: str | Path, what: str) -> bytes:
    """The bytes of a file; ``what`` ('image', 'label') is for messages.

    Raises:
        FileError: the file is missing, empty or unreadable.
    """
    try:
        data = read_regular(path, MAX_IMAGE_BYTES)
    except FileNotFoundError as error:
        raise MissingFileError(
            f"the {what} {path} does not exist",
            remedy="check dataset_root and the list file; paths in the list are relative to dataset_root",
        ) from error
    except OSError as error:
        raise FileError(f"the {what} {path} cannot be read: {error.strerror}", remedy="check the file") from error
    if not data:
        raise TruncatedFileError(f"the {what} {path} is empty (0 bytes)", remedy=_REDOWNLOAD)
    return data


def _check_complete(data: bytes, path: str | Path, what: str) -> None:
    """Refuse files that end early: OpenCV would fill the rest of a JPEG with grey and say nothing."""
    if data.startswith(_JPEG_START):
        complete = data.find(b"\xff\xd9", _start_of_scan(data)) >= 0
    elif data.startswith(png.SIGNATURE):
        fault = png.fault(data, every_chunk=what == "label")
        if fault not in ("", "truncated"):
            raise FileError(f"the {what} {path} cannot be trusted: {fault}", remedy=_REDOWNLOAD)
        complete = not fault
    else:
        complete = True
    if not complete:
        raise TruncatedFileError(
            f"the {what} {path} is truncated (the file ends before the image does)", remedy=_REDOWNLOAD
        )


def _start_of_scan(data: bytes) -> int:
    """Offset behind the JPEG headers; a thumbnail inside EXIF has an end marker of its own."""
    offset = 2
    while offset + 4 <= len(data) and data[offset] == 0xFF:
        marker = data[offset + 1]
        if marker == 0xFF:  # fill byte
            offset += 1
            continue
        offset += 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
        if marker == 0xDA:
            break
    return offset


def _decode_with_pillow(pil: Any, path: str | Path) -> np.ndarray:
    try:
        if pil.mode in ("F", "I"):
            _check_depth(np.asarray(pil), path)
        return np.array(ImageOps.exif_transpose(pil).convert("RGB"))
    except FileError:
        raise
    except Exception as error:
        raise FileError(f"the image {path} cannot be decoded: {error}", remedy=_REDOWNLOAD) from error


def _colours(values: np.ndarray) -> str:
    channels = values[:: max(1, values.shape[0] * values.shape[1] // _MOST_COLOURS), :, :3]
    if (channels == channels[..., :1]).all():
        return "; its channels are equal, so converting it to one channel (Pillow: convert('L')) is enough"
    colours, counts = np.unique(channels.reshape(-1, channels.shape[2]), axis=0, return_counts=True)
    common = [tuple(int(value) for value in colours[index]) for index in np.argsort(-counts)[:4]]
    return f"; its most frequent colours: {', '.join(map(str, common))}"
