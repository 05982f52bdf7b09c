from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.io import read_image
from mobileseg.viz.latency import plot_latency
from mobileseg.viz.report_parts import STAGES
from mobileseg.viz.style import COLOURS
from tests.benchmarking.sample_rows import row


@pytest.mark.parametrize("count", [1, 6])
def test_plot_shows_a_bar_per_row_longer_for_slower(tmp_path: Path, count: int) -> None:
    rows = [row(f"engine{index}", inference=10.0 * (index + 1)) for index in range(count)]
    for one in rows:
        one["total"]["p95_ms"] = one["total"]["median_ms"] * 1.2
    plot_latency(tmp_path / "plot.png", rows, "net")
    image = read_image(tmp_path / "plot.png").astype(int)
    colour = COLOURS[STAGES.index("inference")]
    inference = np.abs(image - [int(colour[start : start + 2], 16) for start in (1, 3, 5)]).sum(axis=2) < 12
    lengths = inference.sum(axis=1)
    # The legend has one patch of that colour below the axes; bars are longer than it.
    bars = [(length, sum(1 for _ in group)) for length, group in groupby(lengths) if length > 60]
    thick = [int(length) for length, lines in bars if lines > 10]
    assert len(thick) == count
    assert thick == sorted(thick)
    assert thick == pytest.approx([thick[0] * (index + 1) for index in range(count)], rel=0.03)


def test_svg_names_engines_folders_and_devices(tmp_path: Path) -> None:
    plot_latency(tmp_path / "plot.svg", [row(), row("paddle", folder="out/b", cpu="two")], "net & <co>")
    text = (tmp_path / "plot.svg").read_text()
    for seen in ("out/a", "out/b", "two", "paddle, 2 threads", "net &amp; &lt;co&gt;", "preprocess"):
        assert seen in text
