"""Charts read back: the SVG's paths in data proportions, the PNG's pixels."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.io import read_image
from mobileseg.viz.charts import Chart, Series, chart_svg, write_charts
from mobileseg.viz.style import COLOURS


def chart(*series: Series, log: bool = False, title: str = "a") -> Chart:
    return Chart(title, series, "loss", log=log)


def one(y: list, *, log: bool = False, dots: bool = False) -> str:
    return chart_svg(chart(Series("a", range(len(y)), y, dots), log=log))


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def lines(svg: str) -> list[list[tuple[float, float]]]:
    """Points of the data's lines, those in a colour of the series; a gap starts another."""
    found = []
    for path in parsed(svg).iter("path"):
        style = path.get("style", "")
        if "stroke: var(--s" in style and path.get("clip-path"):
            for part in path.get("d").split("M ")[1:]:
                numbers = [float(number) for number in re.findall(r"-?\d+\.?\d*", part)]
                found.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return found


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in parsed(svg).iter("text")]


def test_points_are_in_proportion_and_up_is_more() -> None:
    svg = chart_svg(chart(Series("a", [0, 1, 4], [0.0, 1.0, 4.0])))
    (line,) = lines(svg)
    first, last = line[0], line[-1]
    assert first[0] < last[0]
    assert last[1] < first[1]
    for x, y in line:
        assert (x - first[0]) / (last[0] - first[0]) == pytest.approx((first[1] - y) / (first[1] - last[1]), abs=0.01)


