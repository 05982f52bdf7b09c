"""The doctor of datasets with index masks; see :class:`mobileseg.data.doctor.task.TaskDoctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.data.doctor.checks import Finding, size_findings
from mobileseg.data.doctor.scan import Size, Summary
from mobileseg.data.io import decode_label, label_colours, read_bytes
from mobileseg.data.sample import Sample
from mobileseg.errors import DataError
from mobileseg.semantic.doctor_labels import LabelSummary, class_findings, label_findings

SAMPLE = 16  # labels that are looked at before a training


def preflight(dataset: Any) -> None:
    """Look at a few labels for values outside the classes, palettes in different order, and labels that say nothing.

    What only all labels together can show (all are 0 and 255 while 255 is ignored; no pixel counts) is confirmed by
    reading the others up to the first counter-example.

    Raises:
        DataError: training would learn nothing, or something else than was annotated; or a label cannot be read.
    """
    labels = [item.label for item in dataset.items if item.label is not None]
    if not labels:
        return
    chosen = np.unique(np.linspace(0, len(labels) - 1, min(SAMPLE, len(labels))).round().astype(int)).tolist()
    summary = summary_of(dataset, [labels[index] for index in chosen])
    problem = _worst(summary)
    others = iter(sorted(set(range(len(labels))) - set(chosen)))
    while problem is not None and problem.code in ("label-binary", "all-ignored"):
        index = next(others, None)
        if index is None:
            break
        _read(summary, labels[index])
        problem = _worst(summary)
    if problem is not None:
        example = f", for example in {problem.files[0]}" if problem.files else ""
        raise DataError(f"the '{dataset.mode}' dataset: {problem.message}{example}", remedy=problem.fix)


def summary_of(dataset: Any, labels: Sequence[Path]) -> LabelSummary:
    """What some labels are like, without their images.

    Raises:
        DataError: a label cannot be read.
    """
    summary = LabelSummary(dataset.mode, dataset)
    for label in labels:
        _read(summary, label)
    return summary


def _read(summary: LabelSummary, path: Path) -> None:
    data = read_bytes(path, "label")
    stored = np.bincount(decode_label(data, path).ravel(), minlength=256)
    summary.add_label(str(path), stored, label_colours(data, np.flatnonzero(stored)))


def _worst(summary: LabelSummary) -> Finding | None:
    return next((finding for finding in label_findings(summary) if finding.level == "error"), None)


def summary(name: str, dataset: Any) -> LabelSummary:
    """Takes in images and their labels."""
    return LabelSummary(name, dataset)


def findings(summary: Summary, *, batch_size: int, keep_empty: bool) -> Iterator[Finding]:
    """Values of the labels, sizes after the transforms, balance of the classes."""
    assert isinstance(summary, LabelSummary)
    yield from label_findings(summary)
    yield from size_findings(summary, batch_size, lambda size: labelled(summary.dataset, size))
    yield from class_findings(summary)


def labelled(dataset: Any, size: Size) -> Sample:
    """A grey image of that size with a label of class 0, to try transforms on."""
    label = None if dataset.evaluates else np.zeros(size, np.uint8)
    meta = {"geometry": [], "ignore_index": dataset.ignore_index}
    return Sample(np.full((*size, 3), 127, np.float32), label, meta)


def refused(name: str, error: DataError) -> list[Finding]:
    """Datasets of index masks refuse their files with one message."""
    return []


def statistics(summary: Summary) -> dict[str, Any]:
    """``ignored_share`` and ``classes`` with pixels, share and images."""
    assert isinstance(summary, LabelSummary)
    counted = int(summary.pixels.sum())
    everything = counted + summary.ignored
    return {
        "ignored_share": summary.ignored / everything if everything else None,
        "classes": [
            {
                "name": name,
                "pixels": int(summary.pixels[index]),
                "share": int(summary.pixels[index]) / counted if counted else None,
                "images": int(summary.images_with[index]),
            }
            for index, name in enumerate(summary.dataset.classes)
        ],
    }


def headline(summary: Summary) -> str:
    """The share of ignored pixels."""
    assert isinstance(summary, LabelSummary)
    everything = summary.ignored + int(summary.pixels.sum())
    return f"{100 * summary.ignored / everything:.1f} % ignored" if everything else "no label read"


def table(splits: Mapping[str, Summary], classes: Sequence[str]) -> list[str]:
    """Share of the counted pixels and number of images of every class; weights for the loss."""
    read = {name: one for name, one in splits.items() if isinstance(one, LabelSummary) and one.pixels.any()}
    if not read:
        return []
    width = max(12, *(len(name) for name in classes))
    weights = class_weights(read["train"]) if "train" in read else None
    header = f"{'class':{width}}" + "".join(f"  {name + ' pixels':>13}  {'images':>7}" for name in read)
    lines = [header + ("   weight" if weights else "")]
    for index, name in enumerate(classes):
        line = f"{name:{width}}"
        for one in read.values():
            if index >= len(one.pixels):
                line += " " * 24
                continue
            share = 100 * one.pixels[index] / one.pixels.sum()
            line += f"  {share:11.3f} %  {one.images_with[index]:7d}"
        lines.append(line + (f"  {weights[index]:7.3f}" if weights and index < len(weights) else ""))
    if weights:
        lines.append("weight: median-frequency weights of train, for 'weight:' of a cross-entropy loss")
    return lines


def class_weights(summary: Summary) -> list[float] | None:
    """Median-frequency weights (Eigen and Fergus, ICCV 2015), 1 for absent classes.

    The frequency of a class is its share of the counted pixels of those images in which it occurs; its weight is the
    median of all frequencies divided by its own.
    """
    assert isinstance(summary, LabelSummary)
    if not summary.pixels.any():
        return None
    present = summary.pixels > 0
    frequency = summary.pixels[present] / summary.counted_with[present]
    weights = np.ones(len(present))
    weights[present] = np.median(frequency) / frequency
    return [round(float(weight), 4) for weight in weights]
