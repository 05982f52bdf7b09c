"""Line charts as inline SVG: coloured by the style sheet of the page, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 380, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 22, 12, 30
_MAX_POINTS = 400


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        name: for the legend.
        x: rising values.
        y: as many values; None or a value that is not finite leaves a gap.
        dots: mark every point.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    dots: bool = False


def line_chart(series: Sequence[Series], *, label: str, log: bool = False) -> str:
    """An ``<svg>`` element; '' when there is nothing to draw.

    Args:
        series: lines; the first six have colours of their own (classes ``s0`` to ``s5``).
        label: what the chart shows, for screen readers.
        log: logarithmic vertical axis, when all values are positive.
    """
    lines = [(index % 6, one, _points(one)) for index, one in enumerate(series)]
    lines = [line for line in lines if line[2]]
    if not lines:
        return ""
    x_values = [x for _, _, points in lines for x, _ in points]
    y_values = [y for _, _, points in lines for _, y in points]
    log = log and min(y_values) > 0
    x_axis = _Axis(min(x_values), max(x_values), _LEFT, _WIDTH - _RIGHT, nice=False)
    y_axis = _Axis(min(y_values), max(y_values), _HEIGHT - _BOTTOM, _TOP, log=log)
    parts = [f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">']
    for value in y_axis.ticks(5):
        y = y_axis(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>')
    for value in x_axis.ticks(4):
        parts.append(f'<text x="{x_axis(value):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{_number(value)}</text>')
    for colour, one, points in lines:
        # A line where the data has a gap would claim values that were not there.
        for run in _runs(one, points):
            path = " ".join(f"{x_axis(x):.1f},{y_axis(y):.1f}" for x, y in run)
            parts.append(f'<polyline class="line s{colour}" points="{path}"/>')
            if one.dots or len(run) == 1:
                parts.extend(
                    f'<circle class="dot s{colour}" cx="{x_axis(x):.1f}" cy="{y_axis(y):.1f}" r="3">'
                    f"<title>{_number(x)}: {_number(y)}</title></circle>"
                    for x, y in run
                )
    parts.append("</svg>")
    if len(lines) > 1:
        keys = "".join(f'<span><i class="s{colour}"></i>{escape(one.name)}</span>' for colour, one, _ in lines)
        parts.append(f'<div class="keys">{keys}</div>')
    return "".join(parts)


class _Axis:
    """Data to pixels, and round numbers to mark."""

    def __init__(
        self, low: float, high: float, start: float, end: float, *, nice: bool = True, log: bool = False
    ) -> None:
        self.log = log
        if log:
            low, high = math.log10(low), math.log10(high)
        if high - low < 1e-12 * max(1.0, abs(high)):
            margin = 0.5 if log else abs(high) * 0.1 or 1.0
            low, high = low - margin, high + margin
        elif nice:
            margin = (high - low) * 0.04
            low, high = (low if low == 0 else low - margin), high + margin
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        position = (math.log10(value) if self.log else value) - self.low
        return self.start + position / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        if self.log:
            decades = range(math.floor(self.low), math.ceil(self.high) + 1)
            for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
                values = [step * 10.0**decade for decade in decades for step in steps]
                values = [value for value in values if self.low <= math.log10(value) <= self.high]
                if len(values) >= 3:
                    return values[:: math.ceil(len(values) / 7)]
            return values
        raw = (self.high - self.low) / count
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
        first = math.ceil(self.low / step)
        return [index * step for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _points(series: Series) -> list[tuple[float, float]]:
    """Finite points, thinned by means of neighbours so that a long run stays a small file."""
    pairs = [
        (float(x), float(y)) for x, y in zip(series.x, series.y, strict=True) if y is not None and math.isfinite(y)
    ]
    size = math.ceil(len(pairs) / _MAX_POINTS)
    if size <= 1:
        return pairs
    groups = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    return [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]


def _runs(series: Series, points: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Points between gaps."""
    gaps = [float(x) for x, y in zip(series.x, series.y, strict=True) if y is None or not math.isfinite(y)]
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if runs[-1] and any(runs[-1][-1][0] < gap < x for gap in gaps):
            runs.append([])
        runs[-1].append((x, y))
    return runs


def _number(value: float) -> str:
    """Short form of a tick."""
    if value == 0:
        return "0"
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:g}k"
    if abs(value) < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.4g}"
