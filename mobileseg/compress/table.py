"""Tables of reports: Markdown that is aligned for the terminal as well, and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from mobileseg.viz.report_parts import table


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        head: titles of the columns.
        body: rows, each with as many cells.
        words: number of leading columns that hold words and are aligned to the left; numbers are to the right.
    """

    head: Sequence[str]
    body: Sequence[Sequence[Any]]
    words: int

    def markdown(self) -> str:
        """Lines of Markdown, all of one length."""
        lines = [[str(cell) for cell in line] for line in (self.head, *self.body)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]

        def text(line: Sequence[str]) -> str:
            padded = [
                cell.ljust(width) if column < self.words else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            return f"| {' | '.join(padded)} |"

        rule = "|".join(
            "-" * (width + 1) + ("-" if column < self.words else ":") for column, width in enumerate(widths)
        )
        return "\n".join([text(lines[0]), f"|{rule}|", *(text(line) for line in lines[1:])])

    def html(self) -> str:
        """An element of the page."""

        def cells(tag: str, line: Sequence[Any]) -> str:
            return "".join(
                f"<{tag}{'' if column < self.words else ' class=n'}>{escape(str(cell))}</{tag}>"
                for column, cell in enumerate(line)
            )

        return table(cells("th", self.head), [f"<tr>{cells('td', line)}</tr>" for line in self.body])
