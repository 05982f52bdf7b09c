"""How YolactEdge is evaluated on videos of which some frames are annotated (Liu et al. 2021, arXiv:2012.12259).

What a network knows about a frame depends on how long ago the last key frame was. So every video is run several times,
with the key frames at another place each time, and the annotated frames of all passes are scored together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from mobileseg.data.instances import Instances
from mobileseg.data.sample import Sample
from mobileseg.errors import ConfigError, DataError


@dataclass(frozen=True)
class FramePlan:
    """What is done with a frame in one pass.

    Attributes:
        key: whether the whole network runs; otherwise it uses what it kept of an earlier frame.
        scored: whether the result counts.
        source: position of the frame whose features are used, its own for a key frame.
    """

    key: bool
    scored: bool
    source: int

    @property
    def needed(self) -> bool:
        """Whether the pass has the same scores without it: a frame that is neither key nor scored changes nothing."""
        return self.key or self.scored


def schedule(numbers: Sequence[int], annotated: Sequence[bool], every: int = 5, offset: int = 0) -> list[FramePlan]:
    """The frames of a video in one pass.

    A frame is a key frame when its number modulo ``every`` is ``offset``; so are all frames before the first such one.

    Args:
        numbers: of the frames, usually those in the names of their files: a video may begin at any number.
        annotated: whether a frame is; without any annotated frame all of them are scored.
        every: frames from one key frame to the next.
        offset: number of the pass, 0 to ``every`` - 1.
    """
    plans: list[FramePlan] = []
    begun = False
    for position, (number, known) in enumerate(zip(numbers, annotated, strict=True)):
        due = number % every == offset
        begun = begun or due
        key = due or not begun
        plans.append(FramePlan(key, known or not any(annotated), position if key else plans[-1].source))
    return plans


class KeyFramePasses:
    """Videos as a dataset in which each of them comes once for every place of the key frames.

    Samples say in ``meta['key']`` whether their frame is a key frame. A scorer of videos pools the passes: each has
    frames and videos with ids of its own, those of the first pass being the dataset's. Whatever is not said here is the
    dataset's.

    Attributes:
        videos: name, frames, file numbers and id of every video in every pass.

    Args:
        dataset: videos with annotated objects.
        every: frames from one key frame to the next, and number of passes.
        whole: run the frames too that change no score of frames; they are needed to measure time and by a tracker.
        skip_empty: leave out every video that has an annotated frame without objects, as the authors' code does.

    Raises:
        ConfigError: ``every`` is not positive.
        DataError: ``skip_empty`` leaves out all videos.
    """

    def __init__(self, dataset: Any, every: int = 5, *, whole: bool = False, skip_empty: bool = False) -> None:
        if every < 1:
            raise ConfigError(f"key frames come every {every} frames", remedy="use a whole number of at least 1")
        self.dataset = dataset
        self.every = every
        kept = [video for video in dataset.videos if not (skip_empty and self._has_empty_frame(video))]
        if not kept:
            raise DataError(
                "every video has an annotated frame without objects, so none is left to evaluate",
                remedy="evaluate without leaving such videos out",
            )
        self._image_step = max(dataset.image_id(index) for index in range(len(dataset))) + 1
        self._video_step = max(video.identifier for video in dataset.videos) + 1
        self._frames: list[tuple[int, int, FramePlan]] = []  # pass, index in the dataset, plan
        self.videos: list[Any] = []
        for offset, video in product(range(every), kept):
            plans = schedule(video.numbers, [dataset.annotated(index) for index in video.frames], every, offset)
            begin = len(self._frames)
            chosen = [position for position, plan in enumerate(plans) if whole or plan.needed]
            self._frames += [(offset, video.frames[position], plans[position]) for position in chosen]
            self.videos.append(
                video._replace(
                    frames=range(begin, len(self._frames)),
                    numbers=tuple(video.numbers[position] for position in chosen),
                    identifier=video.identifier + offset * self._video_step,
                )
            )

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self._frames)

    def sequences(self) -> Sequence[Sequence[int]]:
        """Frames of each video in each pass."""
        return [video.frames for video in self.videos]

    def plan(self, index: int) -> FramePlan:
        """What is done with a frame; ``source`` is a position in the whole video."""
        return self._frames[index][2]

    def load(self, index: int) -> Sample:
        """The decoded sample."""
        return self._marked(index, self.dataset.load(self._frames[index][1]))

    def prepare(self, key: int) -> Sample:
        """The transformed sample."""
        return self._marked(key, self.dataset.prepare(self._frames[key][1]))

    def objects(self, index: int) -> Instances:
        """The objects of a frame in its original size."""
        found: Instances = self.dataset.objects(self._frames[index][1])
        return found

    def annotated(self, index: int) -> bool:
        """Whether the objects of a frame are known."""
        return bool(self.dataset.annotated(self._frames[index][1]))

    def file_name(self, index: int) -> str:
        """Name of a frame as its annotations have it."""
        return str(self.dataset.file_name(self._frames[index][1]))

    def image_id(self, index: int) -> int:
        """Id of a frame in a pass."""
        offset, source, _ = self._frames[index]
        return int(self.dataset.image_id(source)) + offset * self._image_step

    def coco_ground_truth(self) -> dict[str, Any]:
        """The annotated frames of all passes and their objects as a COCO instances document."""
        truth = self.dataset.coco_ground_truth()
        kept = {self.image_id(index) for index in range(len(self))}
        shifts = [offset * self._image_step for offset in range(self.every)]
        images = [_moved(image, "id", shift) for shift in shifts for image in truth["images"]]
        objects = [_moved(one, "image_id", shift) for shift in shifts for one in truth["annotations"]]
        return {
            **truth,
            "images": [image for image in images if image["id"] in kept],
            "annotations": [
                {**one, "id": number}
                for number, one in enumerate((one for one in objects if one["image_id"] in kept), start=1)
            ],
        }

    def video_ground_truth(self) -> dict[str, Any]:
        """The annotated frames of all passes and their tracks as a YouTube-VIS document."""
        truth = self.dataset.video_ground_truth()
        kept = {video.identifier for video in self.videos}
        shifts = [offset * self._video_step for offset in range(self.every)]
        videos = [_moved(video, "id", shift) for shift in shifts for video in truth["videos"]]
        tracks = [_moved(one, "video_id", shift) for shift in shifts for one in truth["annotations"]]
        return {
            **truth,
            "videos": [video for video in videos if video["id"] in kept],
            "annotations": [
                {**one, "id": number}
                for number, one in enumerate((one for one in tracks if one["video_id"] in kept), start=1)
            ],
        }

    def _has_empty_frame(self, video: Any) -> bool:
        return any(self.dataset.annotated(i) and not len(self.dataset.objects(i)) for i in video.frames)

    def _marked(self, index: int, sample: Sample) -> Sample:
        sample.meta["key"] = self._frames[index][2].key
        return sample


def _moved(entry: Mapping[str, Any], key: str, shift: int) -> dict[str, Any]:
    """The entry of another pass."""
    return {**entry, key: entry[key] + shift}
