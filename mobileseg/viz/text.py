"""Text on images in any script: DejaVu Sans, and for what it lacks an installed font that has it.

DejaVu Sans comes with matplotlib and covers Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew and Arabic. Names and
digits are rendered once and kept, so that a frame of a video costs a few blends and no rendering.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mobileseg.errors import DependencyError

Colour = Sequence[int]

_LATIN_ENDS = 0x250
"""DejaVu Sans has every printable character below it, so fonts need not be searched."""

_KEPT = 4096
"""Rendered texts that are kept; enough for names with every score of two digits, of dozens of classes."""

_log = logging.getLogger("mobileseg")


@dataclass(frozen=True)
class RenderedText:
    """A text as coverage of pixels.

    Attributes:
        coverage: uint8 [h, w], 255 where a pixel is all ink.
        baseline: row of ``coverage`` on which the letters stand.
    """

    coverage: np.ndarray
    baseline: int


def text_width(text: str, cap: int) -> int:
    """Pixels that a text takes from left to right when its capitals are ``cap`` pixels high."""
    return rendered(text, cap).coverage.shape[1]


def descent(cap: int) -> int:
    """Pixels that letters such as g reach below the baseline."""
    return round(cap * 0.33)


def shortened(text: str, width: int, cap: int) -> str:
    """The text, or as much of it as fits ``width`` pixels with an ellipsis behind it; '' when not even that fits."""
    if text_width(text, cap) <= width:
        return text
    for length in range(len(text) - 1, -1, -1):
        short = f"{text[:length].rstrip()}…"
        if text_width(short, cap) <= width:
            return short
    return ""


def draw_text(image: np.ndarray, text: str, origin: tuple[int, int], cap: int, colour: Colour) -> None:
    """Write into an image; what lies outside of it is cut off.

    Args:
        image: uint8 [H, W, 3]; changed in place.
        text: one line.
        origin: (x, y) of the left end of the baseline.
        cap: height of capitals in pixels.
        colour: in the channel order of the image, 0..255.
    """
    ink = rendered(text, cap)
    left, top = origin[0], origin[1] - ink.baseline
    x1, y1 = max(left, 0), max(top, 0)
    x2 = min(left + ink.coverage.shape[1], image.shape[1])
    y2 = min(top + ink.coverage.shape[0], image.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    coverage = cv2.merge([ink.coverage[y1 - top : y2 - top, x1 - left : x2 - left]] * 3)
    ground = image[y1:y2, x1:x2]
    letters = cv2.multiply(coverage, (*map(float, colour), 0.0), scale=1 / 255)
    ground[...] = cv2.add(letters, cv2.multiply(ground, cv2.bitwise_not(coverage), scale=1 / 255))


@lru_cache(maxsize=_KEPT)
def rendered(text: str, cap: int) -> RenderedText:
    """A text of one line whose capitals are ``cap`` pixels high; characters without a glyph are boxes."""
    # Digits of DejaVu Sans have one width and no kerning, so numbers that change with every frame are put together.
    parts = [_rendered_part(part, cap) for part in re.findall(r"[0-9]|[^0-9]+", text)] or [_rendered_part("", cap)]
    above = max(part.baseline for part in parts)
    below = max(part.coverage.shape[0] - part.baseline for part in parts)
    coverage = np.zeros((above + below, sum(part.coverage.shape[1] for part in parts)), np.uint8)
    x = 0
    for part in parts:
        height, width = part.coverage.shape
        coverage[above - part.baseline : above - part.baseline + height, x : x + width] = part.coverage
        x += width
    coverage.setflags(write=False)
    return RenderedText(coverage, above)


@lru_cache(maxsize=_KEPT)
def _rendered_part(text: str, cap: int) -> RenderedText:
    text = "".join(character if character.isprintable() else " " for character in text)
    runs = [(part, _font(path, cap)) for path, part in _runs(text)]
    widths = [max(1, round(font.getlength(part))) for part, font in runs]
    boxes = [font.getbbox(part, anchor="ls") for part, font in runs]
    above = max(round(cap * 1.5), *(math.ceil(-box[1]) for box in boxes))  # some scripts reach farther than Latin
    below = max(descent(cap) + 1, *(math.ceil(box[3]) for box in boxes))
    canvas = Image.new("L", (max(1, sum(widths)), above + below))
    pen, x = ImageDraw.Draw(canvas), 0
    for (part, font), width in zip(runs, widths, strict=True):
        pen.text((x, above), part, fill=255, font=font, anchor="ls")
        x += width
    return RenderedText(np.array(canvas), above)


def _runs(text: str) -> Iterator[tuple[Path, str]]:
    """The text in parts that each have one font."""
    if all(ord(character) < _LATIN_ENDS for character in text):
        yield _default_font(), text
        return
    for path, characters in groupby(text, key=_font_with):
        yield path, "".join(characters)


@cache
def _default_font() -> Path:
    # find_spec does not import: drawing a video does not wait for matplotlib.
    found = find_spec("matplotlib")
    for place in (found.submodule_search_locations or ()) if found else ():
        path = Path(place, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf")
        if path.is_file():
            return path
    raise DependencyError(
        "names are drawn with the font DejaVu Sans of matplotlib, which is not installed",
        remedy="pip install -c constraints.txt matplotlib",
    )


@cache
def _font_with(character: str) -> Path:
    """A font that has the character: DejaVu Sans, the first installed one that has it, else DejaVu Sans."""
    default = _default_font()
    if ord(character) < _LATIN_ENDS or ord(character) in _characters(default):
        return default
    for path in _installed_fonts():
        if ord(character) in _characters(path):
            return path
    _warn_once(character)
    return default


@cache
def _missing() -> list[str]:
    """Characters that no font has; the first is told, the others have the same remedy."""
    return []


def _warn_once(character: str) -> None:
    _missing().append(character)
    if len(_missing()) == 1:
        _log.warning(
            "no installed font has '%s' (U+%04X): it is drawn as a box; hint: install a font of its script, for "
            "example the package fonts-noto-cjk",
            character,
            ord(character),
        )


@cache
def _installed_fonts() -> tuple[Path, ...]:
    """Fonts of the system, upright and regular ones first, in an order that does not depend on the machine's."""
    from matplotlib.font_manager import findSystemFonts

    def rank(path: Path) -> tuple[bool, str]:
        name = path.stem.lower()
        return any(word in name for word in ("bold", "italic", "oblique", "light", "thin", "black", "mono")), name

    return tuple(sorted((Path(path) for path in findSystemFonts()), key=rank))


@cache
def _characters(path: Path) -> frozenset[int]:
    """Code points for which a font has a glyph; none for a file that is no font."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@cache
def _font(path: Path, cap: int) -> ImageFont.FreeTypeFont:
    """The font in the size that gives capitals of this height (of DejaVu Sans: 0.729 of the size)."""
    return ImageFont.truetype(str(path), max(1, round(cap / 0.729)))
