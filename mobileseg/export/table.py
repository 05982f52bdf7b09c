"""The table at the end of an export."""

from __future__ import annotations

from collections.abc import Sequence

from mobileseg.export.verify import TargetRow

_HEAD = ("target", "engine", "status", "max diff / std")
_STATUS = {"converted-not-run": "converted, not run", "failed": "FAILED", "not-judged": "run, not judged"}


def format_rows(rows: Sequence[TargetRow], results: str = "results") -> str:
    """Rows as aligned text, reasons of failed and skipped ones below their row.

    Args:
        rows: one per target.
        results: what is counted (`mobileseg.export.task.ExportTask.results`).
    """
    cells = [(*_HEAD, f"{results} equal", "size", "latency"), *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = []
    for index, line in enumerate(cells):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if index:
            lines.extend(f"    {problem}" for problem in rows[index - 1].problems)
    return "\n".join(lines)


def _cells(row: TargetRow) -> tuple[str, ...]:
    return (
        row.target,
        row.engine or "-",
        _STATUS.get(row.status, row.status),
        "-" if row.max_diff is None else f"{row.max_diff:.1e}",
        "-" if row.equal is None else _percent(row.equal),
        "-" if row.size_bytes is None else f"{row.size_bytes / 1e6:.2f} MB",
        "-" if row.latency_ms is None else f"{row.latency_ms:.1f} ms",
    )


def _percent(share: float) -> str:
    """Never '100 %' for anything less than all."""
    return "100 %" if share == 1.0 else f"{min(share * 100, 99.9999):.4f} %"
