"""What showing results must know about a task: the contract of the modules ``visualize`` of the task packages.

``tasks.stage(owner, "visualize")`` is such a module. It gives a :class:`Visualizer` for the results of one model, and
it is the one place that reads the scores of its task out of JSON: what others show of them are numbers with names
(:class:`ShownScores`, :class:`Curves`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

History = Mapping[str, Sequence[Mapping[str, Any]]]
"""``train`` and ``eval`` events of a run (:func:`mobileseg.viz.history.read_history`)."""


class Model(Protocol):
    """Whose results are shown: a segmenter, or the classes of a dataset."""

    @property
    def name(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def palette(self) -> np.ndarray:
        """uint8 [K, 3], RGB."""

    @property
    def category_ids(self) -> Sequence[int] | None:
        """Numbers of the classes in COCO's results, where there are such."""


@dataclass(frozen=True)
class ModelFacts:
    """A :class:`Model` without the model, where a page shows what one has found."""

    name: str
    task: str
    classes: Sequence[str]
    palette: np.ndarray
    category_ids: Sequence[int] | None = None


class Visualizer(Protocol):
    """Shows the results of one model."""

    note: str
    """What a reader of a drawn example must know besides, '' for nothing."""

    def image(self, image: np.ndarray, result: Any) -> np.ndarray:
        """The overlay of an image, uint8 [H, W, 3] RGB; it may be higher than the image."""

    def frame(self, image: np.ndarray, result: Any) -> np.ndarray:
        """The overlay of a frame of a video; those of frames of one size have one size."""

    def example(self, image: np.ndarray, result: Any, *, names: bool = True) -> np.ndarray:
        """The overlay of an image in its own size, for a page that has the legend beside it."""

    def present(self, result: Any) -> np.ndarray:
        """Indices of the classes that :meth:`example` shows, int [n], ascending."""

    def write_mask(self, path: Path, result: Any) -> None:
        """Write the mask as PNG; a DataError when that fails."""

    def facts(self, result: Any, name: str | int) -> dict[str, Any]:
        """What JSON says of an image: ``height``, ``width`` and what was found.

        Args:
            result: of the image.
            name: path of the image without suffix, below the folder that was named; number of a frame.
        """

    def summary(self, result: Any) -> str:
        """One line for people."""


class ResultsFile(AbstractContextManager["ResultsFile"], Protocol):
    """One file with the results of all images; it appears when it is complete."""

    def add(self, facts: Mapping[str, Any]) -> None:
        """Take in the :meth:`Visualizer.facts` of an image."""


class TrackOutput(AbstractContextManager["TrackOutput"], Protocol):
    """Files about the tracks of one video."""

    def add(self, result: Any) -> None:
        """Take in the result of the next frame, which has track ids."""


class TrackOutputs(AbstractContextManager["TrackOutputs"], Protocol):
    """Files about the tracks of all videos of a run."""

    def video(self, name: str, fps: float) -> TrackOutput:
        """The files of one video: path without suffix, which no other one has, and frames per second."""


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        title: heading.
        form: format of a value; the dash of None needs none.
        minor: may be left out where there is little room.
    """

    title: str
    form: str = "{:.3f}"
    minor: bool = False


@dataclass(frozen=True)
class ScoreTable:
    """Rows of numbers under a name.

    Attributes:
        head: title of the names.
        columns: of the numbers.
        rows: (name, a value or None per column).
        by_class: row i is class i: it has the class's colour, the first value (0..1) a bar, and a class of which it is
            None is absent.
    """

    head: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    by_class: bool = False


@dataclass(frozen=True)
class ShownScores:
    """The scores of an evaluation, for showing.

    Attributes:
        headline: (name, value or None) of the numbers one looks for first; the one that decides is first.
        tables: what there is per class and besides.
        note: what the tables leave open, one line.
    """

    headline: tuple[tuple[str, float | None], ...] = ()
    tables: tuple[ScoreTable, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Curves:
    """Scores over the evaluations of a run.

    Attributes:
        title: what they are.
        values: name -> a value or None per evaluation.
    """

    title: str
    values: Mapping[str, Sequence[float | None]]


class Visualization(Protocol):
    """A module ``visualize`` of a task's package."""

    LOSS_PARTS: tuple[str, ...]
    """Names of the parts of the loss in the log, () where it is one number."""

    def visualizer(self, model: Model, *, opacity: float | None = None, min_score: float | None = None) -> Visualizer:
        """The visualizer of a model.

        Args:
            model: gives name, classes and colours.
            opacity: of the colours of overlays, 0..1; None takes the task's own.
            min_score: leave out what has a lower score, 0..1; None takes the task's own.

        Raises:
            ConfigError: a minimum score for a task without scores.
        """

    def results_file(self, folder: Path) -> ResultsFile | None:
        """The file in ``folder`` that takes the results of all images; None where the task has none."""

    def truth(self, sample: Any) -> Any:
        """The annotation of a :class:`~mobileseg.data.sample.Sample` as a result; None when it has none."""

    def scores(self, scores: Mapping[str, Any]) -> ShownScores:
        """What ``scores.json``, an ``eval`` event or an evaluation holds; what is not there is left out."""

    def curves(self, evals: Sequence[Mapping[str, Any]]) -> Curves:
        """The scores of ``eval`` events."""


class ObjectVisualization(Visualization, Protocol):
    """The same of a task whose results have objects, which can have ids that stay through a video.

    A module with ``TRACKS_BY_DEFAULT = True`` has them tracked unless the caller wants none.
    """

    def track_files(self, folder: Path, kinds: Collection[str], model: Model) -> TrackOutputs:
        """Files about tracks below ``folder``: 'csv' statistics, 'mots' text, 'ytvis' results."""
