"""Line charts (matplotlib): alone as part of a page, or side by side as a file."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mobileseg.viz.style import COLOURS, figure, inline_svg, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = 4.8, 3.2  # inches
_INLINE_SIZE = 4.1, 2.7  # of a page, which shows it about a third larger
_MAX_POINTS = 400
_DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 3)))


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        name: for the legend.
        x: ascending values.
        y: as many values; None or a value that is not finite leaves a gap.
        dots: mark every point.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    dots: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over a common axis.

    Attributes:
        title: what the chart shows.
        series: lines; those without a finite value are left out. Colour and dashes tell them apart.
        y_label: quantity and unit of the vertical axis.
        x_label: of the horizontal axis.
        log: logarithmic vertical axis, where all values are positive.
    """

    title: str
    series: tuple[Series, ...]
    y_label: str
    x_label: str = "iteration"
    log: bool = False

    def lines(self) -> list[tuple[Series, np.ndarray, np.ndarray]]:
        """Lines that can be seen, with float64 [n] x and y, NaN in gaps, thinned."""
        found = [(one, *_thinned(one)) for one in self.series]
        return [line for line in found if np.isfinite(line[2]).any()]


def chart_svg(chart: Chart) -> str:
    """An ``<svg>`` element without the title, which the page sets; '' when there is nothing to draw."""
    if not chart.lines():
        return ""
    with figure(*_INLINE_SIZE) as made:
        _draw(made.add_subplot(), chart)
        return inline_svg(made, chart.title)


def write_charts(path: str | os.PathLike[str], charts: Sequence[Chart]) -> None:
    """Write charts side by side as PNG or SVG; those with nothing to draw are empty axes.

    Raises:
        ValueError: no charts.
        OSError: the file cannot be written.
    """
    if not charts:
        raise ValueError("there is no chart to write")
    with figure(_SIZE[0] * len(charts), _SIZE[1] + 0.3) as made:
        for axes, chart in zip(made.subplots(1, len(charts), squeeze=False)[0], charts, strict=True):
            _draw(axes, chart)
            axes.set_title(chart.title, pad=24 if axes.get_legend() else None)  # the legend stands below it
        save(made, path)


def _draw(axes: Axes, chart: Chart) -> None:
    from matplotlib.ticker import MaxNLocator

    lines = chart.lines()
    for index, (one, x, y) in enumerate(lines):
        # A point between two gaps has no line, so it is marked.
        alone = np.isfinite(y) & ~np.isfinite(np.append(y[1:], np.nan)) & ~np.isfinite(np.append(np.nan, y[:-1]))
        (line,) = axes.plot(x, y, color=COLOURS[index % len(COLOURS)], label=one.name)
        line.set_linestyle(_DASHES[index % len(_DASHES)])
        if one.dots or alone.any():
            line.set_marker("o")
            line.set_markevery(None if one.dots else alone)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    axes.grid(visible=True, axis="y")
    values = np.concatenate([y[np.isfinite(y)] for _, _, y in lines]) if lines else np.zeros(1)
    if chart.log and values.min() > 0:
        _logarithmic(axes, values)
    if len(lines) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=min(4, len(lines)), borderaxespad=0.2)


def _logarithmic(axes: Axes, values: np.ndarray) -> None:
    """A logarithmic axis with three to seven plain numbers on it, however few powers of ten it spans."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    axes.set_yscale("log")
    low, high = np.log10(values.min()), np.log10(values.max())
    margin = max(0.04 * (high - low), 0.02)
    low, high = low - margin, high + margin
    axes.set_ylim(10**low, 10**high)
    decades = range(math.floor(low), math.ceil(high) + 1)
    marks: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8), tuple(np.arange(1, 10, 0.1))):
        marks = [step * 10.0**decade for decade in decades for step in steps]
        marks = [mark for mark in marks if low <= math.log10(mark) <= high]
        if len(marks) >= 3:
            break
    axes.yaxis.set_major_locator(FixedLocator(marks[:: math.ceil(len(marks) / 7)] or [float(values.max())]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())


def _thinned(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """x and y, of a long run as means of neighbours, so that it stays a small file; groups without a value are gaps."""
    x = np.asarray(series.x, np.float64)
    y = np.array([np.nan if value is None else value for value in series.y], np.float64)
    if len(x) != len(y):
        raise ValueError(f"{series.name}: {len(x)} values of x and {len(y)} of y")
    y[~np.isfinite(y)] = np.nan
    size = math.ceil(len(x) / _MAX_POINTS)
    if size <= 1:
        return x, y
    starts = np.arange(0, len(x), size)
    known = np.isfinite(y)
    counts = np.add.reduceat(known.astype(np.float64), starts)
    sums = np.add.reduceat(np.where(known, y, 0.0), starts)
    with np.errstate(invalid="ignore"):
        means = sums / counts
    return x[np.minimum(starts + size, len(x)) - 1], means
