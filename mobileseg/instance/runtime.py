"""Instance segmentation at run time: from the outputs of a graph to objects with box, score, class and mask."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from mobileseg.errors import RuntimeEngineError
from mobileseg.instance.postprocess import Detections, detect, finish, nms_detections
from mobileseg.instance.settings import InstanceSettings, S
from mobileseg.names import MAIN
from mobileseg.runtime.engines.base import Engine
from mobileseg.runtime.manifest import Manifest, verified_path
from mobileseg.runtime.preprocess import Geometry
from mobileseg.runtime.specs import OutputSpec
from mobileseg.runtime.task import StepPlan
from mobileseg.structures import InstanceResult
from mobileseg.tracking.options import TrackingOptions
from mobileseg.tracking.tracker import with_ids

RAW_KINDS = ("boxes", "scores", "coefficients", "prototypes")
"""Kinds of outputs for P anchors and k prototypes: 'boxes' relative to the anchors, [1, P, 4]; 'scores' after softmax,
background first, [1, P, K + 1]; 'coefficients' [1, P, k]; 'prototypes' [1, k, h, w]."""

NMS_KINDS = ("detections", "coefficients", "prototypes")
"""With NMS in the graph: 'detections' [M, 6] (class, score, x1, y1, x2, y2 in normalised coordinates of the input) take
the place of boxes and scores, with 'coefficients' [M, k]; rows of a negative class are padding, and the other rows fall
in score."""

AFTER_NMS = {"max_detections", "mask_threshold", "truncate_boxes"}
"""Detection options that also hold when the NMS is inside the graph."""

_REMEDY = "export the folder again"


def problems(manifest: Manifest) -> list[str]:
    """Outputs that do not make objects, and what the settings lack."""
    if MAIN not in manifest.pipelines:
        return [f"pipelines has no '{MAIN}'"]
    settings, faults = parsed(InstanceSettings, manifest)
    return faults if settings is None else detection_problems(manifest, settings)


def parsed(kind: type[S], manifest: Manifest) -> tuple[S | None, list[str]]:
    """The section of the task in a manifest, or what is wrong with it."""
    try:
        return kind.of(manifest.settings), []
    except ValidationError as error:
        return None, [f"settings.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]


def detection_problems(manifest: Manifest, settings: InstanceSettings) -> list[str]:
    """Outputs that do not make objects by the settings."""
    found = []
    spec = settings.detection
    by_engine = {"outputs": manifest.outputs_of()} | {key: manifest.outputs_of(key) for key in manifest.targets()}
    for where, outputs in by_engine.items():
        kinds = {output.kind for output in outputs} - {"features"}
        if kinds not in (set(RAW_KINDS), set(NMS_KINDS)):
            found.append(
                f"{where}: {', '.join(sorted(kinds)) or 'nothing'} is given, an instance segmentation model gives "
                f"{', '.join(RAW_KINDS)} or {', '.join(NMS_KINDS)}"
            )
        elif "boxes" in kinds and spec.anchors is None:
            found.append(
                f"{where}: boxes are relative to anchors, and settings.detection.anchors names no file of them"
            )
    if manifest.image.dynamic:
        found.append("image is dynamic, and the anchors of an instance segmentation model belong to one size")
    if manifest.image.resize.mode == "keep-ratio":
        found.append("image.resize.mode is keep-ratio, and objects are taken back to the image by stretching alone")
    if spec.anchors is not None:
        found.extend(manifest.file_problems("settings.detection.anchors", spec.anchors))
    ids = settings.category_ids
    if ids is not None and len(ids) != len(manifest.classes):
        found.append(f"settings.category_ids has {len(ids)} numbers for {len(manifest.classes)} classes")
    return list(dict.fromkeys(found))


def pipeline(
    folder: str | os.PathLike[str], manifest: Manifest, engine: Engine, options: Mapping[str, Any]
) -> InstancePipeline:
    """See :class:`mobileseg.runtime.task.RuntimeStage`; the option is ``detection``, a mapping of detection options.

    Raises:
        RuntimeEngineError: another option, a detection option that cannot be used, no anchors, anchors that were
            changed or cannot be read, or outputs whose shapes do not fit the anchors, the classes or each other.
    """
    if set(options) - {"detection"}:
        raise RuntimeEngineError(
            f"'{manifest.name}' is an instance segmentation model: every object has a score, pixels have none",
            remedy="leave scores=True out",
        )
    changed = with_detection(InstanceSettings, manifest, engine.results, options.get("detection"))
    return InstancePipeline(folder, changed, engine.results, InstanceSettings.of(changed.settings))


class InstancePipeline:
    """Objects from raw predictions, or from a graph that has the NMS inside.

    Args:
        folder: artefact, which holds the anchors.
        manifest: its manifest.
        outputs: what the graphs return.
        settings: the manifest's section.

    Raises:
        RuntimeEngineError: no anchors, anchors that were changed or cannot be read, or outputs whose shapes do not fit
            the anchors, the classes or each other.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        manifest: Manifest,
        outputs: Sequence[OutputSpec],
        settings: InstanceSettings,
    ) -> None:
        self.manifest = manifest
        spec = settings.detection
        self._options, self._variances = spec.options, spec.variances
        self._num_classes = manifest.num_classes
        self._by_kind: dict[str, OutputSpec] = {output.kind: output for output in outputs}
        self._anchors: np.ndarray | None = None
        if "boxes" in self._by_kind:
            if spec.anchors is None:
                raise RuntimeEngineError(f"artefact '{manifest.name}' names no file of anchors", remedy=_REMEDY)
            self._anchors = read_anchors(folder, manifest, spec.anchors)
        self._tracking: TrackingOptions | None = None
        self._check_shapes()

    def for_stream(self, options: Mapping[str, Any]) -> InstancePipeline:
        """See :class:`mobileseg.runtime.task.StreamingPipeline`; the option is ``track``."""
        found = copy(self)
        found._tracking = tracking_of(self.manifest, options)
        return found

    def next(self, memory: dict[str, Any], image: np.ndarray) -> StepPlan:
        """Every frame is an image by itself."""
        return StepPlan(MAIN)

    def finish(self, tensors: Mapping[str, np.ndarray], place: Geometry, memory: dict[str, Any]) -> InstanceResult:
        """Objects in the pixels of the image; in a stream with tracking, those of tracks."""
        found = self._objects(tensors, place)
        return found if self._tracking is None else with_ids(found, memory, self._tracking)

    def _objects(self, tensors: Mapping[str, np.ndarray], place: Geometry) -> InstanceResult:
        values = {kind: tensors[spec.name] for kind, spec in self._by_kind.items()}
        if self._anchors is None:
            found = nms_detections(values["detections"], values["coefficients"], self._options)
            self._check_classes(found)
        else:
            raw = {"loc": values["boxes"], "conf": values["scores"], "mask": values["coefficients"]}
            found = detect(raw, self._anchors, self._options, self._variances, input_size=place.input)
        return finish(found, values["prototypes"][0], place.image, self._options)

    def _check_shapes(self) -> None:
        """What the manifest says of the outputs must fit the anchors and the classes."""
        expected: dict[str, tuple[int, ...]]
        if self._anchors is not None:
            count = len(self._anchors)
            expected = {
                "boxes": (1, count, 4),
                "scores": (1, count, self._num_classes + 1),
                "coefficients": (1, count, -1),
                "prototypes": (1, -1, -1, -1),
            }
        else:
            expected = {"detections": (-1, 6), "coefficients": (-1, -1), "prototypes": (1, -1, -1, -1)}
        for kind, shape in expected.items():
            spec = self._by_kind[kind]
            if len(spec.shape) != len(shape) or any(
                want not in (-1, seen) and seen != -1 for want, seen in zip(shape, spec.shape, strict=True)
            ):
                raise RuntimeEngineError(
                    f"output '{spec.name}' ({kind}) has the shape {list(spec.shape)} in the manifest, expected "
                    f"{list(shape)} (-1: any) for {self._num_classes} classes"
                    + (f" and {len(self._anchors)} anchors" if self._anchors is not None else ""),
                    remedy=_REMEDY,
                )
        kinds = self._by_kind["coefficients"].shape[-1], self._by_kind["prototypes"].shape[1]
        if -1 not in kinds and kinds[0] != kinds[1]:
            raise RuntimeEngineError(
                f"the manifest has {kinds[0]} coefficients for {kinds[1]} prototypes", remedy=_REMEDY
            )

    def _check_classes(self, found: Detections) -> None:
        if len(found) and int(found.classes.max()) >= self._num_classes:
            raise RuntimeEngineError(
                f"the graph returned class {int(found.classes.max())}, the manifest has {self._num_classes} classes",
                remedy=_REMEDY,
            )


