"""Export of graphs that end with NMS.

The tail of the graph decodes the boxes and ends with Paddle's operator multiclass_nms3, a greedy NMS per
class; the outputs are ``detections`` [M,6] (class, score, x1, y1, x2, y2 in normalised coordinates), ``coefficients``
[M,k] and ``proto`` [1,k,h,w], and M depends on the image. The reference is the greedy NMS of
:func:`mobileseg.instance.nms.traditional_nms`. Only targets that give its numbers for every image are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mobileseg.errors import MobileSegError
from mobileseg.export.golden import Reference
from mobileseg.export.options import ExportOptions
from mobileseg.export.tolerance import Agreement, difference
from mobileseg.instance.export import InstanceExport
from mobileseg.instance.golden import InstanceItem, disagreements, pair
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.postprocess import Detections, detect, finish, nms_detections
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.specs import OutputSpec

if TYPE_CHECKING:
    from mobileseg.nn.graphs import NetworkGraph

KINDS: dict[str, Any] = {"detections": "detections", "coefficients": "coefficients", "proto": "prototypes"}
"""Output of the graph -> its kind."""

_LITE = "Paddle Lite's NMS aborts the process on an image without objects"
_UNFIT = {
    "lite_arm": _LITE,
    "lite_x86": _LITE,
    "ncnn": "NCNN has no NMS per class",
    "torchscript": "TorchScript is traced, which keeps the number of detections that it was traced with",
}


def greedy(options: DetectionOptions) -> DetectionOptions:
    """The options that describe what the graph does."""
    return replace(options, nms="traditional", inclusive_pixels=False)


@dataclass(frozen=True)
class InstanceNmsExport(InstanceExport):
    """Detections, their coefficients, and prototypes; ``detection`` is greedy, see :func:`greedy`."""

    def unfit(self, target: str, options: ExportOptions) -> str:
        return _UNFIT.get(target, "")

    def output_names(self, graph: str, options: ExportOptions) -> tuple[str, ...]:
        return tuple(KINDS)

    def wrapper(self, graph: NetworkGraph, options: ExportOptions) -> Any:
        from mobileseg.instance.nms_layer import DeployDetections

        return DeployDetections(graph.layer, options, self.anchors, self.variances, self.detection)

    def item(
        self, network: Any, options: ExportOptions, image: np.ndarray, fed: np.ndarray, batch: Any
    ) -> InstanceItem:
        made = super().item(network, options, image, fed, batch)
        found = detect(made.outputs, self.anchors, self.detection, self.variances)
        outputs = {
            "detections": np.column_stack([found.classes, found.scores, found.boxes]).astype(np.float32),
            "coefficients": found.coefficients,
            "proto": made.outputs["proto"],
        }
        return replace(made, outputs=outputs, raw=made.outputs, scales=made.scales | {"boxes": _spread(found)})

    def common_arrays(self) -> dict[str, np.ndarray]:
        return {}

    def compare(
        self, answers: Sequence[Mapping[str, np.ndarray]], items: Sequence[InstanceItem], specs: Sequence[OutputSpec]
    ) -> Agreement:
        """Prototypes as in other graphs; of detections that are paired, scores, boxes and coefficients too."""
        problems: list[str] = []
        worst = 0.0
        again = total = 0
        for number, (answer, item) in enumerate(zip(answers, items, strict=True)):
            size = item.image.shape[0], item.image.shape[1]
            try:
                found = nms_detections(answer["detections"], answer["coefficients"], self.detection)
                result = finish(found, answer["proto"][0], size, self.detection)
            except (MobileSegError, ValueError) as error:
                problems.append(f"image {number}: no detections can be made of the outputs: {error}")
                continue
            pairs = pair(item.result, result, item.scales["conf"])
            rows = item.outputs["detections"][pairs.first]
            compared = (
                ("proto", item.sampled("proto", answer["proto"]), item.outputs["proto"], item.scales["proto"]),
                ("scores", found.scores[pairs.second], rows[:, 1], item.scales["conf"]),
                ("boxes", found.boxes[pairs.second], rows[:, 2:], item.scales["boxes"]),
                (
                    "coefficients",
                    found.coefficients[pairs.second],
                    item.outputs["coefficients"][pairs.first],
                    item.scales["mask"],
                ),
            )
            for name, value, expected, scale in compared:
                diff, problem = difference(name, value, expected, scale)
                worst = max(worst, diff)
                problems.extend([f"image {number}: {problem}"] if problem else [])
            same, all_of_them, wrong = disagreements(item, result)
            again, total = again + same, total + all_of_them
            problems.extend(f"image {number}: {text}" for text in wrong)
        return Agreement(worst, again / total if total else 1.0, tuple(problems))

    def result_problems(self, manifest: Manifest, reference: Reference) -> list[str]:
        problems: list[str] = []
        for index, item in enumerate(reference.items):
            size = item.image.shape[0], item.image.shape[1]
            found = nms_detections(item.outputs["detections"], item.outputs["coefficients"], self.detection)
            if item.proto_stride == 1:
                wrong = disagreements(item, finish(found, item.outputs["proto"][0], size, self.detection))[2]
            else:
                wrong = disagreements(item, self.without_masks(found, size), masks=False)[2]
            problems.extend(f"postprocess: image {index}: {text}" for text in wrong)
        return problems

    def write_files(self, stage: Path) -> None:
        """The anchors are inside the graph."""

    def outputs(
        self, graph: str, options: ExportOptions, reference: Reference, num_classes: int, target: str = ""
    ) -> tuple[OutputSpec, ...]:
        made = reference.items[0].outputs
        shapes = {"detections": (-1, 6), "coefficients": (-1, made["coefficients"].shape[1])}
        return tuple(
            OutputSpec(name, kind, "float32", shapes.get(name, tuple(made[name].shape))) for name, kind in KINDS.items()
        )

    def settings(self) -> dict[str, Any]:
        return self._settings(None)


def _spread(found: Detections) -> float:
    return float(found.boxes.std()) if len(found) else 1.0
