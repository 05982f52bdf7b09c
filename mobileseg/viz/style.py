"""One look for all charts (matplotlib, without a display): colours that people with colour blindness tell apart."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from mobileseg.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")
"""Of lines and bars in turn (Okabe and Ito, Color Universal Design, 2008)."""

INK = "#1c2430"
SOFT = "#5d6b7e"
RULE = "#e3e7ed"

_VARIABLES = {INK: "var(--ink)", SOFT: "var(--soft)", RULE: "var(--rule)"} | {
    colour: f"var(--s{index})" for index, colour in enumerate(COLOURS)
}
"""Of these colours in a page: variables of its style sheet, so that charts follow light and dark."""

_RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": SOFT,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.limits": (-5, 6),
    "axes.formatter.use_mathtext": False,
    "grid.color": RULE,
    "text.color": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "legend.handlelength": 1.7,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.1,
    "figure.constrained_layout.w_pad": 0.08,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "mobileseg",
}


@contextmanager
def figure(width: float, height: float) -> Iterator[Figure]:
    """An empty figure in the look of the suite; draw and save it inside of the context.

    Args:
        width, height: inches.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_RC):
        made = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(made)
        yield made


def save(made: Figure, path: str | os.PathLike[str], dpi: int = 140) -> None:
    """Write a figure as PNG, SVG or PDF by the suffix of the path.

    Raises:
        OSError: the file cannot be written.
    """
    stored = io.BytesIO()
    made.savefig(stored, format=Path(path).suffix.removeprefix(".") or "png", dpi=dpi)
    write_whole(path, stored.getvalue())


def inline_svg(made: Figure, label: str) -> str:
    """A figure as ``<svg>`` element of a page, in the colours of its style sheet; it loads nothing.

    Args:
        made: the figure.
        label: what it shows, for screen readers.
    """
    stored = io.StringIO()
    made.savefig(stored, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = stored.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r'\s(xmlns(:xlink)?|version)="[^"]*"', "", text)  # of documents, not of elements of a page
    # A style sheet inside would hold for the whole page.
    unwanted = r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->"
    text = re.sub(unwanted, "", text, flags=re.DOTALL).replace("xlink:href", "href")
    text = text.replace("'DejaVu Sans', sans-serif", "system-ui, sans-serif")
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    width, height = (round(72 * inches) for inches in made.get_size_inches())
    start = f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
    return re.sub(r"^<svg[^>]*>", lambda _: start, text)
