"""Clips of several datasets in one, drawn by ratios."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from mobileseg.data.instances import Instances
from mobileseg.data.nested import nested_dataset
from mobileseg.data.sample import Sample
from mobileseg.data.video_base import Video, VideoDataset
from mobileseg.errors import ConfigError
from mobileseg.limits import shown
from mobileseg.registry import DATASETS


@DATASETS.add_component
class MixedClips(VideoDataset):
    """Clips of several datasets with the same classes, for training: real, generated and pseudo clips.

    Which part a sample comes from is drawn by the ratios, and the clip evenly from that part, so an epoch is a number
    of samples and not a pass over the data.

    Attributes:
        parts: the datasets.
        shares: float64 [parts], how often each is drawn from; their sum is 1.

    Args:
        parts: at least two mappings with ``ratio`` (above 0) and ``dataset``, the section of a dataset with ``clip``,
            without transforms.
        transforms: steps of the pipeline.
        mode: 'train'.
        seed: start of all random choices.

    Raises:
        DataError: see the datasets.
        ConfigError: parts that cannot be used, or do not go together.
    """

    def __init__(
        self,
        parts: Sequence[Mapping[str, Any]],
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        seed: int = 0,
    ) -> None:
        if mode != "train":
            raise ConfigError(f"MixedClips has no mode {mode!r}", remedy="evaluate on one of the datasets")
        ratios, self.parts = _parts(parts)
        self.shares = ratios / ratios.sum()
        self._starts = np.cumsum([0, *(len(part) for part in self.parts)])
        first = self.parts[0]
        videos: list[Video] = []
        for start, part in zip(self._starts[:-1].tolist(), self.parts, strict=True):
            for video in part.videos:
                frames = range(video.frames.start + start, video.frames.stop + start)
                videos.append(video._replace(frames=frames, identifier=len(videos) + 1))
        super().__init__(
            [item for part in self.parts for item in part.items],
            videos,
            None,
            annotated=[part.annotated(index) for part in self.parts for index in range(len(part))],
            mode=mode,
            transforms=transforms,
            classes=first.classes,
            category_ids=first.category_ids,
            file_names=[part.file_name(index) for part in self.parts for index in range(len(part))],
            keep_empty=all(part.keep_empty for part in self.parts),
            seed=seed,
            source=" and ".join(part.source for part in self.parts),
        )
        self.clip = first.clip

    def drawing_from(self, indices: np.ndarray) -> MixedClips:
        """This dataset with parts that draw nothing but these frames, in the same ratios."""
        mixed = cast("MixedClips", super().drawing_from(indices))
        mixed.parts = []
        for part, start, end in zip(self.parts, self._starts[:-1], self._starts[1:], strict=True):
            own = indices[(indices >= start) & (indices < end)] - start
            mixed.parts.append(cast("VideoDataset", part.drawing_from(own)))
        return mixed

    def objects(self, index: int) -> Instances:
        """The objects of a frame in its original size."""
        part, own = self._place(index)
        return part.objects(own)

    def load(self, index: int) -> Sample:
        """Decode a frame and its objects."""
        part, own = self._place(index)
        return part.load(own)

    def frames_of(self, index: int, rng: np.random.Generator) -> list[Sample]:
        """The frames of the clip that begins at a frame, before the transforms."""
        part, own = self._place(index)
        return part.frames_of(own, rng)

    def transformed(self, index: int, rng: np.random.Generator) -> Sample:
        """A clip after all transforms: not that of ``index``, but one drawn by the ratios."""
        number = int(rng.choice(len(self.parts), p=self.shares))
        part = self.parts[number]
        return super().transformed(int(self._starts[number]) + part.drawn(int(rng.integers(len(part)))), rng)

    def _place(self, index: int) -> tuple[VideoDataset, int]:
        """The dataset of a frame, and its index there."""
        number = int(np.searchsorted(self._starts, index, "right")) - 1
        return self.parts[number], index - int(self._starts[number])


def _parts(sections: Any) -> tuple[np.ndarray, list[VideoDataset]]:
    """Ratios float64 [parts], and the datasets."""
    if not isinstance(sections, Sequence) or isinstance(sections, str) or len(sections) < 2:
        raise ConfigError(
            f"MixedClips: parts is {shown(sections)}; expected a list of at least two",
            remedy="write parts: [{ratio: 1, dataset: {...}}, {ratio: 2, dataset: {...}}]",
        )
    ratios, datasets = [], []
    for number, section in enumerate(sections):
        where = f"parts.{number}"
        if not isinstance(section, Mapping) or set(section) != {"ratio", "dataset"} or not _positive(section["ratio"]):
            raise ConfigError(
                f"MixedClips: {where} is {shown(section)}; expected ratio, a number above 0, and dataset",
                remedy="write {ratio: 1, dataset: {type: PseudoClips, stills: {...}}}",
            )
        dataset = nested_dataset(f"{where}.dataset", section["dataset"])
        usable = isinstance(dataset, VideoDataset) and not isinstance(dataset, MixedClips)
        if not usable or dataset.clip is None or dataset.evaluates:
            raise ConfigError(
                f"MixedClips: {where} is a {type(dataset).__name__} that gives no clips of its own for training",
                remedy="write clip: 2 and mode: train there, or make clips of stills with PseudoClips",
            )
        ratios.append(float(section["ratio"]))
        datasets.append(dataset)
    first = datasets[0]
    for number, dataset in enumerate(datasets):
        if dataset.clip != first.clip or dataset.classes != first.classes:
            raise ConfigError(
                f"MixedClips: parts.{number} has clips of {dataset.clip} frames and the classes "
                f"{', '.join(dataset.classes[:8])}, parts.0 clips of {first.clip} and {', '.join(first.classes[:8])}",
                remedy="give all parts the same clip, and the same classes in the same order (classes: [...])",
            )
    return np.array(ratios), datasets


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
