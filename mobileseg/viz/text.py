"""Names drawn on images, in any script that a font here has (Pillow).

DejaVu Sans, which Matplotlib ships, has Latin, Greek, Cyrillic and more. Chinese, Japanese and Korean names need a font
of the system; where there is none that has a character, a question mark is drawn, and said once.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import ImageFont

logger = logging.getLogger(__name__)

_CAPITALS = 0.729
"""Height of DejaVu's capitals in parts of the font's size."""

SYSTEM_FONTS = (
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSansSC-Regular.otf", "SourceHanSansSC-Regular.otf"),
    *("wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf", "uming.ttc"),
    *("PingFang.ttc", "STHeiti Light.ttc", "AppleSDGothicNeo.ttc", "msyh.ttc", "simsun.ttc", "malgun.ttf"),
    *("msgothic.ttc", "Arial Unicode.ttf", "unifont.otf", "unifont.ttf", "LiberationSans-Regular.ttf"),
)
"""Fonts that have other scripts, as their packages name the files; those that are installed are tried in this order."""

_NOWHERE = "\U0010ffff"
"""A character that no font has: how a font draws one that it lacks."""


def text_size(text: str, cap: int) -> tuple[int, int]:
    """Width in pixels, and pixels below the base line, of a line of text whose capitals are ``cap`` pixels high."""
    shown, font = _shown(text, cap)
    return round(font.getlength(shown)), font.getmetrics()[1]


def draw_text(image: np.ndarray, text: str, origin: tuple[int, int], cap: int, ink: tuple[int, ...]) -> None:
    """Write a line of text into uint8 [H, W, 3]; what lies outside of the image is left out.

    Args:
        image: changed in place.
        text: any characters; those that no font has, and control characters, become question marks.
        origin: x of the beginning, y of the base line.
        cap: height of capitals in pixels.
        ink: colour in the order of the image's channels.
    """
    shown, font = _shown(text, cap)
    mask, (left, top) = font.getmask2(shown, mode="L", anchor="ls")
    cover = np.asarray(mask, np.uint8).reshape(mask.size[::-1])
    x, y = origin[0] + left, origin[1] + top
    cut = cover[max(0, -y) : max(0, image.shape[0] - y), max(0, -x) : max(0, image.shape[1] - x), None].astype(
        np.float32
    )
    if cut.size == 0:
        return
    x, y = max(0, x), max(0, y)
    under = image[y : y + cut.shape[0], x : x + cut.shape[1]]
    share = cut / 255.0
    under[...] = np.rint(under * (1.0 - share) + np.asarray(ink, np.float32) * share)


def _shown(text: str, cap: int) -> tuple[str, ImageFont.FreeTypeFont]:
    """The text as it can be drawn, and the font to draw it with."""
    place, shown = _choice(text)
    return shown, _font(place, max(1, round(cap / _CAPITALS)))


@lru_cache(maxsize=4096)
def _choice(text: str) -> tuple[str, str]:
    """The first font that has all characters of a text, else the first, with question marks for those that it lacks."""
    text = "".join(character if character.isprintable() else "?" for character in text)
    places = _fonts()
    for place in places:
        if all(_has(place, character) for character in set(text)):
            return place, text
    logger.warning(
        "no font here has all characters of '%s', so question marks are drawn; Debian's fonts-noto-cjk may have them",
        text,
    )
    return places[0], "".join(character if _has(places[0], character) else "?" for character in text)


@lru_cache(maxsize=1)
def _fonts() -> tuple[str, ...]:
    """Files of the fonts that are here, DejaVu Sans of Matplotlib first."""
    found = []
    spec = find_spec("matplotlib")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf")
        if path.is_file():
            found.append(str(path))
    for name in SYSTEM_FONTS:
        try:
            found.append(str(ImageFont.truetype(name, 10).path))  # looks in the system's folders
        except OSError:
            continue
    return tuple(found) or ("",)


@lru_cache(maxsize=64)
def _font(place: str, size: int) -> ImageFont.FreeTypeFont:
    if not place:  # neither Matplotlib nor a font of the system: the one inside of Pillow has Latin
        return ImageFont.load_default(size)  # type: ignore[return-value]
    return ImageFont.truetype(place, size)


@lru_cache(maxsize=65536)
def _has(place: str, character: str) -> bool:
    font = _font(place, 32)
    missing, drawn = font.getmask(_NOWHERE), font.getmask(character)
    return drawn.size != missing.size or bytes(drawn) != bytes(missing)
