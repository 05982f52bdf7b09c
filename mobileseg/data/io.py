"""Reading and writing pictures and index masks, and the one resize rule of the suite.

Resizing images is bilinear with half-pixel centres, in float32 on 0..255, never rounded back to 8 bits
(:func:`mobileseg.resize.resize` computes exactly that, on every machine). Labels are resized with nearest neighbour
under the same half-pixel geometry.
"""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mobileseg.errors import DataError
from mobileseg.files import write_whole
from mobileseg.resize import resize
from mobileseg.semantic.postprocess import nearest_indices


class FileError(DataError):
    """A file that cannot be decoded; ``code`` says why, for reports."""

    code = "unreadable"


class MissingFileError(FileError):
    """There is no such file."""

    code = "missing"


class TruncatedFileError(FileError):
    """The file ends before the picture does."""

    code = "truncated"


class ColourLabelError(FileError):
    """A label with colours in place of class indices."""

    code = "colour"


class LabelDepthError(FileError):
    """A label with values that are no 8-bit indices."""

    code = "depth"


_EXIF_ORIENTATION = 0x0112
_JPEG_START = b"\xff\xd8"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_TIFF_STARTS = (b"II*\0", b"MM\0*")
_REDOWNLOAD = "copy or download the file again, or take its line out of the list"


def read_image(path: str | Path) -> np.ndarray:
    """Decode a picture as it is meant to be seen.

    EXIF rotation is applied once, greyscale becomes three equal channels, an alpha channel is dropped
    and 16-bit files are scaled to 8 bits.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        FileError: the file is missing, empty, no picture, or ends before the picture does.
    """
    return decode_image(read_bytes(path, "image"), path)


def decode_image(data: bytes, path: str | Path) -> np.ndarray:
    """Like :func:`read_image` for a file that is in memory; ``path`` is for messages only."""
    _check_complete(data, path, "image")
    buffer = np.frombuffer(data, np.uint8)
    try:
        image = cv2.imdecode(buffer, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        image = None
    if image is None:  # formats that OpenCV was built without, for example GIF
        return _decode_with_pillow(data, path)
    turn = 1 if data.startswith(_TIFF_STARTS) else orientation(data)  # OpenCV turns TIFF whatever the flag says
    return _orient(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), turn)


def read_label(path: str | Path) -> np.ndarray:
    """Decode an index mask: greyscale, 1-bit, palette (its indices, not its colours) or 16-bit up to 255.

    Returns:
        uint8 [H, W], the stored values.

    Raises:
        FileError: missing, truncated, a colour picture, or values that do not fit 8 bits.
    """
    return decode_label(read_bytes(path, "label"), path)


def decode_label(data: bytes, path: str | Path) -> np.ndarray:
    """Like :func:`read_label` for a file that is in memory; ``path`` is for messages only."""
    _check_complete(data, path, "label")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            mode = picture.mode
            values = np.asarray(picture)
    except Exception as error:  # Pillow's decoders let through whatever damaged bytes lead to
        raise FileError(f"the label {path} cannot be decoded: {error}", remedy=_REDOWNLOAD) from error
    if values.ndim != 2:
        raise ColourLabelError(
            f"the label {path} is a colour picture (mode {mode}, {values.shape[2]} channels); "
            "expected one class index per pixel (greyscale or palette PNG)" + _colours(values),
            remedy="write class indices as an 8-bit single-channel PNG; 'mobileseg doctor data CONFIG' lists the files",
        )
    if values.dtype in (np.uint8, np.bool_):
        return np.array(values, dtype=np.uint8)
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise LabelDepthError(
            f"the label {path} has values from {values.min()} to {values.max()} (mode {mode}); expected 0..255",
            remedy="write class indices as an 8-bit single-channel PNG, 255 for pixels to ignore",
        )
    return values.astype(np.uint8)


def write_png(path: str | Path, pixels: np.ndarray, palette: np.ndarray | None = None) -> None:
    """Write uint8 [H, W] (greyscale, or palette PNG with ``palette`` uint8 [K, 3]) or uint8 [H, W, 3] RGB.

    Raises:
        DataError: the folder cannot be written to.
    """
    picture = Image.fromarray(pixels)
    if palette is not None:
        picture = Image.fromarray(pixels, mode="P")
        picture.putpalette(palette.astype(np.uint8).tobytes())
    stored = io.BytesIO()
    picture.save(stored, format="PNG")
    try:
        write_whole(path, stored.getvalue())
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror or error}", remedy="check the folder and disk space"
        ) from error


def resize_bilinear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize float32 [H, W] or [H, W, C] to ``size`` = (height, width), bilinear, half-pixel centres, float32."""
    image = np.asarray(image, dtype=np.float32)
    if image.shape[:2] == tuple(size):
        return image
    resized = resize(image, size)
    return resized if resized.ndim == image.ndim else resized[..., None]


def resize_nearest_label(label: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize uint8 [H, W] to ``size`` = (height, width): the pixel under the centre of each new pixel."""
    height, width = label.shape
    if (height, width) == tuple(size):
        return label
    return label.take(nearest_indices(size[0], height), axis=0).take(nearest_indices(size[1], width), axis=1)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Round float32 [H, W, C] 0..255 to the nearest uint8, values outside clipped."""
    return cv2.add(image, 0.0, dtype=cv2.CV_8U)  # rounds and clips in one pass


def orientation(data: bytes) -> int:
    """EXIF orientation (1..8; 1 = as stored) of an encoded picture."""
    # Pillow decodes a whole PNG to look for EXIF at its end; almost no PNG has any.
    if data.startswith(_PNG_START) and b"eXIf" not in data:
        return 1
    try:
        with Image.open(io.BytesIO(data)) as picture:
            value = picture.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:
        return 1  # broken EXIF does not make the pixels unreadable
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _orient(image: np.ndarray, turn: int) -> np.ndarray:
    if turn in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
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
        data = Path(path).read_bytes()
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
    elif data.startswith(_PNG_START):
        complete = b"IEND" in data[-4096:]
    else:
        complete = True
    if not complete:
        raise TruncatedFileError(
            f"the {what} {path} is truncated (the file ends before the picture does)", remedy=_REDOWNLOAD
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


def _decode_with_pillow(data: bytes, path: str | Path) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    except UnidentifiedImageError as error:
        raise FileError(
            f"{path} is not a picture that can be decoded (it begins with {data[:8]!r})",
            remedy="convert it to JPEG or PNG, or take its line out of the list",
        ) from error
    except Exception as error:
        raise FileError(f"the image {path} cannot be decoded: {error}", remedy=_REDOWNLOAD) from error


def _colours(values: np.ndarray) -> str:
    channels = values[..., :3]
    if (channels == channels[..., :1]).all():
        return "; its channels are equal, so converting it to one channel (Pillow: convert('L')) is enough"
    colours, counts = np.unique(channels.reshape(-1, channels.shape[2]), axis=0, return_counts=True)
    common = [tuple(int(value) for value in colours[index]) for index in np.argsort(-counts)[:4]]
    return f"; its most frequent colours: {', '.join(map(str, common))}"
