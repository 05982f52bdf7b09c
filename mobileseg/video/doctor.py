"""The doctor of datasets of videos: their frames, every annotation against its frame, and objects through time.

See :class:`mobileseg.data.doctor.task.TaskDoctor`. Pairs of frames with flow, and clips made of stills, belong to the
task as well: they are examined as what they are, pairs and stills.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mobileseg.data.doctor.checks import Finding
from mobileseg.data.doctor.scan import Examples, Facts, Summary
from mobileseg.data.formats.coco_annotations import AnnotationError
from mobileseg.data.formats.flying_chairs import FlyingChairs
from mobileseg.data.mixed_clips import MixedClips
from mobileseg.data.pseudo_clips import PseudoClips
from mobileseg.data.video_base import VideoDataset
from mobileseg.errors import DataError
from mobileseg.instance import doctor as of_objects
from mobileseg.instance.doctor_findings import refused_findings
from mobileseg.video.doctor_tracks import TRACK_REFUSED, TrackSummary, check_frames, examine_tracks, track_findings

SAMPLE = 8  # videos, or pairs, that are looked at before a training
_PAIRS = 64  # pairs whose flow the examination reads


class VideoSummary(of_objects.InstanceSummary):
    """A split of videos with annotated objects.

    Attributes:
        tracks: what was found out about the videos, after :meth:`finish`.
    """

    def __init__(self, name: str, dataset: Any) -> None:
        super().__init__(name, dataset)
        self.tracks = TrackSummary()
        self._thumbnails: dict[str, np.ndarray] = {}

    def add(self, facts: Facts) -> None:
        """Take in one frame."""
        super().add(facts)
        if facts.thumbnail is not None:
            self._thumbnails[str(facts.item.image)] = facts.thumbnail

    def finish(self) -> None:
        """Examine the annotations of all frames that have some, and the videos."""
        dataset = self.dataset
        self.examine([index for index in range(len(dataset)) if dataset.annotated(index)])
        self.tracks = examine_tracks(dataset)
        sizes = self.sizes_read()
        thumbnails = {index: self._thumbnails[str(dataset.items[index].image)] for index in sizes}
        check_frames(self.tracks, dataset, sizes, thumbnails)


class PairSummary(Summary):
    """A split of pairs of frames with flow."""

    def finish(self) -> None:
        """Read the flow of some pairs."""
        for index in _evenly(len(self.dataset), _PAIRS):
            try:
                self.dataset[index]
            except DataError as error:
                path = str(self.dataset.items[index].label)
                self.problems.setdefault("flow-unusable", Examples()).add(path, error.message)


def preflight(dataset: Any) -> None:
    """Look at a few frames, videos or pairs for mistakes that training would not notice.

    Raises:
        DataError: boxes do not fit masks, an id has two classes or occurs twice in a frame, or a file cannot be read.
    """
    if isinstance(dataset, FlyingChairs):
        for index in _evenly(len(dataset), SAMPLE):
            dataset[index]
    elif isinstance(dataset, PseudoClips):
        of_objects.preflight(dataset.stills)
    elif isinstance(dataset, MixedClips):
        for part in dataset.parts:
            preflight(part)
    else:
        _check_videos(dataset)


def _check_videos(dataset: VideoDataset) -> None:
    annotated = [index for index in range(len(dataset)) if dataset.annotated(index)]
    if not dataset.reads_masks_late:
        of_objects.check_sample(dataset, annotated)
        found = examine_tracks(dataset, _evenly(len(dataset.videos), SAMPLE))
        for problem in track_findings(dataset.mode, found):
            if problem.level == "error" and problem.code != "video-unannotated":
                raise DataError(
                    f"the '{dataset.mode}' dataset: {problem.message} ({found.videos} videos were looked at)",
                    remedy=f"{problem.fix}; 'mobileseg doctor data CONFIG' lists them",
                )
        return
    for place in _evenly(len(annotated), SAMPLE):  # boxes are those of the masks there, and ids the values in them
        dataset.objects(annotated[place])


def summary(name: str, dataset: Any) -> Summary:
    """Takes in frames; annotations and videos are examined at the end."""
    if isinstance(dataset, FlyingChairs):
        return PairSummary(name, dataset)
    return of_objects.summary(name, dataset) if isinstance(dataset, PseudoClips) else VideoSummary(name, dataset)


def findings(summary: Summary, *, batch_size: int, keep_empty: bool) -> Iterator[Finding]:
    """Annotations against their frames, objects through time, sizes after the transforms."""
    if isinstance(summary, PairSummary):
        found = summary.problems.get("flow-unusable")
        if found is not None:
            message = f"pairs that cannot be used: {found.count}; for example: {found.details[0]}"
            fix = "copy or download the pairs again, or take them out of the list"
            yield Finding("error", "flow-unusable", message, tuple(found.files), found.count, fix, summary.name)
        return
    yield from of_objects.findings(summary, batch_size=batch_size, keep_empty=keep_empty)
    if isinstance(summary, VideoSummary):
        yield from track_findings(summary.name, summary.tracks)


def refused(name: str, error: DataError) -> list[Finding]:
    """One finding per kind of annotation that a file was refused for."""
    return list(refused_findings(name, error, TRACK_REFUSED)) if isinstance(error, AnnotationError) else []


def statistics(summary: Summary) -> dict[str, Any]:
    """As for images with objects, and ``videos``, ``annotated_frames`` and ``tracks``; nothing more for pairs."""
    if isinstance(summary, PairSummary):
        return {"pairs": summary.total}
    found = of_objects.statistics(summary)
    if isinstance(summary, VideoSummary):
        tracks = summary.tracks
        found |= {"videos": tracks.videos, "annotated_frames": tracks.annotated, "tracks": tracks.tracks}
    return found


def headline(summary: Summary) -> str:
    """Numbers of videos, annotated frames, tracks and masks."""
    if isinstance(summary, PairSummary):
        return f"{summary.total} pairs with flow"
    if not isinstance(summary, VideoSummary):
        return of_objects.headline(summary)
    tracks, masks = summary.tracks, int(summary.examined.objects.sum())
    return (
        f"{tracks.videos} videos, {tracks.annotated} of {tracks.frames} frames annotated, {tracks.tracks} tracks with "
        f"{masks} masks"
    )


def table(splits: Mapping[str, Summary], classes: Sequence[str]) -> list[str]:
    """Masks, crowd regions and frames of every class; [] for pairs."""
    kept = {name: one for name, one in splits.items() if isinstance(one, of_objects.InstanceSummary)}
    return of_objects.table(kept, classes) if kept else []


def class_weights(summary: Summary) -> None:
    """Losses of objects take no weights of classes."""


def _evenly(count: int, most: int) -> list[int]:
    places = np.linspace(0, count - 1, min(count, most)).round().astype(int)
    found: list[int] = np.unique(places).tolist()
    return found
