"""A diagnosis as text for a terminal."""

from __future__ import annotations

from mobileseg.data.doctor.checks import Finding
from mobileseg.data.doctor.diagnose import Diagnosis
from mobileseg.data.doctor.task import doctor_of
from mobileseg.tasks import task_of


def render(diagnosis: Diagnosis) -> str:
    """The readable report: what was read, class balance, findings, verdict."""
    parts = [
        *_splits(diagnosis),
        *_classes(diagnosis),
        *_findings(diagnosis),
        _verdict(diagnosis),
    ]
    return "\n".join(parts)


def _splits(diagnosis: Diagnosis) -> list[str]:
    lines = []
    for name, summary in diagnosis.splits.items():
        sizes = ", ".join(f"{width}x{height} ({count})" for (height, width), count in summary.sizes.most_common(3))
        more = f" and {len(summary.sizes) - 3} more" if len(summary.sizes) > 3 else ""
        truth = doctor_of(summary.dataset).headline(summary)
        lines.append(f"{name}: {summary.scanned} images, width x height {sizes or 'unknown'}{more}, {truth}")
    return lines


def _classes(diagnosis: Diagnosis) -> list[str]:
    """One table per task that the splits are of."""
    lines = []
    for task in dict.fromkeys(task_of(summary.dataset) for summary in diagnosis.splits.values()):
        splits = {name: one for name, one in diagnosis.splits.items() if task_of(one.dataset) == task}
        rows = doctor_of(task).table(splits, diagnosis.classes)
        lines += ["", *rows] if rows else []
    return lines


def _findings(diagnosis: Diagnosis) -> list[str]:
    if not diagnosis.findings:
        return ["", "nothing to complain about"]
    lines = [""]
    for finding in diagnosis.findings:
        lines += _finding(finding)
    return lines


def _finding(finding: Finding) -> list[str]:
    where = f" [{finding.split}]" if finding.split else ""
    lines = [f"{finding.level.upper()} {finding.code}{where}: {finding.message}"]
    lines += [f"    {file}" for file in finding.files]
    if finding.count > len(finding.files) > 0:
        lines.append(f"    ... and {finding.count - len(finding.files)} more")
    if finding.fix:
        lines.append(f"    hint: {finding.fix}")
    return lines


def _verdict(diagnosis: Diagnosis) -> str:
    counts = {level: sum(f.level == level for f in diagnosis.findings) for level in ("error", "warning")}
    tail = ", ".join(f"{count} {level}{'s' if count != 1 else ''}" for level, count in counts.items())
    return f"\n{'training must not start' if diagnosis.exit_code else 'training may start'}: {tail}"
