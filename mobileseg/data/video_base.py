"""What all datasets of videos with annotated objects share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import PurePath
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mobileseg.data import clips
from mobileseg.data.annotations import AnnotationTable
from mobileseg.data.base import channels_first
from mobileseg.data.instance_base import InstanceDataset
from mobileseg.data.instances import Instances
from mobileseg.data.io import read_image
from mobileseg.data.items import Item
from mobileseg.data.sample import Sample, Transform
from mobileseg.data.tracks import video_document
from mobileseg.errors import ConfigError, DataError
from mobileseg.limits import shown
from mobileseg.tasks import VIDEO

MAX_CLIP = 32
"""Frames; a clip is held in memory as a whole."""

_LAST_NUMBER = re.compile(r"(\d{1,18})\D*$", re.ASCII)


class Video(NamedTuple):
    """One video of a dataset.

    Attributes:
        name: of its folder, or as its annotations have it.
        frames: indices of its items, in time order.
        numbers: file number of every frame, ascending: '00015.jpg' has 15. Frames that are missing between two others
            leave a gap here.
        identifier: id of the video in results.
    """

    name: str
    frames: range
    numbers: tuple[int, ...]
    identifier: int


class VideoDataset(InstanceDataset):
    """Videos whose frames, or some of them, have annotated objects with ids.

    The items are all frames of all videos. ``objects(index).ids`` are the ids of tracks: they follow an object through
    its video and are unique within it. The modes 'val' and 'test' give every frame, ``instances`` being None where
    nothing is known of it. Training draws annotated frames: number i of an epoch stands for the i-th frame that can be
    drawn, counted around, so that every one of them comes equally often.

    ``reference`` asks for an earlier frame of the same video beside every annotated one, as YolactEdge's joint training
    takes it (Liu et al. 2021; the distance is counted in file numbers). It has no truth; all transforms, photometric
    ones too, make the same draws for both. The first annotated frame of a video is then not drawn, nor is a frame
    without any earlier frame at such a distance.

    ``clip`` asks for that many annotated frames of a video, each ``gap`` annotated frames after the one before; the
    same draws again. See :func:`mobileseg.data.clips.clip_arrays` for the arrays.

    Attributes:
        videos: name, frames, file numbers.
        reference: lowest and highest distance, or None.
        clip: number of frames, or None.

    Args:
        items: frames and their annotation files.
        videos: which items belong together.
        annotations: objects of the items, in the same order, with track ids; None: :meth:`objects` is overridden.
        annotated: whether the objects of every item are known; None: of all.
        mode: 'train' (or another training part), 'val' or 'test'.
        transforms: ``transforms:`` list of a configuration, or built transforms.
        classes: names, one per class.
        category_ids: COCO id of every class; None: 1, 2, 3, ...
        image_ids: COCO id of every frame; None: 1, 2, 3, ...
        file_names: names of the frames for results; None: those of the files.
        keep_empty: train on annotated frames without objects too.
        reference: [lowest, highest] number of frames before the annotated one, at least 1.
        clip: frames per sample, at least 2.
        gap: [lowest, highest] number of annotated frames from one frame of a clip to the next; None: [1, 1].
        seed: start of all random choices.
        source: where the items come from, for messages.

    Raises:
        DataError: there is no frame, or none to train on.
        ConfigError: an argument cannot be used.
    """

    task = VIDEO
    pad_values: ClassVar[dict[str, int]] = InstanceDataset.pad_values | clips.PAD_VALUES

    def __init__(
        self,
        items: Sequence[Item],
        videos: Sequence[Video],
        annotations: AnnotationTable | None,
        *,
        annotated: Sequence[bool] | np.ndarray | None = None,
        mode: str,
        transforms: Sequence[Mapping[str, Any] | Transform] | None,
        classes: Sequence[str],
        category_ids: Sequence[int] | None = None,
        image_ids: Sequence[int] | None = None,
        file_names: Sequence[str] | None = None,
        keep_empty: bool = False,
        reference: Sequence[int] | None = None,
        clip: int | None = None,
        gap: Sequence[int] | None = None,
        seed: int = 0,
        source: str = "",
    ) -> None:
        self.videos = tuple(videos)
        self._annotated = np.ones(len(items), bool) if annotated is None else np.asarray(annotated, bool)
        self._video_of = np.repeat(np.arange(len(self.videos)), [len(video.frames) for video in self.videos])
        self.reference = None if reference is None else _limits("reference", reference)
        self.clip = None if clip is None else clip_length(clip)
        self.gap = (1, 1) if gap is None else _limits("gap", gap)
        super().__init__(
            items,
            annotations,
            mode=mode,
            transforms=transforms,
            classes=classes,
            category_ids=category_ids,
            image_ids=image_ids,
            file_names=file_names,
            keep_empty=keep_empty,
            seed=seed,
            source=source,
        )
        self._check_options(gap)
        self._drawable = None if self.evaluates else self._find_drawable()

    def sequences(self) -> Sequence[Sequence[int]]:
        """Indices of the frames of every video, in time order."""
        return [video.frames for video in self.videos]

    def video_of(self, index: int) -> int:
        """Number of the video that a frame belongs to."""
        return int(self._video_of[index])

    def annotated(self, index: int) -> bool:
        """Whether the objects of a frame are known; there may be none of them."""
        return bool(self._annotated[index])

    @property
    def reads_masks_late(self) -> bool:
        """Whether masks are read with their frames, so that looking at all of them takes time."""
        return self._table is None

    def keep_images_with_objects(self) -> None:
        """Takes nothing out: frames that are not drawn stand before and between those that are."""

    def load(self, index: int) -> Sample:
        """Decode a frame and its objects; those of a frame that is not annotated are None.

        Raises:
            DataError: see :meth:`InstanceDataset.load`.
        """
        if self.annotated(index):
            return super().load(index)
        path = self.items[index].image
        return Sample(read_image(path).astype(np.float32), None, {"image_path": str(path), "geometry": []})

    def transformed(self, index: int, rng: np.random.Generator) -> Sample:
        """Frame ``index`` after all transforms; ``meta['companions']`` has the other frames of the sample."""
        if self.evaluates or (self.reference is None and self.clip is None):
            return super().transformed(index, rng)
        lead, *others = self.frames_of(index, rng)
        companions = [clips.GuidedFrame(frame, lead.instances, lead.size) for frame in others]
        state = rng.bit_generator.state
        sample = self.moved(lead, rng)
        sample.meta["index"] = index
        sample.meta["companions"] = [
            frame.released(self.moved(frame.sample, clips.generator_at(state))) for frame in companions
        ]
        return sample

    def frames_of(self, index: int, rng: np.random.Generator) -> list[Sample]:
        """Frame ``index`` and those that ``reference`` or ``clip`` ask for beside it, loaded, before the transforms."""
        if self.reference is not None:
            earlier = self._earlier(index)
            lead, reference = self.load(index), self.load(earlier[int(rng.integers(len(earlier)))])
            reference.instances = None
            return [lead, reference]
        assert self.clip is not None
        later = self._later(index)
        position, chosen = 0, [index]
        for rest in range(self.clip - 1, 0, -1):  # frames still to find; each leaves room for those after it
            highest = min(self.gap[1], len(later) - position - self.gap[0] * (rest - 1))
            position += int(rng.integers(self.gap[0], highest + 1))
            chosen.append(int(later[position - 1]))
        return [self.load(one) for one in chosen]

    def arrays(self, sample: Sample) -> dict[str, np.ndarray]:
        """What ``dataset[key]`` gives, of a prepared sample.

        Returns:
            ``image``, ``boxes``, ``classes``, ``crowd``, ``masks`` and ``index`` as those of
            :class:`~mobileseg.data.instance_base.InstanceDataset`; with ``reference`` also ``reference`` float32
            [3, H, W]. With ``clip`` the arrays of :func:`mobileseg.data.clips.clip_arrays` and ``index`` instead.
        """
        companions = sample.meta.get("companions", [])
        if self.clip is not None and not self.evaluates:
            return clips.clip_arrays([sample, *companions]) | {"index": np.asarray(sample.meta["index"], np.int64)}
        if sample.instances is None:
            sample.instances = Instances.empty(sample.size)
        result = super().arrays(sample)
        if companions:
            companions[0].meta["index"] = sample.meta["index"]
            result["reference"] = channels_first(companions[0])["image"]
        return result

    def coco_ground_truth(self) -> dict[str, Any]:
        """The annotated frames and their objects as a COCO instances document; every mask has an id of its own."""
        truth = super().coco_ground_truth()
        kept = {self.image_id(index) for index in range(len(self)) if self.annotated(index)}
        masks = [entry for entry in truth["annotations"] if entry["image_id"] in kept]
        return {
            **truth,
            "images": [image for image in truth["images"] if image["id"] in kept],
            "annotations": [entry | {"id": number} for number, entry in enumerate(masks, 1)],
        }

    def video_ground_truth(self) -> dict[str, Any]:
        """The annotated frames and their tracks as a YouTube-VIS document."""
        return video_document(self)

    def _check_options(self, gap: Sequence[int] | None) -> None:
        asked = [name for name in ("reference", "clip") if getattr(self, name) is not None]
        if len(asked) == 2:
            raise ConfigError("reference and clip are both set", remedy="write one of them")
        if asked and self.evaluates:
            raise ConfigError(
                f"{asked[0]} is for training; mode '{self.mode}' gives every frame in order",
                remedy=f"remove {asked[0]}",
            )
        if gap is not None and self.clip is None:
            raise ConfigError("gap says how far apart the frames of a clip are, but clip is not set", remedy="set clip")

    def _find_drawable(self) -> np.ndarray:
        """int64 [n], the frames that training draws.

        Raises:
            DataError: there is none.
        """
        frames = np.flatnonzero(self._annotated)
        annotated = len(frames)
        if self._table is not None and not self.keep_empty:
            usable = self._table.usable()
            frames = frames[[bool(usable[self._table.starts[i] : self._table.starts[i + 1]].any()) for i in frames]]
        with_objects = len(frames)
        if self.reference is not None:
            frames = frames[[self._is_later(index) and len(self._earlier(index)) > 0 for index in frames]]
        if self.clip is not None:
            needed = (self.clip - 1) * self.gap[0]
            frames = frames[[len(self._later(index)) >= needed for index in frames]]
        if len(frames):
            return frames
        seen = f"{self.source}: {len(self.videos)} videos with {len(self)} frames, {annotated} of them annotated, "
        if with_objects == 0:
            raise DataError(
                f"{seen}none with an object of the classes {', '.join(self.classes[:8])}",
                remedy="check classes and the annotations, or write keep_empty: true to train on background alone",
            )
        what = (
            f"a clip of {self.clip} frames, {self.gap[0]} annotated frames apart"
            if self.reference is None
            else f"a reference {self.reference[0]} to {self.reference[1]} frames before an annotated frame"
        )
        raise DataError(
            f"{seen}but no video is long enough for {what}",
            remedy="use longer videos, or smaller numbers; a single image can become a clip with PseudoClips",
        )

    def _is_later(self, index: int) -> bool:
        """Whether an earlier frame of the video is annotated."""
        frames = self.videos[self.video_of(index)].frames
        return bool(self._annotated[frames.start : index].any())

    def _earlier(self, index: int) -> range:
        """The frames that may be the reference of a frame."""
        assert self.reference is not None
        video = self.videos[self.video_of(index)]
        number = video.numbers[index - video.frames.start]
        lowest, highest = number - self.reference[1], number - self.reference[0]
        start = int(np.searchsorted(video.numbers, lowest, "left"))
        stop = int(np.searchsorted(video.numbers, highest, "right"))
        return range(video.frames.start + start, video.frames.start + stop)

    def _later(self, index: int) -> np.ndarray:
        """The annotated frames of the video behind a frame."""
        stop = self.videos[self.video_of(index)].frames.stop
        return np.flatnonzero(self._annotated[index + 1 : stop]) + index + 1


def file_numbers(names: Sequence[str]) -> tuple[int, ...]:
    """The number in the name of every frame; positions 0, 1, 2, ... where the names do not count upwards."""
    found = [_LAST_NUMBER.search(PurePath(name).stem) for name in names]
    numbers = [int(match[1]) for match in found if match]
    ascending = all(one < other for one, other in pairwise(numbers))
    return tuple(numbers) if len(numbers) == len(names) and ascending else tuple(range(len(names)))


def _limits(name: str, value: Any) -> tuple[int, int]:
    whole = [part for part in value if isinstance(part, int) and not isinstance(part, bool)] if _is_pair(value) else []
    if len(whole) != 2 or not 1 <= whole[0] <= whole[1] <= 1_000_000:
        raise ConfigError(
            f"{name} is {shown(value)}; expected [lowest, highest], whole numbers of at least 1",
            remedy=f"write {name}: {[2, 5] if name == 'reference' else [1, 5]}",
        )
    return whole[0], whole[1]


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


def clip_length(value: Any) -> int:
    """A checked number of frames.

    Raises:
        ConfigError: no whole number of 2 to :data:`MAX_CLIP`.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 2 <= value <= MAX_CLIP:
        raise ConfigError(f"clip is {shown(value)}; expected 2 to {MAX_CLIP} frames", remedy="write clip: 2")
    return value
