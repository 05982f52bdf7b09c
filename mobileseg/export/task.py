"""What an export must know about a family of networks, behind one interface.

Converters, processes, the search for culprits and the layout of a folder are the same for every network. What
differs is here: the layer that is exported, the names of its outputs, what is kept of the reference, when two
answers agree, and how outputs become a result. `semantic.py` and `instance.py` implement it; `tasks.py` finds
the one that a network or a folder has.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from mobileseg.export.golden import Item, Reference
from mobileseg.export.options import ExportOptions
from mobileseg.export.tolerance import Agreement
from mobileseg.runtime.specs import OutputSpec

if TYPE_CHECKING:
    from mobileseg.runtime.manifest import Manifest


class Task(abc.ABC):
    """One family of networks, as export sees it. Importing an implementation imports no Paddle."""

    name: ClassVar[Literal["semantic", "instance"]]
    measure: ClassVar[Literal["labels_equal", "detections_equal"]]
    """Which share of a row of the table :meth:`compare` counts."""
    golden_note: ClassVar[str] = "inputs and scores are stored at every stride.<i>-th pixel"
    foreign: ClassVar[tuple[str, ...]] = ()
    """Fields of the options that only another task has."""

    def check(self, options: ExportOptions) -> None:  # noqa: B027  # most options suit every task
        """Raises ExportError when the options make no sense for this task."""

    def form(self, target: str, options: ExportOptions) -> ExportOptions:
        """The form that a target gets; other than ``options`` where the target lacks an operator."""
        return options

    def unfit(self, target: str, options: ExportOptions) -> str:
        """Why a target cannot have this form, '' when it can."""
        return ""

    @abc.abstractmethod
    def output_names(self, options: ExportOptions) -> tuple[str, ...]:
        """Names of the graph's outputs, in order."""

    @abc.abstractmethod
    def wrapper(self, network: Any, options: ExportOptions) -> Any:
        """The Paddle layer that is exported: the network between its deployment input and output forms."""

    @abc.abstractmethod
    def item(self, network: Any, options: ExportOptions, image: np.ndarray, fed: np.ndarray, batch: Any) -> Item:
        """Run the network and keep what a graph must reproduce.

        Args:
            network: Paddle layer in evaluation mode.
            options: form of the export.
            image: uint8 [h,w,3] RGB.
            fed: what the graph is fed for it.
            batch: Paddle tensor float32 [1,3,H,W], what the network is fed for it.

        Raises:
            ExportError: outputs that are not finite.
        """

    def settle(self, item: Item) -> Item:
        """Complete an item that was taken into the reference."""
        return item

    @abc.abstractmethod
    def load_item(self, arrays: Mapping[str, np.ndarray]) -> Item:
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
        self, options: ExportOptions, reference: Reference, num_classes: int, target: str = ""
    ) -> tuple[OutputSpec, ...]:
        """What the graphs return; what the file of one target returns, when it is named."""

    @abc.abstractmethod
    def manifest_fields(self, options: ExportOptions) -> dict[str, Any]:
        """Fields of the manifest that only this task has, and PaddleSeg's ``Deploy:`` block if that can be used."""


NEEDED_CLASSES = 3
"""Classes that must appear in the reference: a graph that always answers 'background' proves nothing."""
