"""Encoded images, sound and damaged: one table for Python and C++."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (24, 40)
"""Height and width as stored; orientations from 5 on turn them."""

REFUSED = {
    "empty.png": "empty",
    "no_image.jpg": "",
    "text.png": "",
    "cut_behind_head.jpg": "truncated",
    "cut_in_pixels.jpg": "truncated",
    "cut_in_thumbnail.jpg": "truncated",
    "cut_at_end.jpg": "truncated",
    "cut_in_pixels.png": "truncated",
    "cut_before_end.png": "truncated",
    "cut.webp": "",
    "cut.bmp": "",
    "head_only.png": "truncated",
}
"""File -> a word of the message that both languages give; '' where the decoder finds the words."""


def pixels() -> np.ndarray:
    """uint8 [H, W, 3] with a bright corner at the top left, and noise."""
    image = np.random.default_rng(10).integers(0, 120, (*SIZE, 3), np.uint8)
    image[:8, :12] += 130
    return image


def _encoded(form: str, orientation: int = 0, **more: object) -> bytes:
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
        more["exif"] = exif.tobytes()
    stored = io.BytesIO()
    Image.fromarray(pixels()).save(stored, form, **more)
    return stored.getvalue()


def _with_thumbnail(jpeg: bytes) -> bytes:
    """An EXIF segment that holds a whole JPEG, with its own end marker, before the scan."""
    segment = b"Exif\0\0" + b"II*\0\x08\0\0\0\0\0" + jpeg
    return jpeg[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:]


def write_pictures(folder: Path) -> None:
    """Write all files: those of `REFUSED`, and sound ones in every orientation of every format that has them."""
    folder.mkdir(parents=True, exist_ok=True)
    jpeg, png = _encoded("JPEG", quality=95), _encoded("PNG")
    webp, bmp = _encoded("WEBP", quality=95), _encoded("BMP")
    thumb = _with_thumbnail(jpeg)
    files = {
        "empty.png": b"",
        "no_image.jpg": b"\xff\xd8\xff" + bytes(200) + b"\xff\xd9",
        "text.png": b"this is no image\n",
        "cut_behind_head.jpg": jpeg[:40],
        "cut_in_pixels.jpg": jpeg[: len(jpeg) * 2 // 3],
        "cut_in_thumbnail.jpg": thumb[: len(thumb) * 3 // 4],
        "cut_at_end.jpg": jpeg[:-2],
        "cut_in_pixels.png": png[: len(png) // 2],
        "cut_before_end.png": png[:-12],
        "cut.webp": webp[: len(webp) // 2],
        "cut.bmp": bmp[:30],
        "head_only.png": png[:33],
        "plain.jpg": jpeg,
        "thumbnail.jpg": thumb,
        "progressive.jpg": _encoded("JPEG", progressive=True),
        "plain.png": png,
        "plain.webp": webp,
        "plain.bmp": bmp,
    }
    grey = Image.fromarray(pixels()[..., 0])
    for name, image in (
        ("grey.png", grey),
        ("bits.png", grey.convert("1")),
        ("palette.png", Image.fromarray(pixels()).quantize(32)),
        ("alpha.png", Image.fromarray(pixels()).convert("RGBA")),
    ):
        stored = io.BytesIO()
        image.save(stored, "PNG")
        files[name] = stored.getvalue()
    for turn in range(1, 9):
        for form, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")):
            lossless = {"lossless": True} if form == "WEBP" else {}
            files[f"turn{turn}.{suffix}"] = _encoded(form, turn, **lossless)
    for name, data in files.items():
        (folder / name).write_bytes(data)
