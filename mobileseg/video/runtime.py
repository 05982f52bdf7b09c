"""Video instance segmentation at run time: which graphs a frame runs, and from their outputs to objects."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.instance.runtime import InstancePipeline, detection_problems, parsed, with_detection
from mobileseg.runtime.engines.base import Engine
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.preprocess import Geometry
from mobileseg.runtime.specs import OutputSpec
from mobileseg.runtime.task import StepPlan
from mobileseg.structures import InstanceResult
from mobileseg.video.keyframes import is_broken, is_key, lost_share, thumbnail, thumbnail_difference
from mobileseg.video.names import KEY, NONKEY
from mobileseg.video.settings import VideoSettings

SURE = 0.3
"""Objects of at least this score are looked for in later frames, to tell when a key frame no longer holds."""


def problems(manifest: Manifest) -> list[str]:
    """Pipelines and outputs that do not make objects, and what the settings lack."""
    missing = [name for name in (KEY, NONKEY) if name not in manifest.pipelines]
    if missing:
        return [f"pipelines has no '{name}'" for name in missing]
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
    changed = with_detection(VideoSettings, manifest, engine.results, options.get("detection"))
    return VideoPipeline(folder, changed, engine.results)


class VideoPipeline:
    """Objects of the frames of a stream.

    What it keeps from frame to frame: ``age`` (frames since the latest key frame, though it may not be in use yet),
    and where the rule asks for them the thumbnail and the sure objects of the key frame, and the share of them that
    the latest frame lost.

    Args:
        folder: artefact, which holds the anchors.
        manifest: its manifest.
        outputs: what the graphs return.

    Raises:
        RuntimeEngineError: as :class:`~mobileseg.instance.runtime.InstancePipeline`.
    """

    def __init__(self, folder: str | os.PathLike[str], manifest: Manifest, outputs: Sequence[OutputSpec]) -> None:
        settings = VideoSettings.of(manifest.settings)
        self.manifest = manifest
        self._rule = settings.keyframes
        self._objects = InstancePipeline(folder, manifest, outputs, settings)

    def next(self, memory: dict[str, Any], image: np.ndarray) -> StepPlan:
        """A key frame or not, by :mod:`mobileseg.video.keyframes`."""
        seen = None if self._rule.scene_cut is None else thumbnail(image)
        kept = memory.get("thumbnail")
        difference = 0.0 if seen is None or kept is None else thumbnail_difference(kept, seen)
        age, lost = memory.get("age"), memory.get("lost", 0.0)
        if not is_key(age, self._rule, difference, lost):
            return StepPlan(NONKEY)
        memory |= {"age": 0, "thumbnail": seen, "lost": 0.0}
        if age is None or not self._rule.delay or is_broken(self._rule, difference, lost):
            memory["pipeline"] = KEY
            return StepPlan(KEY)
        return StepPlan(NONKEY, ahead=KEY, delay=self._rule.delay)

    def finish(self, tensors: Mapping[str, np.ndarray], place: Geometry, memory: dict[str, Any]) -> InstanceResult:
        """Objects in the pixels of the frame."""
        result = self._objects.finish(tensors, place, {})
        if self._rule.lost_objects is not None:
            sure = result.above(SURE)
            if memory.get("age", 0) == 0:
                memory |= {"boxes": sure.boxes, "classes": sure.classes}
            else:
                memory["lost"] = lost_share(memory["boxes"], memory["classes"], sure.boxes, sure.classes)
        memory["age"] = memory.get("age", 0) + 1
        return replace(result, pipeline=memory.pop("pipeline", NONKEY))
