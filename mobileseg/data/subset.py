"""Some images of a dataset, as a dataset: evenly spaced ones to look at, or a drawn share to train on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from mobileseg.data.annotations import AnnotationTable
from mobileseg.data.instances import Instances
from mobileseg.data.sample import Sample
from mobileseg.data.tracks import video_document
from mobileseg.data.video_base import Video, VideoDataset
from mobileseg.errors import ConfigError

_RUN = 16


def subset_of(dataset: Any, count: int | None, *, without: Collection[int] = ()) -> ImageSubset:
    """About ``count`` images of a dataset: evenly spaced ones, or of videos, runs of frames from evenly spaced ones.

    Args:
        dataset: any dataset of the suite.
        count: how many images; None for all.
        without: indices that are left out; of videos, with the whole video.
    """
    return (VideoSubset if isinstance(dataset, VideoDataset) else ImageSubset)(dataset, count, without)


def share_of(dataset: Any, fraction: float, seed: int) -> tuple[Any, np.ndarray]:
    """A dataset that trains on a share of the images, of videos on a share of the videos.

    With one seed smaller shares are part of the larger ones.

    Args:
        dataset: for training.
        fraction: above 0, at most 1; at least one image or video is taken.
        seed: of the draw.

    Returns:
        The dataset, and int64 [n], the indices of its images in ascending order.

    Raises:
        ConfigError: the fraction is none, or the dataset cannot leave images out.
        DataError: nothing of the share can be trained on.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"{fraction:g} is no share of a dataset", remedy="use a number above 0 and at most 1")
    if not hasattr(dataset, "drawing_from"):
        raise ConfigError(
            f"{type(dataset).__name__} has no shares to train on",
            remedy="derive it from mobileseg.data.base.ImageDataset, or give it its method drawing_from",
        )
    sequences = dataset.sequences()
    count = max(1, round(fraction * len(sequences)))
    chosen = np.random.default_rng(seed).permutation(len(sequences))[:count]
    indices = np.sort(np.concatenate([np.asarray(sequences[number], np.int64) for number in chosen]))
    return dataset.drawing_from(indices), indices


class ImageSubset:
    """Evenly spaced images of a dataset of labels or objects; whatever is not said here is the dataset's.

    Args:
        dataset: any dataset of the suite.
        count: how many images; None, or more than there are, for all.
        without: indices that are left out.
    """

    def __init__(self, dataset: Any, count: int | None, without: Collection[int] = ()) -> None:
        left = sorted(set(range(len(dataset))) - set(without))
        size = len(left) if count is None else min(count, len(left))
        self.dataset = dataset
        self.indices = [left[index * len(left) // size] for index in range(size)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def items(self) -> list[Any]:
        """Image and label files."""
        return [self.dataset.items[index] for index in self.indices]

    def sequences(self) -> list[tuple[int]]:
        """Images that were taken evenly from everywhere do not follow each other."""
        return [(index,) for index in range(len(self))]

    def load(self, index: int) -> Sample:
        """The decoded sample."""
        return self.dataset.load(self.indices[index])

    def prepare(self, key: int) -> Sample:
        """The transformed sample."""
        return self.dataset.prepare(self.indices[key])

    def image_id(self, index: int) -> int:
        """Of a dataset of objects: id of an image in COCO's sense."""
        return int(self.dataset.image_id(self.indices[index]))

    def file_name(self, index: int) -> str:
        """Of a dataset of objects: name of an image as its annotations have it."""
        return str(self.dataset.file_name(self.indices[index]))

    def coco_ground_truth(self) -> dict[str, Any]:
        """Of a dataset of objects: the annotations of these images."""
        truth = self.dataset.coco_ground_truth()
        kept = {self.image_id(index) for index in range(len(self))}
        return {
            **truth,
            "images": [image for image in truth["images"] if image["id"] in kept],
            "annotations": [entry for entry in truth["annotations"] if entry["image_id"] in kept],
        }


class VideoSubset(ImageSubset):
    """The first frames of evenly spaced videos, 16 of each or more, because a stream shows itself in runs alone.

    Attributes:
        videos: with the indices of this dataset.

    Args:
        dataset: videos with annotated objects.
        count: how many frames; None, or more than there are, for all.
        without: indices whose videos are left out.
    """

    def __init__(self, dataset: VideoDataset, count: int | None, without: Collection[int] = ()) -> None:
        self.dataset = dataset
        videos = [video for video in dataset.videos if set(video.frames).isdisjoint(without)]
        whole = count is None or count >= sum(len(video.frames) for video in videos)
        number = len(videos) if whole else min(len(videos), max(1, (count or 0) // _RUN))
        longest = len(dataset) if whole else max(1, (count or 0) // number)
        self.indices = []
        self.videos: list[Video] = []
        for place in range(number):
            video = videos[place * len(videos) // number]
            frames = video.frames[:longest]
            begin = len(self.indices)
            self.indices += frames
            self.videos.append(
                video._replace(frames=range(begin, len(self.indices)), numbers=video.numbers[: len(frames)])
            )

    def sequences(self) -> list[Any]:
        """Frames of every video, in time order."""
        return [video.frames for video in self.videos]

    def annotated(self, index: int) -> bool:
        """Whether the objects of a frame are known."""
        return bool(self.dataset.annotated(self.indices[index]))

    def objects(self, index: int) -> Instances:
        """The objects of a frame in its original size."""
        found: Instances = self.dataset.objects(self.indices[index])
        return found

    @property
    def annotations(self) -> AnnotationTable:
        """The objects of these frames."""
        table: AnnotationTable = self.dataset.annotations.select_images(self.indices)
        return table

    def video_ground_truth(self) -> dict[str, Any]:
        """The annotated frames among these and their tracks as a YouTube-VIS document."""
        return video_document(self)
