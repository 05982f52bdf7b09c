"""Scores of video instance segmentation, from results that come one frame at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mobileseg.files import write_whole
from mobileseg.instance.metric import CocoScorer, Gather, InstanceTruth
from mobileseg.instance.metric_coco import measure
from mobileseg.scores import Scores
from mobileseg.structures import InstanceResult
from mobileseg.tracking.options import TrackingOptions
from mobileseg.tracking.tracker import TrackerState, track
from mobileseg.video.metric_hota import HotaCounts, hota_counts
from mobileseg.video.metric_identity import IdentityCounts, identity_counts
from mobileseg.video.metric_table import render_frame_kinds, render_tracks
from mobileseg.video.metric_tracks import MaskTrack, Rle, grouped
from mobileseg.video.metric_ytvis import TrackMatching


class VideoOfFrames(Protocol):
    """What scoring needs of a video: the indices of its frames in time order, and its id in results."""

    @property
    def frames(self) -> Sequence[int]: ...

    @property
    def identifier(self) -> int: ...


class VideoTruth(InstanceTruth, Protocol):
    """What scoring needs of a dataset of videos."""

    @property
    def videos(self) -> Sequence[VideoOfFrames]: ...

    def annotated(self, index: int) -> bool: ...

    def video_ground_truth(self) -> dict[str, Any]: ...


class VideoScorer(CocoScorer):
    """Collects results as run lengths (about 300 bytes an object) and scores frames and tracks at the end.

    Annotated frames are scored; of a video without any, all frames are kept for :meth:`track_results`. Results without
    track ids are followed here, in the order in which they come, which is that of time: so everything that was found
    counts for the frames, and what belongs to a track for the tracks. So it is for results with ids, where objects of
    no track have -1.

    Args:
        dataset: gives the annotations.
        backend: of the AP of frames: 'auto', 'pycocotools' or 'faster-coco-eval'.
        tracking: options of the tracker; None takes the usual ones.

    Raises:
        DependencyError: the backend is not installed.
    """

    dataset: VideoTruth

    def __init__(self, dataset: VideoTruth, *, backend: str = "auto", tracking: TrackingOptions | None = None) -> None:
        super().__init__(dataset, backend=backend)
        self._tracking = tracking or TrackingOptions()
        self._tracks = TrackerState()
        self._starts = {video.frames[0] for video in dataset.videos if len(video.frames)}
        self._judged = [_judged(dataset, video) for video in dataset.videos]
        self._kept = {index for frames in self._judged for index in frames}
        self._runs: dict[int, tuple[str, float]] = {}  # frame -> its kind, milliseconds

    def update(self, index: int, sample: Any, result: InstanceResult) -> None:
        """Take in the result of frame ``index`` of the dataset; the sample is not needed.

        Raises:
            DataError: the masks have another size than the annotations say, or a class that the dataset has not.
        """
        if result.pipeline is not None:
            self._runs[index] = (result.pipeline, float(sum(result.times.values())))
        if result.track_ids is None:
            result = replace(result, track_ids=self._follow(index, result))
        if index in self._kept:
            super().update(index, sample, result)

    def _follow(self, index: int, result: InstanceResult) -> np.ndarray:
        """Ids of the objects of a frame, -1 of those that belong to no track."""
        if index in self._starts or self._tracks.size not in (None, result.masks.size):
            self._tracks = TrackerState()
        ids, self._tracks = track(self._tracks, result, self._tracking)
        return ids

    def reduce(self, processes: Gather) -> None:
        """Take in what all processes found; it travels as JSON."""
        super().reduce(processes)
        for part in processes.gather(json.dumps(list(self._runs.items())).encode()):
            self._runs.update({int(index): (str(kind), float(spent)) for index, (kind, spent) in json.loads(part)})

    def scores(self) -> Scores:
        """The scores of everything taken in so far.

        Returns:
            Mask AP of frames decides. Values, beside those of
            :meth:`mobileseg.instance.metric.CocoScorer.scores`:

            ``tracks``: YouTube-VIS AP, with the same twelve names; ``tracking``: ``hota``, ``deta``, ``assa``,
            ``loca``, ``idf1``, ``idp``, ``idr``, ``idf1_perfect``, ``association`` over the tracks of all videos and
            classes (:mod:`mobileseg.video.metric_hota`, :mod:`mobileseg.video.metric_identity`); ``class_tracks``:
            class name -> ``ap``, ``ap50``, ``hota``, ``idf1``, ``tracks`` (to be found); ``videos``: with annotated
            frames; ``found_tracks``. ``frame_kinds``: pipeline ->
            ``frames``, ``mask_ap`` of its frames, ``ms`` (``mean``, ``p50``, ``p95``, ``max`` of a frame, None where
            no time was taken), of a network with several pipelines.
        """
        scores = super().scores()
        values: dict[str, Any] = {}
        further: dict[str, float | None] = dict(scores.further)
        tables = [scores.table]
        values |= self._track_scores()
        further |= {"track AP": values["tracks"]["ap"]}
        further |= {"HOTA": values["tracking"]["hota"], "IDF1": values["tracking"]["idf1"]}
        tables.append(render_tracks(values))
        if self._runs:
            values["frame_kinds"] = self._frame_kinds()
            tables.append(render_frame_kinds(values["frame_kinds"]))
        return replace(
            scores,
            further=further,
            details={**scores.details, **values},
            logged=(*scores.logged, *(key for key in ("tracks", "tracking", "frame_kinds") if key in values)),
            table="\n\n".join(tables),
        )

    def found_tracks(self) -> Iterator[MaskTrack]:
        """The tracks that were found, with a mask or None for every annotated frame of their video.

        The score of a track is the mean of its scores, its class the one with the largest sum of scores.
        """
        labels = {number: label for label, number in enumerate(self.dataset.category_ids)}
        for video, frames in zip(self.dataset.videos, self._judged, strict=True):
            entries: dict[int, list[tuple[int, dict[str, Any]]]] = {}
            for position, index in enumerate(frames):
                for entry in self._found.get(index, ()):
                    if "track_id" in entry:
                        entries.setdefault(entry["track_id"], []).append((position, entry))
            for seen in entries.values():
                masks: list[Rle | None] = [None] * len(frames)
                weights = np.zeros(len(labels))
                for position, entry in seen:
                    masks[position] = entry["segmentation"]
                    weights[labels[entry["category_id"]]] += entry["score"]
                yield MaskTrack(video.identifier, int(weights.argmax()), masks, float(weights.sum() / len(seen)))

    def track_results(self) -> Iterator[dict[str, Any]]:
        """Everything found in YouTube-VIS' format: ``video_id``, ``category_id``, ``score``, ``segmentations``."""
        for found in self.found_tracks():
            yield {
                "video_id": found.video,
                "category_id": int(self.dataset.category_ids[found.label]),
                "score": found.score,
                "segmentations": found.masks,
            }

    def true_tracks(self) -> Iterator[MaskTrack]:
        """The annotated tracks."""
        labels = {number: label for label, number in enumerate(self.dataset.category_ids)}
        for entry in self.dataset.video_ground_truth()["annotations"]:
            yield MaskTrack(
                entry["video_id"],
                labels[entry["category_id"]],
                entry["segmentations"],
                crowd=bool(entry["iscrowd"]),
                stated_areas=entry["areas"],
            )

    def _track_scores(self) -> dict[str, Any]:
        classes = len(self.dataset.classes)
        known = [video.identifier for video in self.dataset.videos if any(map(self.dataset.annotated, video.frames))]
        true = list(self.true_tracks())
        found = [one for one in self.found_tracks() if one.video in set(known)]
        matching = TrackMatching(classes)
        hota, identity = [HotaCounts()] * classes, [IdentityCounts()] * classes
        for group in grouped(found, true):
            frames, sides = group.objects(), (len(group.found), len(group.true))
            matching.add(group)
            hota[group.label] += hota_counts(frames, *sides)
            identity[group.label] += identity_counts(frames, *sides)
        curves = matching.curves()
        objects = np.bincount([one.label for one in true if not one.crowd], minlength=classes)
        return {
            "tracks": curves.numbers(),
            "tracking": sum(hota, HotaCounts()).numbers() | sum(identity, IdentityCounts()).numbers(),
            "class_tracks": {
                name: {
                    "ap": curves.class_ap(label),
                    "ap50": curves.class_ap(label, 0),
                    "hota": hota[label].numbers()["hota"],
                    "idf1": identity[label].numbers()["idf1"],
                    "tracks": int(objects[label]),
                }
                for label, name in enumerate(self.dataset.classes)
            },
            "videos": len(known),
            "found_tracks": len(found),
        }

    def _frame_kinds(self) -> dict[str, Any]:
        kinds: dict[str, list[int]] = {}
        for index in sorted(self._runs):
            kinds.setdefault(self._runs[index][0], []).append(index)
        return {
            kind: {
                "frames": len(frames),
                "mask_ap": self._mask_ap(frames),
                "ms": _statistics(np.array([self._runs[index][1] for index in frames])),
            }
            for kind, frames in sorted(kinds.items())
        }

    def _mask_ap(self, frames: Sequence[int]) -> float | None:
        """COCO's AP of some frames."""
        ids = {self.dataset.image_id(index) for index in frames}
        truth: Mapping[str, Any] = {
            **self.truth,
            "images": [image for image in self.truth["images"] if image["id"] in ids],
            "annotations": [one for one in self.truth["annotations"] if one["image_id"] in ids],
        }
        found = [entry for index in frames for entry in self._found.get(index, ())]
        return measure(truth, found, "segm", self.backend).numbers()["ap"] if truth["images"] else None


def save_track_results(scorer: VideoScorer, path: Path) -> str:
    """Write every track that was found in YouTube-VIS' results format; returns what was written, for the reader.

    Raises:
        OSError: the file cannot be written.
    """
    results = list(scorer.track_results())
    write_whole(path, json.dumps(results, separators=(",", ":")))
    return f"{len(results)} tracks written to {path} in YouTube-VIS' results format"


def _judged(dataset: VideoTruth, video: VideoOfFrames) -> list[int]:
    """The annotated frames of a video; all frames where none is."""
    return [index for index in video.frames if dataset.annotated(index)] or list(video.frames)


def _statistics(milliseconds: np.ndarray) -> dict[str, float] | None:
    if not milliseconds.any():
        return None
    p50, p95 = np.percentile(milliseconds, [50, 95]).tolist()
    return {"mean": float(milliseconds.mean()), "p50": p50, "p95": p95, "max": float(milliseconds.max())}
