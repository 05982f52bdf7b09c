"""Export of video instance segmentation networks: four graphs, verified as streams.

The reference is recorded from the network in memory over short streams (:mod:`mobileseg.video.recording`): a key frame,
and frames that build on it. Each tensor that a graph hands to another is compared as well, at some of its values
(:func:`thinned`); the rules of :mod:`mobileseg.instance.golden` decide whether detections are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mobileseg.errors import ExportError
from mobileseg.export.golden import GoldenItem
from mobileseg.export.options import ExportOptions
from mobileseg.export.task import ExportTask
from mobileseg.instance import golden
from mobileseg.instance.export import ANCHORS_FILE, FOREIGN, KINDS, InstanceExport
from mobileseg.instance.golden import InstanceItem
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.runtime import read_anchors
from mobileseg.instance.settings import DetectionSpec
from mobileseg.runtime.specs import OutputSpec
from mobileseg.tasks import VIDEO
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.mobileinst.export import QueryExport
from mobileseg.video.mobileinst.settings import is_query_based
from mobileseg.video.names import BETWEEN, HEADS
from mobileseg.video.recording import PIPELINES, StreamFrame, recorded, thinned, window
from mobileseg.video.settings import VideoSettings

if TYPE_CHECKING:
    from mobileseg.export.golden import Reference
    from mobileseg.nn.graphs import NetworkGraph
    from mobileseg.runtime.manifest import Manifest

__all__ = ["FOREIGN", "VideoExport", "VideoItem", "settings_from", "task_for", "task_of"]


@dataclass(frozen=True, kw_only=True)
class VideoItem(InstanceItem):
    """A frame of a stream with its detections, and the tensors between its graphs, thinned."""

    def sampled(self, name: str, value: np.ndarray) -> np.ndarray:
        return super().sampled(name, value) if name in KINDS else thinned(value)

    def stored(self, first: bool) -> dict[str, np.ndarray]:
        between = {f"output.{name}": value for name, value in self.outputs.items() if name not in KINDS}
        return super().stored(first) | between


@dataclass(frozen=True)
class VideoExport(InstanceExport):
    """Boxes, scores, coefficients and prototypes of the frames of a stream.

    Attributes:
        keyframes: which frames are computed whole.
        shapes: of the tensors that graphs hand to each other.
    """

    keyframes: KeyframeOptions = field(default_factory=KeyframeOptions)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    name: ClassVar[str] = VIDEO
    pipelines: ClassVar[tuple[str, ...]] = PIPELINES

    def frames(self, image: np.ndarray) -> list[np.ndarray]:
        return [window(image, index) for index in range(len(self.pipelines))]

    def check(self, options: ExportOptions) -> None:
        super().check(options)
        if options.nms_in_graph:
            raise ExportError(
                "a network of several graphs has its NMS outside of them", remedy="drop nms_in_graph (--nms_in_graph)"
            )

    def output_names(self, graph: str, options: ExportOptions) -> tuple[str, ...]:
        return tuple(KINDS) if graph == HEADS else BETWEEN[graph]

    def wrapper(self, graph: NetworkGraph, options: ExportOptions) -> Any:
        from mobileseg.export.conversion.wrapper import plain

        return plain(graph, options)

    def record(
        self, network: Any, options: ExportOptions, images: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]
    ) -> tuple[VideoItem, ...]:
        found = recorded(self.deployment(network, options), options, images, sizes[0], self._items)
        return tuple(self.settle(item) for item in found)

    def _items(self, frames: Iterable[StreamFrame], sequence: int) -> list[VideoItem]:
        """Frames of a stream as items."""
        return [self._item(one.made, one.image, one.fed, one.pipeline, sequence) for one in frames]

    def _item(
        self, made: Mapping[str, Any], image: np.ndarray, fed: np.ndarray, pipeline: str, sequence: int
    ) -> VideoItem:
        found = self.recorded(made, image, fed)
        between = {name: made[name].numpy() for name in made if name not in KINDS}
        outputs = found.outputs | {name: thinned(value) for name, value in between.items()}
        scales = found.scales | {name: float(value.std()) for name, value in between.items()}
        values = {entry.name: getattr(found, entry.name) for entry in fields(InstanceItem)}
        return VideoItem(
            **(values | {"outputs": outputs, "scales": scales, "pipeline": pipeline, "sequence": sequence})
        )

    def settle(self, item: GoldenItem) -> VideoItem:
        settled = super().settle(item)
        assert isinstance(settled, VideoItem)
        return settled

    def load_item(self, arrays: Mapping[str, np.ndarray]) -> VideoItem:
        return golden.load(arrays, VideoItem)

    def outputs(
        self, graph: str, options: ExportOptions, reference: Reference, num_classes: int, target: str = ""
    ) -> tuple[OutputSpec, ...]:
        if graph == HEADS:
            return super().outputs(graph, options, reference, num_classes, target)
        return tuple(OutputSpec(name, "features", "float32", self.shapes[name]) for name in BETWEEN[graph])

    def settings(self) -> dict[str, Any]:
        spec = DetectionSpec(**vars(self.detection), anchors=ANCHORS_FILE, variances=self.variances)
        return VideoSettings(spec, self.category_ids, keyframes=self.keyframes).to_dict()


def task_for(network: Any, options: ExportOptions, settings: Mapping[str, Any] | None) -> ExportTask:
    """See :class:`mobileseg.export.task.ExportStage`."""
    if not hasattr(network, "anchors"):
        return QueryExport.of_network(network, options, settings)
    size = options.height, options.width
    given = dict(settings or {})
    shapes = {spec.name: spec.shape for graph in network.graphs(size).graphs for spec in graph.inputs}
    return VideoExport(
        network.anchors(*size),
        DetectionOptions(**given.get("detection", {})),
        tuple(network.variances),
        size,
        given.get("category_ids"),
        KeyframeOptions(**given.get("keyframes", {})),
        shapes,
    )


def task_of(folder: Path, manifest: Manifest) -> ExportTask:
    """See :class:`mobileseg.export.task.ExportStage`.

    Raises:
        RuntimeEngineError: the anchors cannot be read, or are not those that were exported.
    """
    if is_query_based(manifest.settings):
        return QueryExport.of_manifest(manifest)
    settings = VideoSettings.of(manifest.settings)
    spec, size = settings.detection, (manifest.image.height, manifest.image.width)
    anchors = read_anchors(folder, manifest, str(spec.anchors))
    shapes = {output.name: output.shape for output in manifest.outputs_of()}
    return VideoExport(anchors, spec.options, spec.variances, size, settings.category_ids, settings.keyframes, shapes)


def settings_from(config: Mapping[str, Any], dataset: Any) -> dict[str, Any]:
    """Options of the NMS, queries and kernels, the rule of key frames, and the category ids of the dataset where it has
    them."""
    return {
        **{name: dict(config[name]) for name in ("detection", "queries", "kernels", "keyframes")},
        "category_ids": getattr(dataset, "category_ids", None),
    }