def with_detection(
    kind: type[InstanceSettings],
    manifest: Manifest,
    outputs: Sequence[OutputSpec],
    options: Mapping[str, Any] | None,
) -> Manifest:
    """The manifest with some detection options changed.

    Args:
        kind: of the task's section.
        manifest: of the folder.
        outputs: of the graphs in use.
        options: those to change.

    Raises:
        RuntimeEngineError: an option cannot be used.
    """
    if not options:
        return manifest
    inside = sorted(set(options) - AFTER_NMS)
    if inside and any(output.kind == "detections" for output in outputs):
        raise RuntimeEngineError(
            f"the graph of artefact '{manifest.name}' has the NMS inside: {', '.join(inside)} cannot be changed",
            remedy="export the folder again with these options, or without the NMS",
        )
    settings = kind.of(manifest.settings)
    try:
        changed = replace(settings, detection=replace(settings.detection, **options))
    except (TypeError, ValueError) as error:
        raise RuntimeEngineError(f"detection options {dict(options)}: {error}", remedy="see docs/config.md") from error
    return replace(manifest, settings=changed.to_dict())


def tracking_of(manifest: Manifest, options: Mapping[str, Any]) -> TrackingOptions | None:
    """What the options of a stream say of tracking.

    Raises:
        RuntimeEngineError: another option than ``track``.
        ConfigError: see `TrackingOptions.of`.
    """
    foreign = sorted(set(options) - {"track"})
    if foreign:
        raise RuntimeEngineError(
            f"streams of the instance segmentation model '{manifest.name}' have no {', '.join(foreign)}",
            remedy=f"leave {' and '.join(foreign)} out",
        )
    return TrackingOptions.of(options.get("track"))


def read_anchors(folder: str | os.PathLike[str], manifest: Manifest, name: str) -> np.ndarray:
    """The anchors of an instance folder, float32 [P, 4].

    Raises:
        RuntimeEngineError: missing, changed since the export, or not such an array.
    """
    path = verified_path(folder, manifest, name)
    try:
        anchors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RuntimeEngineError(f"{path} holds no anchors: {error}", remedy=_REMEDY) from error
    if not isinstance(anchors, np.ndarray) or anchors.ndim != 2 or anchors.shape[1] != 4 or anchors.dtype != np.float32:
        seen = f"{anchors.dtype} {list(anchors.shape)}" if isinstance(anchors, np.ndarray) else "several arrays"
        raise RuntimeEngineError(f"{path} holds {seen}, expected anchors float32 [P, 4]", remedy=_REMEDY)
    return anchors
