"""Golden data: what an artefact keeps of the network in memory, run on real images.

``golden.npz`` holds frames; for the frame ``i`` of every task:

- ``image.i`` uint8 [h,w,3] RGB; ``input.i`` what graphs are fed; ``output.i.<name>`` what they must answer, for all
  tensors that the graphs of the frame's pipeline give;
- ``pipeline.i`` name of the pipeline that the frame runs, 'main' when it is missing; ``sequence.i`` number of the
  stream that it belongs to: frames of one number run in their order and keep what the manifest says; without it a
  frame is a stream by itself;
- ``stride.i`` int: inputs are kept at every stride-th pixel, so that the file stays small;
- ``scale.i.<name>`` standard deviation of the whole output;
- ``normalize`` float32 [2,3]: mean and standard deviation that the network was trained with;

and what the task adds (:mod:`mobileseg.semantic.export`, :mod:`mobileseg.instance.golden`).
"""

from __future__ import annotations

import abc
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mobileseg.errors import ExportError
from mobileseg.names import MAIN


class Frame(NamedTuple):
    """What an engine is fed for one frame.

    Attributes:
        pipeline: graphs to run.
        sequence: frames of one number are one stream.
        input: tensor of the image.
    """

    pipeline: str
    sequence: int
    input: np.ndarray


@dataclass(frozen=True, kw_only=True)
class GoldenItem(abc.ABC):
    """One frame on its way through the network.

    Attributes:
        image: uint8 [h,w,3] RGB.
        input: what graphs are fed, at every ``stride``-th pixel.
        outputs: what they must answer, by name.
        scales: standard deviation of outputs.
        stride: 1 unless this was read from golden.npz.
        pipeline: graphs that the frame runs.
        sequence: number of its stream; None when the frame is a stream by itself.
    """

    image: np.ndarray
    input: np.ndarray
    outputs: dict[str, np.ndarray]
    scales: dict[str, float]
    stride: int = 1
    pipeline: str = MAIN
    sequence: int | None = None

    @abc.abstractmethod
    def shown(self) -> set[int]:
        """Classes in the result."""

    def richness(self) -> int:
        """Decides between images that show equally many new classes."""
        return 0

    @abc.abstractmethod
    def stored(self, first: bool) -> dict[str, np.ndarray]:
        """Arrays for golden.npz, ``<key>`` or ``<key>.<name>``; the first item may take more space."""


@dataclass(frozen=True)
class Reference:
    """Several items of one network.

    Attributes:
        items: the frames.
        normalize: float32 [2,3], mean and std.
        source: where the images are from, for people.
        common: arrays that the task keeps beside the items.
    """

    items: tuple[Any, ...]
    normalize: np.ndarray
    source: str = ""
    common: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def classes_present(self) -> tuple[int, ...]:
        """Classes that some item shows."""
        return tuple(sorted(set().union(*(item.shown() for item in self.items))))

    def frames(self, inputs: list[np.ndarray] | None = None) -> list[Frame]:
        """What an engine is fed; ``inputs`` in place of those that are stored at a stride."""
        fed = inputs if inputs is not None else [item.input for item in self.items]
        return [
            Frame(item.pipeline, -1 - index if item.sequence is None else item.sequence, value)
            for index, (item, value) in enumerate(zip(self.items, fed, strict=True))
        ]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``golden.npz``."""
        arrays: dict[str, np.ndarray] = {"normalize": self.normalize, **self.common}
        for index, item in enumerate(self.items):
            kept = item.stored(first=index == 0)
            if item.sequence is not None:
                kept |= {"pipeline": np.array(item.pipeline), "sequence": np.array(item.sequence)}
            for key, value in kept.items():
                head, _, name = key.partition(".")
                arrays[f"{head}.{index}.{name}" if name else f"{head}.{index}"] = value
        np.savez_compressed(path, **arrays)


def load_reference(path: str | os.PathLike[str], load_item: Callable[[Mapping[str, np.ndarray]], Any]) -> Reference:
    """Read ``golden.npz``.

    Args:
        path: the file.
        load_item: makes a frame of its arrays; raises KeyError where one is missing.

    Raises:
        ExportError: the file is missing, damaged, or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        items: list[dict[str, np.ndarray]] = [{} for key in arrays if key.startswith("image.")]
        common = {}
        for key, value in arrays.items():
            head, _, rest = key.partition(".")
            index, _, name = rest.partition(".")
            if rest:
                items[int(index)][f"{head}.{name}" if name else head] = value
            else:
                common[key] = value
        normalize = common.pop("normalize")
        return Reference(tuple(load_item(item) for item in items), normalize, "golden.npz", common)
    except (OSError, ValueError, KeyError, IndexError, AttributeError, zipfile.BadZipFile) as error:
        raise ExportError(
            f"{path} cannot be read as the reference of an artefact: {error}", remedy="export the folder again"
        ) from error


def loaded_fields(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The fields of `GoldenItem` from the arrays of a frame; raises KeyError where one is missing."""
    sequence = arrays.get("sequence")
    return {
        "image": arrays["image"],
        "input": arrays["input"],
        "outputs": named(arrays, "output"),
        "scales": {name: float(value) for name, value in named(arrays, "scale").items()},
        "stride": int(arrays["stride"]),
        "pipeline": str(arrays.get("pipeline", MAIN)),
        "sequence": None if sequence is None else int(sequence),
    }


def subsample(array: np.ndarray, stride: int) -> np.ndarray:
    """Every stride-th pixel of [1,C,H,W] or [1,H,W,C], C at most 4."""
    if stride == 1:
        return array
    if array.ndim == 4 and array.shape[3] <= 4 < array.shape[1]:
        return array[:, ::stride, ::stride]
    return array[:, :, ::stride, ::stride]


def stride_for(size: int, budget: int) -> int:
    """The smallest stride that brings an array of ``size`` bytes below a budget."""
    stride = 1
    while size / stride**2 > budget:
        stride += 1
    return stride


def named(arrays: Mapping[str, np.ndarray], head: str) -> dict[str, np.ndarray]:
    """Arrays ``<head>.<name>`` by name."""
    return {key[len(head) + 1 :]: value for key, value in arrays.items() if key.startswith(f"{head}.")}
