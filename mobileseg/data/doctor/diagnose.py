"""The doctor of datasets: reads everything once and says whether training may start.

:func:`diagnose` is the whole examination, :func:`preflight` the quick look that costs a fraction of a second
and catches the mistakes that no single file shows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from mobileseg.class_names import class_problems
from mobileseg.data.concat import ConcatLabels, ConcatObjects
from mobileseg.data.doctor.checks import Finding, file_findings
from mobileseg.data.doctor.leaks import duplicate_findings, leak_findings
from mobileseg.data.doctor.scan import Summary, scan
from mobileseg.data.doctor.task import doctor_of
from mobileseg.data.transforms.ranges import normalisation_problem
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
        """Weights of the classes of the training split for a loss; None where there are none."""
        train = self.splits.get("train")
        return None if train is None else doctor_of(train.dataset).class_weights(train)

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

    A concatenation of labels is examined part by part ('train.parts.0', 'train.parts.1', ...), because values in their
    files mean different things.
    """
    findings = list(earlier or [])
    splits: dict[str, Summary] = {}
    datasets = _by_part(datasets)
    for name, dataset in datasets.items():
        report = None if progress is None else _for_split(progress, name)
        empty = doctor_of(dataset).summary(name, dataset)
        splits[name] = scan(empty, limit=limit, workers=workers, progress=report)
    for name, summary in splits.items():
        findings += file_findings(summary)
        task = doctor_of(summary.dataset)
        findings += task.findings(summary, batch_size=batch_size, keep_empty=name in keep_empty)
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
    findings += leak_findings(splits)
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    classes = next(iter(datasets.values())).classes if datasets else ()
    return Diagnosis(findings, splits, classes)


def preflight(dataset: Any) -> None:
    """The quick look before a training, see :meth:`mobileseg.data.doctor.task.TaskDoctor.preflight`.

    Raises:
        DataError: training would learn nothing, or something else than was annotated; or a file cannot be read.
        ConfigError: the dataset has no task.
    """
    parts = dataset.parts if isinstance(dataset, ConcatLabels | ConcatObjects) else [dataset]
    for part in parts:
        doctor_of(part).preflight(part)


def _by_part(datasets: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, dataset in datasets.items():
        if isinstance(dataset, ConcatLabels):
            found |= {f"{name}.parts.{number}": part for number, part in enumerate(dataset.parts)}
        else:
            found[name] = dataset
    return found


def _for_split(progress: Progress, name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)


def _contradictions(datasets: Mapping[str, Any]) -> Iterator[Finding]:
    """Splits whose class indices mean different things, and pixels that are normalised differently."""
    for (first, one), (second, other) in combinations(datasets.items(), 2):
        differences = class_problems(one.classes, other.classes)
        if differences:
            yield Finding(
                "error",
                "classes-differ",
                f"{first} and {second} do not have the same classes in the same order: {'; '.join(differences)}",
                fix="give both dataset sections the same classes, in the same order",
            )
        normalised = normalisation_problem(one.transforms, other.transforms)
        if normalised:
            yield Finding("error", "normalise-differs", normalised, fix="give both pipelines the same Normalize")


def _statistics(summary: Summary) -> dict[str, Any]:
    found: dict[str, Any] = {
        "images": summary.total,
        "scanned": summary.scanned,
        "sizes": [
            {"width": width, "height": height, "images": count}
            for (height, width), count in summary.sizes.most_common(20)
        ],
    }
    return found | doctor_of(summary.dataset).statistics(summary)
