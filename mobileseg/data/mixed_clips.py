"""Clips of several datasets in one, drawn by ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mobileseg.data.instances import Instances
from mobileseg.data.parts import JoinedDataset, read_parts
from mobileseg.data.sample import Sample
from mobileseg.data.video_base import Video, VideoDataset
from mobileseg.errors import ConfigError
from mobileseg.registry import DATASETS


@DATASETS.add_component
class MixedClips(JoinedDataset, VideoDataset):
    """Clips of several datasets with the same classes, for training: real, generated and pseudo clips.

    Which part a sample comes from is drawn by the ratios, and the clip evenly from that part, so an epoch is a number
    of samples and not a pass over the data.

    Attributes:
        parts: the datasets.

    Args:
        parts: at least two mappings with ``dataset``, the section of a dataset with ``clip``, without transforms, and
            ``ratio`` (above 0); without any ratio every frame that begins a clip is drawn once per epoch.
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
        self._joined = read_parts("MixedClips", parts, _check_part)
        self.parts = self._joined.datasets
        _require_alike(self.parts)
        first = self.parts[0]
        videos: list[Video] = []
        for start, part in zip(self._joined.starts[:-1].tolist(), self.parts, strict=True):
            for video in part.videos:
                frames = range(video.frames.start + start, video.frames.stop + start)
                videos.append(video._replace(frames=frames, identifier=len(videos) + 1))
        super().__init__(
            [item for part in self.parts for item in part.items],
            videos,
            None,
            annotated=self._joined.each(lambda part, index: part.annotated(index)),
            mode=mode,
            transforms=transforms,
            classes=first.classes,
            category_ids=first.category_ids,
            file_names=self._joined.each(lambda part, index: part.file_name(index)),
            keep_empty=all(part.keep_empty for part in self.parts),
            seed=seed,
            source=" and ".join(part.source for part in self.parts),
        )
        self.clip = first.clip

    def objects(self, index: int) -> Instances:
        """The objects of a frame in its original size."""
        part, own = self._joined.place(index)
        found: Instances = part.objects(own)
        return found

    def load(self, index: int) -> Sample:
        """Decode a frame and its objects."""
        part, own = self._joined.place(index)
        sample: Sample = part.load(own)
        return sample

    def frames_of(self, index: int, rng: np.random.Generator) -> list[Sample]:
        """The frames of the clip that begins at a frame, before the transforms."""
        part, own = self._joined.place(index)
        frames: list[Sample] = part.frames_of(own, rng)
        return frames


def _check_part(where: str, dataset: Any) -> None:
    usable = isinstance(dataset, VideoDataset) and not isinstance(dataset, MixedClips)
    if not usable or dataset.clip is None or dataset.evaluates:
        raise ConfigError(
            f"MixedClips: {where} is a {type(dataset).__name__} that gives no clips of its own for training",
            remedy="write clip: 2 and mode: train there, or make clips of stills with PseudoClips",
        )


def _require_alike(datasets: Sequence[VideoDataset]) -> None:
    first = datasets[0]
    for number, dataset in enumerate(datasets):
        if dataset.clip != first.clip or dataset.classes != first.classes:
            raise ConfigError(
                f"MixedClips: parts.{number} has clips of {dataset.clip} frames and the classes "
                f"{', '.join(dataset.classes[:8])}, parts.0 clips of {first.clip} and {', '.join(first.classes[:8])}",
                remedy="give all parts the same clip, and the same classes in the same order (classes: [...])",
            )
