"""Text in any script, against Pillow's own idea of the same glyphs."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from mobileseg.viz import text as module
from mobileseg.viz.text import draw_text, rendered, shortened, text_width


@pytest.fixture
def fonts(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The fonts of the system, to be filled by the test; searched anew."""
    found: list[Path] = []
    monkeypatch.setattr(module, "_installed_fonts", lambda: tuple(found))
    caches = (module._font_with, module._missing, module.rendered, module._rendered_part)
    for one in caches:
        one.cache_clear()
    yield found
    for one in caches:
        one.cache_clear()


def glyphs(text: str, cap: int, font: Path | None = None) -> np.ndarray:
    """The ink of a text, trimmed, by Pillow alone."""
    face = ImageFont.truetype(str(font or module._default_font()), round(cap / 0.729))
    canvas = Image.new("L", (800, 200))
    ImageDraw.Draw(canvas).text((10, 100), text, fill=255, font=face, anchor="ls")
    return trimmed(np.array(canvas))


def trimmed(ink: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@pytest.mark.parametrize("text", ["person", "7", "Straßenbahn", "Ğüneş", "Пешеход", "αβγ", "שלום"])
def test_scripts_are_drawn_with_their_glyphs(text: str) -> None:
    np.testing.assert_array_equal(trimmed(rendered(text, 20).coverage), glyphs(text, 20))


@pytest.mark.parametrize("cap", [7, 12, 22])
def test_capitals_have_the_height_asked_for(cap: int) -> None:
    ink = rendered("H", cap)
    rows = np.flatnonzero((ink.coverage > 128).any(axis=1))
    assert abs(len(rows) - cap) <= 1
    assert rows[-1] == ink.baseline - 1


def test_letters_are_not_cut_off() -> None:
    for text in ("ÅÖÜ", "gjpqy,;|", "f", "ﬃ"):
        coverage = rendered(text, 14).coverage
        assert not coverage[0].any()
        assert not coverage[-1].any(), text


def test_numbers_are_put_together_from_digits_as_the_font_sets_them() -> None:
    ink, whole = trimmed(rendered("1709.5", 20).coverage), glyphs("1709.5", 20)
    assert abs(ink.shape[1] - whole.shape[1]) <= 4  # widths are whole pixels
    assert len({text_width(f"{number:03d}", 14) for number in range(0, 1000, 37)}) == 1


def test_a_number_that_was_never_seen_needs_no_rendering() -> None:
    rendered("inference 0123456789. ms", 13)
    rendered("ms 1 ms.2.3", 13)
    before = module._rendered_part.cache_info().misses
    rendered("inference 31", 13)
    rendered("inference 4711", 13)
    assert module._rendered_part.cache_info().misses == before


def test_an_installed_font_stands_in_where_the_default_one_lacks_a_character(fonts: list[Path]) -> None:
    lacking = {
        (path, code)
        for path in sorted(module._default_font().parent.glob("STIX*.ttf"))  # these come with matplotlib as well
        for code in module._characters(path) - module._characters(module._default_font())
        if chr(code).isprintable()
    }
    other, code = min(lacking)
    character = chr(code)
    fonts.append(other)
    ink = trimmed(rendered(character, 20).coverage)
    np.testing.assert_array_equal(ink, glyphs(character, 20, other))


def test_without_any_font_it_is_said_once_and_boxes_are_drawn(fonts: list[Path], caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert rendered("汽车", 14).coverage.any()
        rendered("漢字", 14)
    assert len(caplog.messages) == 1
    assert "U+6C7D" in caplog.text
    assert "hint: install a font" in caplog.text


def test_files_that_are_no_fonts_are_passed_over(fonts: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"\0\1\0\0 no font")
    fonts.append(tmp_path / "broken.ttf")
    assert rendered("漢", 14).coverage.any()


@pytest.mark.parametrize("text", ["", "\n\t\0", "\ud800"])
def test_what_has_no_glyphs_is_drawn_as_blank_or_box(text: str) -> None:
    image = np.zeros((30, 60, 3), np.uint8)
    draw_text(image, text, (5, 20), 12, (255, 255, 255))
    assert image[:, 50:].max() == 0


def test_ink_is_blended_with_what_is_below() -> None:
    image = np.full((30, 40, 3), (100, 50, 200), np.uint8)
    draw_text(image, "I", (10, 25), 20, (0, 250, 100))
    coverage = rendered("I", 20).coverage
    row = image[15, 10 : 10 + coverage.shape[1]].astype(float)
    share = coverage[15 - (25 - rendered("I", 20).baseline)][:, None] / 255.0
    expected = np.array([100, 50, 200]) * (1 - share) + np.array([0, 250, 100]) * share
    assert np.abs(row - expected).max() <= 1
    assert share.max() == 1.0


@pytest.mark.parametrize("origin", [(-30, 10), (35, 10), (5, -40), (5, 60), (-500, 10)])
def test_text_outside_of_the_image_is_cut_off(origin: tuple[int, int]) -> None:
    image = np.zeros((20, 40, 3), np.uint8)
    draw_text(image, "person", origin, 12, (255, 255, 255))
    whole = np.zeros((220, 640, 3), np.uint8)
    draw_text(
        whole, "person", (origin[0] + 550 if origin[0] == -500 else origin[0] + 100, origin[1] + 100), 12, (255,) * 3
    )
    if origin[0] != -500:
        np.testing.assert_array_equal(image, whole[100:120, 100:140])
    else:
        assert not image.any()


def test_texts_are_shortened_to_a_width() -> None:
    name = "a very long class name"
    assert shortened(name, 1000, 12) == name
    short = shortened(name, 80, 12)
    assert short.endswith("…")
    assert name.startswith(short[:-1])
    assert text_width(short, 12) <= 80
    assert shortened(name, 1, 12) == ""


def test_a_text_is_rendered_once() -> None:
    assert rendered("person 0.50", 14) is rendered("person 0.50", 14)
    with pytest.raises(ValueError):
        rendered("person 0.50", 14).coverage[0, 0] = 1
