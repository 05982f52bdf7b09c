"""What training and evaluation ask of a task: the contract of the module ``training`` in a task's package.

:func:`mobileseg.tasks.stage` finds the module by the task's name. A module that has everything of
:class:`TrainingTask` needs nothing else to be trained, resumed, evaluated and compressed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np

from mobileseg.data.sample import Sample
from mobileseg.scores import Scores
from mobileseg.tasks import stage

if TYPE_CHECKING:
    import argparse

    from mobileseg.tracking.options import TrackingOptions
    from mobileseg.training.steps import Step


class Predictor(Protocol):
    """Gives the result of one sample, in the pixels of its original image.

    The result is one of :mod:`mobileseg.structures`, or whatever else the task's scorer takes in. A predictor with
    ``wants_raw = True`` gets samples as decoded, any other one after the transforms.
    """

    def __call__(self, sample: Sample) -> Any: ...


@runtime_checkable
class FollowsObjects(Protocol):
    """A predictor whose network follows objects by itself, so that the tracker has nothing to add."""

    def for_stream(self, track: bool | Mapping[str, Any] | TrackingOptions | None) -> Predictor:
        """The same for frames of another source, which reports ids or not.

        Args:
            track: False for no ids; True or options for the objects of tracks alone; None for what the task does by
                itself.

        Raises:
            RuntimeEngineError: an option that only the tracker has.
            ConfigError: options that cannot be used.
        """
        ...


class ProcessGroup(Protocol):
    """What evaluation needs of :class:`mobileseg.training.distributed.Processes`."""

    rank: int
    count: int

    def sum_counts(self, counts: np.ndarray) -> np.ndarray: ...

    def gather(self, message: bytes) -> list[bytes]: ...


class EvaluationDataset(Protocol):
    """What evaluation needs of every dataset; each scorer needs more of those of its task."""

    task: str
    classes: tuple[str, ...]
    num_classes: int

    def __len__(self) -> int: ...

    def sequences(self) -> Sequence[Sequence[int]]:
        """Indices of what belongs together in time, in its order; an image by itself is a sequence of one."""

    def load(self, index: int) -> Sample: ...

    def prepare(self, key: int) -> Sample: ...


class Scorer(Protocol):
    """Takes in results one by one and turns them into scores."""

    def update(self, index: int, sample: Sample, result: Any) -> None:
        """Take in the result of image ``index`` of the dataset.

        Raises:
            DataError: the image cannot be scored.
        """

    def reduce(self, processes: ProcessGroup) -> None:
        """Take in what the other processes took in."""

    def scores(self) -> Scores:
        """The scores of everything taken in so far."""


class TrainingTask(Protocol):
    """A task's module ``training``."""

    ACCEPTS: tuple[str, ...]
    """Further tasks on whose datasets networks of this one train and are evaluated."""

    RESIZABLE: bool
    """Whether the batches of its datasets can be resized as a whole (``multi_scale``); not where it is missing."""

    IMITATED: tuple[str, ...]
    """Keys of the section ``distill`` that say what of a teacher's outputs is imitated."""

    def steps(self, network: Any, criterion: Any, dataset: Any, settings: Mapping[str, Any]) -> list[Step]:
        """The steps of one iteration, usually one: what each of them minimises, and on which data.

        Args:
            network: as it will be trained.
            criterion: of the ``loss`` section, ``(outputs, batch) -> {name: loss}``.
            dataset: of ``train_dataset``.
            settings: resolved configuration.
        """

    def predictor(self, network: Any, settings: Mapping[str, Any], test_config: Mapping[str, Any]) -> Predictor:
        """What evaluates a network in evaluation mode.

        Args:
            network: of this task.
            settings: resolved configuration.
            test_config: its section of that name, or what takes its place.

        Raises:
            ConfigError: ``test_config`` cannot be used with this network.
        """

    def scorer(self, dataset: Any, **options: Any) -> Scorer:
        """The scorer of a dataset; ``options`` are those of :meth:`scorer_options`."""

    def require(self, dataset: Any, where: str) -> None:
        """Refuse a dataset that cannot be trained or evaluated on, before that has cost anything.

        Args:
            dataset: of this task.
            where: its section, for the message.

        Raises:
            DataError: for instance, an image has no label.
        """

    def scorer_options(self, flags: argparse.Namespace, test_config: Mapping[str, Any]) -> dict[str, Any]:
        """Options of the scorer by the flags of ``mobileseg val``.

        Raises:
            ConfigError: a flag, or a value of ``test_config``, is not for this task.
        """

    def evaluated_with(self, settings: Mapping[str, Any], test_config: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that belong beside the scores of a network, as JSON values."""

    def save_results(self, scorer: Any, path: Path) -> str:
        """Write what was found into a file (``val --save_results``); returns what was written, for the reader.

        Raises:
            OSError: the file cannot be written.
        """

    def renamed(self, predict: Predictor, indices: np.ndarray) -> Predictor:
        """A predictor whose results have the class indices of a dataset.

        Args:
            predict: gives results with the model's.
            indices: int64 [model's classes]: index in the dataset, -1 for a class that it does not have.

        Raises:
            ConfigError: results of this task cannot leave a class out.
        """

    def classes_in(self, dataset: Any, index: int) -> Iterable[int]:
        """Indices of the classes that are annotated in an image; others (ignored pixels) may be among them.

        Raises:
            DataError: the annotation cannot be read.
        """


def training_of(owner: Any) -> TrainingTask:
    """The module of an owner's task, see :func:`mobileseg.tasks.stage`."""
    return cast("TrainingTask", stage(owner, "training"))
