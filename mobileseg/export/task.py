"""What export asks of a task: its module ``export`` gives the functions of `ExportStage`, and an `ExportTask`.

Converters, processes, the search for culprits and the layout of a folder are the same for every network. What
differs is here: the layers that are exported, the names of their outputs, what is kept of the reference, when two
answers agree, and how outputs become a result.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from mobileseg.export.golden import GoldenItem, Reference
from mobileseg.export.options import ExportOptions
from mobileseg.export.tolerance import Agreement
from mobileseg.names import MAIN
from mobileseg.runtime.specs import OutputSpec

if TYPE_CHECKING:
    from mobileseg.nn.graphs import Deployment, NetworkGraph
    from mobileseg.runtime.manifest import Manifest


class ExportTask(abc.ABC):
    """The networks of one task, as export sees them. Importing an implementation imports no Paddle."""

    name: ClassVar[str]
    """Key of the table of tasks."""
    results: ClassVar[str] = "results"
    """What :meth:`compare` counts, in the plural, for people."""
    pipelines: ClassVar[tuple[str, ...]] = (MAIN,)
    """What the frames of a short stream run in which every graph runs at least once."""
    golden_note: ClassVar[str] = "inputs and scores are stored at every stride.<i>-th pixel"

    def deployment(self, network: Any, options: ExportOptions) -> Deployment:
        """The graphs of a network at the size of the export."""
        from mobileseg.nn.graphs import deployment

        return deployment(network, (options.height, options.width))

    def frames(self, image: np.ndarray) -> list[np.ndarray]:
        """The frames of such a stream made of one image, uint8 [h,w,3] each."""
        return [image]

    def check(self, options: ExportOptions) -> None:  # noqa: B027  # most options suit every task
        """Raises ExportError when the options make no sense for this task."""

    def form(self, target: str, options: ExportOptions) -> ExportOptions:
        """The form that a target gets; other than ``options`` where the target lacks an operator."""
        return options

    def unfit(self, target: str, options: ExportOptions) -> str:
        """Why a target cannot have this form, '' when it can."""
        return ""

    @abc.abstractmethod
    def output_names(self, graph: str, options: ExportOptions) -> tuple[str, ...]:
        """Names of a graph's outputs, in order."""

    @abc.abstractmethod
    def wrapper(self, graph: NetworkGraph, options: ExportOptions) -> Any:
        """The Paddle layer that is exported: a graph between its deployment input and output forms.

        It takes the inputs of the graph in their order and returns tensors in the order of `output_names`.
        """

    def record(
        self, network: Any, options: ExportOptions, images: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]
    ) -> tuple[GoldenItem, ...]:
        """Run the network in evaluation mode and keep frames that its graphs must reproduce.

        A network that keeps something from frame to frame makes sequences of them; see
        :func:`mobileseg.export.recording.build_reference` for the arguments.
        """
        import paddle

        from mobileseg.export.recording import record_images

        with paddle.no_grad():
            return record_images(self, network, options, images, sizes)

    def item(self, network: Any, options: ExportOptions, image: np.ndarray, fed: np.ndarray, batch: Any) -> GoldenItem:
        """Run the network on one image and keep what a graph must reproduce; of tasks that do not override `record`.

        Args:
            network: Paddle layer in evaluation mode.
            options: form of the export.
            image: uint8 [h,w,3] RGB.
            fed: what the graph is fed for it.
            batch: Paddle tensor float32 [1,3,H,W], what the network is fed for it.

        Raises:
            ExportError: outputs that are not finite.
        """
        raise NotImplementedError

    def settle(self, item: GoldenItem) -> GoldenItem:
        """Complete an item that was taken into the reference."""
        return item

    @abc.abstractmethod
    def load_item(self, arrays: Mapping[str, np.ndarray]) -> GoldenItem:
        """The inverse of `Item.stored`; raises KeyError where an array is missing."""

    def common_arrays(self) -> dict[str, np.ndarray]:
        """What golden.npz keeps beside the items."""
        return {}

    def weakness(self, reference: Reference, num_classes: int) -> str:
        """Why the reference could not tell a right graph from a wrong one, '' when it can."""
        present, needed = len(reference.classes_present), min(NEEDED_CLASSES, num_classes)
        if present >= needed:
            return ""
        return (
            f"weak verification: on {reference.source} the network shows only {present} of its {num_classes} classes "
            f"({', '.join(map(str, reference.classes_present))}); at least {needed} are needed to tell a right graph "
            "from a wrong one"
        )

    @abc.abstractmethod
    def compare(
        self, answers: Sequence[Mapping[str, np.ndarray]], items: Sequence[Any], specs: Sequence[OutputSpec]
    ) -> Agreement:
        """Compare an engine's answers (output name -> array) with the reference, item by item."""

    def shared(self, answers: Sequence[Mapping[str, np.ndarray]], items: Sequence[Any], agreement: Agreement) -> float:
        """Share of results, 0..1, that a graph of lower precision has in common with its reference."""
        return agreement.equal

    @abc.abstractmethod
    def result_problems(self, manifest: Manifest, reference: Reference) -> list[str]:
        """From the reference's stored outputs to results, by the functions that every runtime uses."""

    def write_files(self, stage: Path) -> None:  # noqa: B027  # a semantic graph needs none
        """Write what a runtime needs beside the graphs."""

    @abc.abstractmethod
    def outputs(
        self, graph: str, options: ExportOptions, reference: Reference, num_classes: int, target: str = ""
    ) -> tuple[OutputSpec, ...]:
        """What a graph returns; what the file of one target returns, when it is named."""

    def settings(self) -> dict[str, Any] | None:
        """The task's section of the manifest."""
        return None

    def deploy_block(self, options: ExportOptions) -> dict[str, Any] | None:
        """PaddleSeg's ``Deploy:`` block, if its script can use the graph."""
        return None


class ExportStage(Protocol):
    """The module ``export`` of a task."""

    FOREIGN: tuple[str, ...]
    """Fields of `ExportOptions` that only other tasks have."""

    def task_for(self, network: Any, options: ExportOptions, settings: Mapping[str, Any] | None) -> ExportTask:
        """The task of a network in memory.

        Args:
            network: the network.
            options: form of the export, already known to suit the task's own `ExportTask.check`.
            settings: what `settings_from` gave; None means the defaults.
        """

    def task_of(self, folder: Path, manifest: Manifest) -> ExportTask:
        """The task of an artefact."""

    def settings_from(self, config: Mapping[str, Any], dataset: Any) -> dict[str, Any] | None:
        """What the manifest's section needs of a resolved configuration and the validation dataset (or None)."""


NEEDED_CLASSES = 3
"""Classes that must appear in the reference: a graph that always answers 'background' proves nothing."""
