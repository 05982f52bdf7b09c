"""What the doctor asks of a task: the functions of its module ``doctor``, found by :func:`doctor_of`.

Everything else about a dataset (files, sizes, copies, leaks) is the same for all tasks and is done by
:mod:`mobileseg.data.doctor.diagnose`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from mobileseg.data.doctor.checks import Finding
from mobileseg.data.doctor.scan import Summary
from mobileseg.errors import DataError
from mobileseg.tasks import stage


class TaskDoctor(Protocol):
    """The contract of ``<package of the task>/doctor.py``."""

    def preflight(self, dataset: Any) -> None:
        """Look at a bounded sample, in fractions of a second, for mistakes that no single file shows.

        Raises:
            DataError: training would learn nothing, or something else than was annotated; or a file cannot be read.
        """

    def summary(self, name: str, dataset: Any) -> Summary:
        """An empty summary of the split ``name``, which takes in the facts about one image after the other."""

    def findings(self, summary: Summary, *, batch_size: int, keep_empty: bool) -> Iterable[Finding]:
        """What is wrong with the truth of a split, and with what its transforms make of it.

        Args:
            summary: of the split, complete.
            batch_size: images per training batch.
            keep_empty: whether training uses images without objects.
        """

    def refused(self, name: str, error: DataError) -> list[Finding]:
        """Findings for an error with which a dataset refused its files, one per kind; [] when it holds one message."""

    def statistics(self, summary: Summary) -> dict[str, Any]:
        """What the truth of a split amounts to, as JSON."""

    def headline(self, summary: Summary) -> str:
        """The same in half a line."""

    def table(self, splits: Mapping[str, Summary], classes: Sequence[str]) -> list[str]:
        """The classes of several splits side by side, lines of text; [] when nothing was read."""

    def class_weights(self, summary: Summary) -> list[float] | None:
        """Weights of the classes for a loss; None where the task has none, or nothing was read."""


def doctor_of(dataset: Any) -> TaskDoctor:
    """The doctor's knowledge of a dataset's task.

    Args:
        dataset: a dataset, its class, or the name of a task.

    Raises:
        ConfigError: the dataset has no task, or an unknown one.
    """
    return cast(TaskDoctor, stage(dataset, "doctor"))
