"""The doctor of datasets: reads everything once and says whether training may start.

:func:`diagnose` is the whole examination, :func:`preflight` the quick look that costs a fraction of a second
and catches the one mistake that no single file shows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mobileseg.data.doctor.checks import (
    Finding,
    class_findings,
    file_findings,
    is_binary_255,
    label_findings,
    size_findings,
)
from mobileseg.data.doctor.instances import InstanceSummary, dummy, preflight_instances
from mobileseg.data.doctor.leaks import duplicate_findings, leak_findings
from mobileseg.data.doctor.objects_checks import object_findings
from mobileseg.data.doctor.scan import LabelSummary, Summary, scan
from mobileseg.data.io import read_label
from mobileseg.errors import DataError

LEVELS = ("error", "warning", "info")
Progress = Callable[[str, int, int], None]


@dataclass
class Diagnosis:
    """Everything the doctor can say about the datasets of one configuration.

    Attributes:
        findings: errors first.
        splits: what was read, per split.
        classes: names of the classes.
    """

    findings: list[Finding]
    splits: dict[str, Summary]
    classes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 when training may start, that of DataError when not."""
        return DataError.exit_code if any(finding.level == "error" for finding in self.findings) else 0

    def class_weights(self) -> list[float] | None:
        """Median-frequency weights (Eigen and Fergus, ICCV 2015) of the training split, 1 for absent classes.

        The frequency of a class is its share of the counted pixels of those images in which it occurs; its
        weight is the median of all frequencies divided by its own.
        """
        train = self.splits.get("train")
        if not isinstance(train, LabelSummary) or not train.pixels.any():
            return None
        present = train.pixels > 0
        frequency = train.pixels[present] / train.counted_with[present]
        weights = np.ones(len(present))
        weights[present] = np.median(frequency) / frequency
        return [round(float(weight), 4) for weight in weights]

    def to_dict(self) -> dict[str, Any]:
        """As JSON: ``may_train``, ``findings``, ``splits``, ``class_weights``."""
        return {
            "may_train": self.exit_code == 0,
            "findings": [finding.to_dict() for finding in self.findings],
            "splits": {name: _statistics(summary) for name, summary in self.splits.items()},
            "class_weights": self.class_weights(),
        }


def diagnose(
    datasets: Mapping[str, Any],
    *,
    batch_size: int = 1,
    limit: int | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    earlier: list[Finding] | None = None,
    keep_empty: Collection[str] = (),
) -> Diagnosis:
    """Read datasets and check them, alone and against each other.

    Args:
        datasets: split name ('train', 'val', ...) -> dataset.
        batch_size: images per training batch; above 1 the transforms must give one size.
        limit: read only so many images per split, evenly spaced.
        workers: threads for reading.
        progress: called with (split, images read, images to read).
        earlier: findings from before, for example about a split that could not be opened.
        keep_empty: splits whose images without objects are used in training.
    """
    findings = list(earlier or [])
    splits: dict[str, Summary] = {}
    for name, dataset in datasets.items():
        report = None if progress is None else _for_split(progress, name)
        empty = InstanceSummary(name, dataset) if dataset.task == "instance" else LabelSummary(name, dataset)
        splits[name] = scan(name, dataset, summary=empty, limit=limit, workers=workers, progress=report)
    for name, summary in splits.items():
        findings += file_findings(summary)
        if isinstance(summary, LabelSummary):
            findings += label_findings(summary)
            findings += size_findings(summary, batch_size)
        elif isinstance(summary, InstanceSummary) and summary.objects is not None:
            findings += object_findings(name, summary.objects, summary.dataset.classes, keep_empty=name in keep_empty)
            findings += size_findings(summary, batch_size, partial(dummy, summary.dataset))
        findings += duplicate_findings(summary)
        if summary.scanned < summary.total:
            findings.append(
                Finding(
                    "info",
                    "limited",
                    f"{summary.scanned} of {summary.total} images were read",
                    fix="run without --limit before a long training",
                    split=summary.name,
                )
            )
    findings += _contradictions(datasets)
    findings += class_findings(splits)
    findings += leak_findings(splits)
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    classes = next(iter(datasets.values())).classes if datasets else ()
    return Diagnosis(findings, splits, classes)


def preflight(dataset: Any, count: int = 16) -> None:
    """Look at a few labels or objects for the mistakes that no single one shows.

    Labels: 0/255 masks while 255 is ignored; a sample that looks like it is confirmed by reading the other labels up
    to the first counter-example. Objects: :func:`mobileseg.data.doctor.instances.preflight_instances`.

    Raises:
        DataError: training would learn nothing, or something else than was annotated; or a label cannot be read.
    """
    if dataset.task == "instance":
        preflight_instances(dataset)
        return
    labels = [item.label for item in dataset.items if item.label is not None]
    sample = [labels[index] for index in np.linspace(0, len(labels) - 1, min(count, len(labels))).round().astype(int)]
    stored = np.zeros(256, np.int64)
    for label in [*sample, *labels]:
        stored += np.bincount(read_label(label).ravel(), minlength=256)
        if stored[1:255].any():
            return
    if is_binary_255(stored, dataset.lookup, dataset.ignore_index, dataset.num_classes):
        raise DataError(
            f"all {len(labels)} labels of the '{dataset.mode}' dataset consist of 0 and 255 only "
            f"(for example {labels[0]}), and 255 is ignore_index: only class 0 would be learnt",
            remedy="did you mean class 1? write 'label_map: {0: 0, 255: 1}' into the dataset section",
        )


def _for_split(progress: Progress, name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)


def _contradictions(datasets: Mapping[str, Any]) -> list[Finding]:
    classes = {name: dataset.classes for name, dataset in datasets.items()}
    if len(set(classes.values())) < 2:
        return []
    counts = ", ".join(f"{name}: {len(names)}" for name, names in classes.items())
    return [
        Finding(
            "error",
            "classes-differ",
            f"the splits do not have the same classes ({counts})",
            fix="give both dataset sections the same num_classes and classes",
        )
    ]


def _statistics(summary: Summary) -> dict[str, Any]:
    found: dict[str, Any] = {
        "images": summary.total,
        "scanned": summary.scanned,
        "sizes": [
            {"width": width, "height": height, "images": count}
            for (height, width), count in summary.sizes.most_common(20)
        ],
    }
    if isinstance(summary, LabelSummary):
        found |= _label_statistics(summary)
    elif isinstance(summary, InstanceSummary) and summary.objects is not None:
        objects = summary.objects
        found |= {
            "annotations": objects.total,
            "images_without_objects": objects.without.count,
            "classes": [
                {
                    "name": name,
                    "objects": int(objects.objects[index]),
                    "crowd_regions": int(objects.crowds[index]),
                    "images": int(objects.images_with[index]),
                }
                for index, name in enumerate(summary.dataset.classes)
            ],
        }
    return found


def _label_statistics(summary: LabelSummary) -> dict[str, Any]:
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