def test_logarithmic_axis_puts_powers_at_equal_distances() -> None:
    (line,) = lines(one([100.0, 10.0, 1.0], log=True))
    assert line[0][0] < line[-1][0]
    assert line[-1][1] - line[0][1] > 20
    (bent,) = lines(one([1.0, 100.0, 1.0], log=True))
    (half,) = lines(one([1.0, 10.0, 100.0], log=True))
    middle = half[len(half) // 2] if len(half) == 3 else None
    if middle is not None:
        assert middle[1] == pytest.approx((half[0][1] + half[-1][1]) / 2, abs=0.5)
    assert len(bent) == 3


def test_zero_among_the_values_makes_the_axis_linear() -> None:
    (line,) = lines(one([0.0, 3.0, 1.0], log=True))
    assert (line[0][1] - line[2][1]) / (line[0][1] - line[1][1]) == pytest.approx(1 / 3, abs=0.01)


def test_gaps_are_left_open() -> None:
    nan = float("nan")
    assert [len(line) for line in lines(one([1.0, 2.5, nan, 3.0, 2.0]))] == [2, 2]
    assert [len(line) for line in lines(one([1.0, 2.5, None, float("inf"), 2.0, 4.0]))] == [2, 2]


@pytest.mark.parametrize("values", [[], [None, None], [float("inf")]])
def test_nothing_to_draw_gives_nothing(values: list) -> None:
    assert one(values) == ""


def test_points_that_stand_alone_are_marked() -> None:
    def marks(svg: str) -> int:
        return sum("var(--s0)" in node.get("style", "") for node in parsed(svg).iter("use"))

    assert marks(one([0.5])) == 1
    assert marks(one([0.5, None, 0.7])) == 2
    assert marks(one([0.5, 0.6, None, 0.7])) == 1
    assert marks(one([0.5, 0.6, 0.7])) == 0
    assert marks(one([0.5, 0.6, 0.7], dots=True)) == 3


@pytest.mark.parametrize("value", [0.0, 0.3, -2.0, 1e9])
@pytest.mark.parametrize("log", [False, True])
def test_constant_lines_are_drawn_inside(value: float, log: bool) -> None:
    svg = one([value, value], log=log)
    (line,) = lines(svg)
    height = float(parsed(svg).get("viewBox").split()[3])
    assert 0 < line[0][1] < height


def test_long_runs_stay_small_and_keep_their_end() -> None:
    rng = np.random.default_rng(0)
    svg = one(rng.random(80_000).tolist())
    assert len(svg) < 40_000
    (line,) = lines(svg)
    (short,) = lines(chart_svg(chart(Series("a", [199, 79_999], [0.45, 0.55]))))  # the same width of the axis
    assert line[-1][0] - line[0][0] == pytest.approx(short[-1][0] - short[0][0], rel=0.02)


def test_means_of_neighbours_stand_for_them() -> None:
    line = chart(Series("a", range(800), [0.0, 1.0] * 400)).lines()[0]
    np.testing.assert_array_equal(line[1], np.arange(1, 800, 2))
    np.testing.assert_array_equal(line[2], np.full(400, 0.5))
    holes = chart(Series("a", range(800), [None, 1.0, None, None] * 200)).lines()[0]
    np.testing.assert_array_equal(holes[2], [1.0, np.nan] * 200)


def test_several_lines_have_a_legend_above_the_data_and_differ_without_colour() -> None:
    svg = chart_svg(chart(Series("first", [0, 1], [1.0, 2.0]), Series("second", [0, 1], [2.0, 3.0])))
    height = {node.text: float(node.get("y")) for node in parsed(svg).iter("text")}
    top = min(y for line in lines(svg) for _, y in line)
    assert max(height["first"], height["second"]) < top
    assert "stroke-dasharray" in svg
    assert "first" not in texts(chart_svg(chart(Series("first", [0, 1], [1.0, 2.0]))))


def test_axes_are_named() -> None:
    assert {"iteration", "loss"} <= set(texts(one([1.0, 2.0])))


def test_text_is_escaped_and_the_element_stands_in_any_page() -> None:
    series = [Series("<b>", [0, 1], [1.0, 2.0]), Series("c", [0, 1], [2.0, 3.0])]
    svg = chart_svg(chart(*series, title='"quoted" & <odd>'))
    assert parsed(svg).get("aria-label") == '"quoted" & <odd>'
    assert "<b>" not in svg
    assert not re.search(r"https?://|<style|<\?xml|<!DOCTYPE|<metadata|xmlns", svg)


def test_colours_are_those_of_the_page() -> None:
    svg = one([1.0, 2.0])
    assert "var(--s0)" in svg
    assert "var(--soft)" in svg
    assert not re.findall(r"#[0-9a-f]{6}", svg), "a colour that does not follow light and dark"


def test_the_same_chart_is_the_same_text() -> None:
    assert one([1.0, 2.0, 1.5]) == one([1.0, 2.0, 1.5])


@pytest.mark.parametrize("top", [1e-5, 0.013, 1.0, 7.0, 93.0, 12_345.0, 4.2e7])
@pytest.mark.parametrize("log", [False, True])
def test_axis_has_a_readable_number_of_marks(top: float, log: bool) -> None:
    svg = one([top / 3, top / 2, top], log=log)
    marks = [node.text for node in parsed(svg).iter("text") if "text-anchor: end" in node.get("style", "")]
    assert 3 <= len(marks) <= 9
    assert len(set(marks)) == len(marks)
    assert all(len(mark) <= 8 for mark in marks)


def test_charts_side_by_side(tmp_path: Path) -> None:
    charts = [chart(Series("a", [0, 1], [1.0, 2.0])), chart(Series("a", [], [])), chart(Series("a", [3], [0.1]))]
    write_charts(tmp_path / "charts.png", charts)
    image = read_image(tmp_path / "charts.png").astype(int)
    assert image.shape[1] > 3 * 500
    blue = tuple(int(COLOURS[0][start : start + 2], 16) for start in (1, 3, 5))
    seen = np.flatnonzero((np.abs(image - blue).sum(axis=2) < 12).any(axis=0)) * 3 // image.shape[1]
    assert set(seen.tolist()) == {0, 2}
    write_charts(tmp_path / "charts.svg", charts[:1])
    ElementTree.parse(tmp_path / "charts.svg")
    with pytest.raises(ValueError, match="no chart"):
        write_charts(tmp_path / "none.png", [])
    with pytest.raises(OSError, match="nowhere"):
        write_charts(tmp_path / "nowhere" / "charts.png", charts)


def test_settings_of_the_caller_stay() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    one([1.0, 2.0])
    assert dict(matplotlib.rcParams) == before


def test_lengths_that_differ_are_an_error() -> None:
    with pytest.raises(ValueError, match="3 values of x and 2 of y"):
        chart_svg(chart(Series("a", [0, 1, 2], [1.0, 2.0])))
