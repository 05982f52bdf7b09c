"""MobileInst at run time: from kernels and mask features to objects with tracks."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.preprocess import Geometry
from mobileseg.structures import InstanceResult
from mobileseg.tracking.options import TrackingOptions
from mobileseg.video.mobileinst.following import Reports, following, reported
from mobileseg.video.mobileinst.names import ANSWERS, MASK_FEATURES
from mobileseg.video.mobileinst.options import QueryOptions
from mobileseg.video.mobileinst.postprocess import Answers, mask_features_of
from mobileseg.video.mobileinst.settings import QuerySettings
from mobileseg.video.mobileinst.stream import KernelMemory, show, start

MEMORY = "kernels"
"""Key of the state of kernels in the memory of a stream."""


def problems(manifest: Manifest) -> list[str]:
    """Outputs that do not make objects, and what the settings lack."""
    try:
        settings = QuerySettings.of(manifest.settings)
    except ValidationError as error:
        return [f"settings.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
    found = []
    for key, outputs in {
        "": manifest.outputs_of(),
        **{key: manifest.outputs_of(key) for key in manifest.targets()},
    }.items():
        names = {output.name for output in outputs}
        missing = [name for name in (MASK_FEATURES, *ANSWERS) if name not in names]
        if missing:
            found.append(f"outputs{f' of {key}' if key else ''}: {', '.join(missing)} is missing, queries need it")
    if manifest.image.dynamic:
        found.append("image is dynamic, and the positions that queries look at belong to one size")
    if manifest.image.resize.mode == "keep-ratio":
        found.append("image.resize.mode is keep-ratio, and objects are taken back to the image by stretching alone")
    if settings.keyframes.delay:
        found.append(f"settings.keyframes.delay is {settings.keyframes.delay}, and kernels are used at once: write 0")
    ids = settings.category_ids
    if ids is not None and len(ids) != len(manifest.classes):
        found.append(f"settings.category_ids has {len(ids)} numbers for {len(manifest.classes)} classes")
    return list(dict.fromkeys(found))


class QueryObjects:
    """Objects of the frames of a stream from kernels.

    Args:
        manifest: of the artefact.
        settings: its section.
    """

    def __init__(self, manifest: Manifest, settings: QuerySettings) -> None:
        self._name = manifest.name
        self._num_classes = manifest.num_classes
        self._settings = settings
        self._reports: Reports = "all"

    def for_stream(self, track: bool | Mapping[str, Any] | TrackingOptions | None) -> QueryObjects:
        """The same for a stream that reports ids or not; see :func:`following`."""
        found = copy(self)
        reports, kernels = following(self._name, self._settings.kernels, track)
        found._reports, found._settings = reports, replace(self._settings, kernels=kernels)
        return found

    def reported(self, result: InstanceResult) -> InstanceResult:
        """What the caller of the stream wants of the objects of a frame."""
        return reported(result, self._reports)

    def finish(self, tensors: Mapping[str, np.ndarray], place: Geometry, memory: dict[str, Any]) -> InstanceResult:
        """Objects in the pixels of the frame, with ``track_ids``; ``memory`` keeps the kernels, and gets ``stale``.

        Raises:
            RuntimeEngineError: tensors that do not fit each other or the manifest, or the first frame has no kernels.
        """
        settings, state = self._settings, memory.get(MEMORY)
        if ANSWERS[0] in tensors:
            answers = Answers.of(tensors)
            if answers.logits.shape[1] != self._num_classes:
                raise RuntimeEngineError(
                    f"the graph returned {answers.logits.shape[1]} classes, the manifest of '{self._name}' has "
                    f"{self._num_classes}",
                    remedy="export the folder again",
                )
            state = start(state, answers, settings.queries, settings.kernels)
        if not isinstance(state, KernelMemory):
            raise RuntimeEngineError("a stream begins with a key frame, and this one has no kernels", remedy="reset it")
        state, found = show(
            state,
            mask_features_of(tensors),
            settings.mask_stride,
            place.input,
            place.image,
            settings.queries,
            settings.kernels,
        )
        memory |= {MEMORY: state, "stale": state.stale}
        return found


def with_queries(manifest: Manifest, options: Mapping[str, Any] | None) -> QuerySettings:
    """The section of a manifest with some options of the queries changed.

    Raises:
        RuntimeEngineError: an option cannot be used.
    """
    settings = QuerySettings.of(manifest.settings)
    if not options:
        return settings
    known = {key: value for key, value in options.items() if key in QueryOptions.__dataclass_fields__}
    unknown = sorted(set(options) - set(known))
    try:
        if unknown:
            raise ValueError(
                f"there is no {', '.join(unknown)}; there are {', '.join(QueryOptions.__dataclass_fields__)}"
            )
        return replace(settings, queries=replace(settings.queries, **known))
    except ValueError as error:
        raise RuntimeEngineError(
            f"the options of artefact '{manifest.name}' cannot be changed so: {error}", remedy="correct the options"
        ) from error
