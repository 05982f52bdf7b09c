"""Markdown tables that are aligned for the terminal as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def render_markdown(head: Sequence[str], body: Sequence[Sequence[Any]], *, words: int) -> str:
    """A table.

    Args:
        head: titles of the columns.
        body: rows, each with as many cells.
        words: number of leading columns that hold words and are aligned to the left; numbers are to the right.
    """
    lines = [[str(cell) for cell in line] for line in (head, *body)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]

    def text(line: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|".join("-" * (width + 1) + ("-" if column < words else ":") for column, width in enumerate(widths))
    return "\n".join([text(lines[0]), f"|{rule}|", *(text(line) for line in lines[1:])])
