"""Video instance segmentation at run time: which graphs a frame runs, and from their outputs to objects."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.instance.runtime import InstancePipeline, detection_problems, parsed, tracking_of, with_detection
from mobileseg.runtime.engines.base import Engine
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.preprocess import Geometry
from mobileseg.runtime.task import StepPlan
from mobileseg.structures import InstanceResult
from mobileseg.tracking.options import TrackingOptions
from mobileseg.tracking.tracker import with_ids
from mobileseg.video.keyframes import KeyframeOptions, is_broken, is_key, lost_share, thumbnail, thumbnail_difference
from mobileseg.video.mobileinst import runtime as queries
from mobileseg.video.mobileinst.settings import is_query_based
from mobileseg.video.names import KEY, NONKEY
from mobileseg.video.settings import VideoSettings

SURE = 0.3
"""Objects of at least this score are looked for in later frames, to tell when a key frame no longer holds."""


def problems(manifest: Manifest) -> list[str]:
    """Pipelines and outputs that do not make objects, and what the settings lack."""
    missing = [name for name in (KEY, NONKEY) if name not in manifest.pipelines]
    if missing:
        return [f"pipelines has no '{name}'" for name in missing]
    if is_query_based(manifest.settings):
        return queries.problems(manifest)
    settings, faults = parsed(VideoSettings, manifest)
    return faults if settings is None else detection_problems(manifest, settings)


def pipeline(
    folder: str | os.PathLike[str], manifest: Manifest, engine: Engine, options: Mapping[str, Any]
) -> VideoPipeline:
    """See :class:`mobileseg.runtime.task.RuntimeStage`; the option is ``detection``, a mapping of detection options.

    Raises:
        RuntimeEngineError: as :func:`mobileseg.instance.runtime.pipeline`.
    """
    if set(options) - {"detection"}:
        raise RuntimeEngineError(
            f"'{manifest.name}' is a video instance segmentation model: every object has a score, pixels have none",
            remedy="leave scores=True out",
        )
    if is_query_based(manifest.settings):
        query_settings = queries.with_queries(manifest, options.get("detection"))
        return VideoPipeline(manifest, query_settings.keyframes, queries.QueryObjects(manifest, query_settings))
    changed = with_detection(VideoSettings, manifest, engine.results, options.get("detection"))
    settings = VideoSettings.of(changed.settings)
    return VideoPipeline(changed, settings.keyframes, InstancePipeline(folder, changed, engine.results, settings))


class ObjectMaker(Protocol):
    """Makes objects of what the graphs of a frame gave."""

    def finish(self, tensors: Mapping[str, np.ndarray], place: Geometry, memory: dict[str, Any]) -> InstanceResult:
        """Objects in the pixels of the frame. ``memory`` is the stream's; ``stale`` in it asks for a key frame."""


class VideoPipeline:
    """Objects of the frames of a stream.

    What it keeps from frame to frame: ``age`` (frames since the latest key frame, though it may not be in use yet),
    and where the rule asks for them the thumbnail and the sure objects of the key frame, and the share of them that
    the latest frame lost.

    Args:
        manifest: of the artefact.
        rule: which frames are key frames.
        objects: makes the objects.
    """

    def __init__(self, manifest: Manifest, rule: KeyframeOptions, objects: ObjectMaker) -> None:
        self.manifest = manifest
        self._rule = rule
        self._objects = objects
        self._tracking: TrackingOptions | None = None

    def for_stream(self, options: Mapping[str, Any]) -> VideoPipeline:
        """See :class:`mobileseg.runtime.task.StreamingPipeline`; the option is ``track``."""
        found = copy(self)
        tracking = tracking_of(self.manifest, options)
        if isinstance(self._objects, queries.QueryObjects):
            found._objects = self._objects.for_stream(options.get("track"))
        else:
            found._tracking = tracking
        return found

    def next(self, memory: dict[str, Any], image: np.ndarray) -> StepPlan:
        """A key frame or not, by :mod:`mobileseg.video.keyframes`."""
        return next_step(self._rule, memory, image)

    def finish(self, tensors: Mapping[str, np.ndarray], place: Geometry, memory: dict[str, Any]) -> InstanceResult:
        """Objects in the pixels of the frame; in a stream with tracking, those of tracks."""
        result = remembered(self._rule, memory, self._objects.finish(tensors, place, memory))
        if isinstance(self._objects, queries.QueryObjects):
            return self._objects.reported(result)
        return result if self._tracking is None else with_ids(result, memory, self._tracking)


def next_step(rule: KeyframeOptions, memory: dict[str, Any], image: np.ndarray | None) -> StepPlan:
    """What the next frame of a stream runs.

    Args:
        rule: of key frames.
        memory: of the stream, see :class:`VideoPipeline`; changed.
        image: the frame, uint8 [H, W, 3] RGB; only looked at where thumbnails are compared.
    """
    seen = None if rule.scene_cut is None or image is None else thumbnail(image)
    kept = memory.get("thumbnail")
    difference = 0.0 if seen is None or kept is None else thumbnail_difference(kept, seen)
    age = memory.get("age") or None  # 0 when an engine failed in a key frame: the next one is a key frame again
    lost, stale = memory.get("lost", 0.0), memory.get("stale", False)
    if not stale and not is_key(age, rule, difference, lost):
        return StepPlan(NONKEY)
    memory |= {"age": 0, "thumbnail": seen, "lost": 0.0, "stale": False}
    if stale or age is None or not rule.delay or is_broken(rule, difference, lost):
        memory["pipeline"] = KEY
        return StepPlan(KEY)
    return StepPlan(NONKEY, ahead=KEY, delay=rule.delay)


def remembered(rule: KeyframeOptions, memory: dict[str, Any], result: InstanceResult) -> InstanceResult:
    """The result of the frame that :func:`next_step` was asked for, with its kind; the stream remembers its objects."""
    if rule.lost_objects is not None:
        sure = result.above(SURE)
        if memory.get("age", 0) == 0:
            memory |= {"boxes": sure.boxes, "classes": sure.classes}
        else:
            memory["lost"] = lost_share(memory["boxes"], memory["classes"], sure.boxes, sure.classes)
    memory["age"] = memory.get("age", 0) + 1
    return replace(result, pipeline=memory.pop("pipeline", NONKEY))
