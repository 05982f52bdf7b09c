"""A diagnosis as text for a terminal."""

from __future__ import annotations

from mobileseg.data.doctor.checks import Finding
from mobileseg.data.doctor.diagnose import Diagnosis
from mobileseg.data.doctor.instances import InstanceSummary
from mobileseg.data.doctor.scan import LabelSummary, Summary


def render(diagnosis: Diagnosis) -> str:
    """The readable report: what was read, class balance, findings, verdict."""
    parts = [
        *_splits(diagnosis),
        *_classes(diagnosis),
        *_objects(diagnosis),
        *_findings(diagnosis),
        _verdict(diagnosis),
    ]
    return "\n".join(parts)


def _splits(diagnosis: Diagnosis) -> list[str]:
    lines = []
    for name, summary in diagnosis.splits.items():
        sizes = ", ".join(f"{width}x{height} ({count})" for (height, width), count in summary.sizes.most_common(3))
        more = f" and {len(summary.sizes) - 3} more" if len(summary.sizes) > 3 else ""
        lines.append(f"{name}: {summary.scanned} images, width x height {sizes or 'unknown'}{more}, {_truth(summary)}")
    return lines


def _truth(summary: Summary) -> str:
    if isinstance(summary, LabelSummary):
        everything = summary.ignored + int(summary.pixels.sum())
        return f"{100 * summary.ignored / everything:.1f} % ignored" if everything else "no label read"
    if isinstance(summary, InstanceSummary) and summary.objects is not None:
        objects = summary.objects
        found, crowds = int(objects.objects.sum()), int(objects.crowds.sum())
        return f"{found} objects, {crowds} crowd regions, {objects.without.count} images without any"
    return "nothing read"


def _classes(diagnosis: Diagnosis) -> list[str]:
    splits = {
        name: summary
        for name, summary in diagnosis.splits.items()
        if isinstance(summary, LabelSummary) and summary.pixels.any()
    }
    if not splits:
        return []
    width = max(12, *(len(name) for name in diagnosis.classes))
    weights = diagnosis.class_weights()
    header = f"{'class':{width}}" + "".join(f"  {name + ' pixels':>13}  {'images':>7}" for name in splits)
    lines = ["", header + ("   weight" if weights else "")]
    for index, name in enumerate(diagnosis.classes):
        line = f"{name:{width}}"
        for summary in splits.values():
            if index >= len(summary.pixels):
                line += " " * 24
                continue
            share = 100 * summary.pixels[index] / summary.pixels.sum()
            line += f"  {share:11.3f} %  {summary.images_with[index]:7d}"
        lines.append(line + (f"  {weights[index]:7.3f}" if weights and index < len(weights) else ""))
    if weights:
        lines.append("weight: median-frequency weights of train, for 'weight:' of a cross-entropy loss")
    return lines


def _objects(diagnosis: Diagnosis) -> list[str]:
    splits = {
        name: summary.objects
        for name, summary in diagnosis.splits.items()
        if isinstance(summary, InstanceSummary) and summary.objects is not None
    }
    if not splits:
        return []
    width = max(12, *(len(name) for name in diagnosis.classes))
    header = "".join(f"  {name + ' objects':>13}  {'crowds':>6}  {'images':>7}" for name in splits)
    lines = ["", f"{'class':{width}}{header}"]
    for index, name in enumerate(diagnosis.classes):
        line = f"{name:{width}}"
        for objects in splits.values():
            if index >= len(objects.objects):
                line += " " * 32
                continue
            line += f"  {objects.objects[index]:13d}  {objects.crowds[index]:6d}  {objects.images_with[index]:7d}"
        lines.append(line)
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
        lines.append(f"    fix: {finding.fix}")
    return lines


def _verdict(diagnosis: Diagnosis) -> str:
    counts = {level: sum(f.level == level for f in diagnosis.findings) for level in ("error", "warning")}
    tail = ", ".join(f"{count} {level}{'s' if count != 1 else ''}" for level, count in counts.items())
    return f"\n{'training must not start' if diagnosis.exit_code else 'training may start'}: {tail}"
