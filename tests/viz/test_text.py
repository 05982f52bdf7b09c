"""Names in any script that a font here has."""

import logging

import numpy as np
import pytest

from mobileseg.viz import text as module
from mobileseg.viz.draw import legend
from mobileseg.viz.text import draw_text, text_size


def drawn(text: str, cap: int = 20, origin: tuple[int, int] = (5, 30)) -> np.ndarray:
    image = np.full((50, 300, 3), 255, np.uint8)
    draw_text(image, text, origin, cap, (0, 0, 0))
    return image


@pytest.mark.parametrize("name", ["Bäume", "Straße", "дорога", "тротуар", "έδαφος", "naïve café"])
def test_latin_greek_and_cyrillic_are_no_question_marks(name: str) -> None:
    marks = "".join(character if character.isascii() else "?" for character in name)
    assert not np.array_equal(drawn(name), drawn(marks))
    assert module._choice(name)[1] == name


def test_capitals_have_the_height_that_was_asked_for() -> None:
    for cap in (8, 14, 22):
        rows = np.flatnonzero((drawn("H", cap, (5, 30))[..., 0] < 128).any(axis=1))
        assert rows[-1] == 29  # on the base line
        assert abs(len(rows) - cap) <= 1
        width = np.flatnonzero((drawn("HHHH", cap)[..., 0] < 200).any(axis=0))
        assert abs(width[-1] + 1 - 5 - text_size("HHHH", cap)[0]) <= cap / 4


def test_chinese_is_drawn_where_a_font_has_it_and_said_once_where_none_has(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    module._choice.cache_clear()
    first = module._fonts()[0]
    monkeypatch.setattr(module, "_fonts", lambda: (first,))
    with caplog.at_level(logging.WARNING, logger="mobileseg"):
        for _ in range(3):
            drawn("道路 road")
    assert len(caplog.records) == 1
    assert "道路" in caplog.text
    assert "fonts-noto-cjk" in caplog.text
    assert module._choice("道路 road")[1] == "?? road"
    monkeypatch.setattr(module, "_has", lambda place, character: place == "cjk.ttc" or character.isascii())
    monkeypatch.setattr(module, "_fonts", lambda: (first, "cjk.ttc"))
    module._choice.cache_clear()
    assert module._choice("道路 road") == ("cjk.ttc", "道路 road")
    assert module._choice("road") == (first, "road")
    module._choice.cache_clear()


@pytest.mark.parametrize("name", ["\ud800", "a\nb", "tab\tend", "\0", "", " ", "\u202e"])
def test_what_cannot_be_drawn_is_drawn_as_a_question_mark(name: str) -> None:
    shown = "".join(character if character.isprintable() else "?" for character in name)
    assert np.array_equal(drawn(name), drawn(shown))


@pytest.mark.parametrize("origin", [(-40, 20), (290, 30), (5, -3), (5, 60), (400, 400), (-900, -900)])
def test_text_outside_of_the_image_is_cut_off(origin: tuple[int, int]) -> None:
    whole = np.full((250, 900, 3), 255, np.uint8)
    if abs(origin[0]) < 300 and abs(origin[1]) < 100:
        draw_text(whole, "Straße", (origin[0] + 300, origin[1] + 100), 20, (0, 0, 0))
    assert np.array_equal(drawn("Straße", origin=origin), whole[100:150, 300:600])


def test_ink_and_antialiasing() -> None:
    image = np.zeros((40, 200, 3), np.uint8)
    draw_text(image, "H", (10, 30), 20, (10, 200, 90))
    assert (image.reshape(-1, 3).max(axis=0) == (10, 200, 90)).all()


def test_a_legend_shows_names_of_any_script() -> None:
    palette = np.array([[200, 0, 0]], np.uint8)
    assert not np.array_equal(legend(300, ("Bäume",), palette), legend(300, ("B?ume",), palette))
