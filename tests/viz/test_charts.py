import re
import xml.etree.ElementTree as ElementTree

import pytest

from mobileseg.viz.charts import Series, line_chart


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(re.match(r"<svg.*?</svg>", svg).group())


def polylines(svg: str) -> list[list[tuple[float, float]]]:
    found = [node.get("points") for node in parsed(svg).iter() if node.tag == "polyline"]
    return [[tuple(map(float, pair.split(","))) for pair in points.split()] for points in found]


def test_points_are_in_proportion_and_up_is_more() -> None:
    (line,) = polylines(line_chart([Series("a", [0, 1, 4], [0.0, 1.0, 4.0])], label="a"))
    assert line[1][0] - line[0][0] == pytest.approx((line[2][0] - line[0][0]) / 4, abs=0.2)
    assert line[0][1] - line[1][1] == pytest.approx((line[0][1] - line[2][1]) / 4, abs=0.2)
    assert line[2][1] < line[0][1]


def test_logarithmic_axis_puts_powers_at_equal_distances() -> None:
    (line,) = polylines(line_chart([Series("a", [0, 1, 2], [100.0, 10.0, 1.0])], label="a", log=True))
    assert line[1][1] - line[0][1] == pytest.approx(line[2][1] - line[1][1], abs=0.2)


def test_zero_among_the_values_makes_the_axis_linear() -> None:
    (line,) = polylines(line_chart([Series("a", [0, 1, 2], [0.0, 1.0, 2.0])], label="a", log=True))
    assert line[0][1] - line[1][1] == pytest.approx(line[1][1] - line[2][1], abs=0.2)


def test_gaps_are_left_open() -> None:
    nan = float("nan")
    svg = line_chart([Series("a", [0, 1, 2, 3, 4], [1.0, 2.0, nan, 3.0, 4.0])], label="a")
    assert [len(line) for line in polylines(svg)] == [2, 2]


@pytest.mark.parametrize("values", [[], [None, None], [float("inf")]])
def test_nothing_to_draw_gives_nothing(values: list) -> None:
    assert line_chart([Series("a", range(len(values)), values)], label="a") == ""


def test_one_point_and_constant_lines_are_drawn() -> None:
    assert "<circle" in line_chart([Series("a", [5], [0.5])], label="a")
    for value in (0.0, 0.3, -2.0, 1e9):
        (line,) = polylines(line_chart([Series("a", [0, 1], [value, value])], label="a"))
        assert 0 < line[0][1] < 220


def test_long_runs_stay_small_and_keep_their_end() -> None:
    svg = line_chart([Series("a", range(80_000), [1.0] * 80_000)], label="a")
    assert len(svg) < 12_000
    (line,) = polylines(svg)
    assert line[-1][0] == pytest.approx(358, abs=1)


def test_names_are_escaped_and_several_lines_have_a_key() -> None:
    series = [Series("<b>", [0, 1], [1.0, 2.0]), Series("c", [0, 1], [2.0, 3.0])]
    svg = line_chart(series, label='"quoted" & <odd>')
    parsed(svg)
    assert "<b>" not in svg
    assert 'class="s1"' in svg


@pytest.mark.parametrize("top", [1e-5, 0.013, 1.0, 7.0, 93.0, 12_345.0, 4.2e7])
def test_axis_has_a_readable_number_of_round_marks(top: float) -> None:
    svg = line_chart([Series("a", [0, 1], [0.0, top])], label="a")
    marks = [node.text for node in parsed(svg).iter("text") if node.get("text-anchor") == "end"]
    assert 3 <= len(marks) <= 7
    assert len(set(marks)) == len(marks)
    assert all(len(mark) <= 7 for mark in marks)
