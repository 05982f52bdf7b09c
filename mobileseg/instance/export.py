"""Export of instance segmentation models: raw predictions, and the anchors that make boxes of them.

The graph ends before NMS (:mod:`mobileseg.instance.postprocess` does it in every runtime), with the
outputs ``loc`` [1,P,4], ``conf`` [1,P,K+1] after softmax, ``mask`` [1,P,k] after tanh and ``proto`` [1,k,h,w]; with
`ExportOptions.nms_in_graph` it ends after a greedy one (:mod:`mobileseg.instance.export_nms`). Raw outputs must lie
within `LIMIT` standard deviations of the reference's; for detections the rule stands in
:mod:`mobileseg.instance.golden`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mobileseg.errors import ExportError, MobileSegError
from mobileseg.export.golden import GoldenItem, Reference
from mobileseg.export.options import NAME_A_SIZE, ExportOptions
from mobileseg.export.task import ExportTask
from mobileseg.export.tolerance import LIMIT, Agreement, difference
from mobileseg.instance import golden
from mobileseg.instance.detection_overlap import shared_score
from mobileseg.instance.golden import SHAKES, InstanceItem, disagreements, steadied, weakness
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.postprocess import Detections, detect, instances_from_outputs, pixel_boxes
from mobileseg.instance.runtime import read_anchors
from mobileseg.instance.settings import DetectionSpec, InstanceSettings
from mobileseg.runtime.specs import OutputSpec
from mobileseg.structures import InstanceMasks, InstanceResult
from mobileseg.tasks import INSTANCE

if TYPE_CHECKING:
    from mobileseg.nn.graphs import NetworkGraph
    from mobileseg.runtime.manifest import Manifest

ANCHORS_FILE = "anchors.npy"
KINDS: dict[str, Any] = {"loc": "boxes", "conf": "scores", "mask": "coefficients", "proto": "prototypes"}
"""Output of the graph -> its kind."""

_ANCHOR_STEP = 7  # golden.npz keeps every 7th anchor: no multiple of the usual number of ratios


@dataclass(frozen=True)
class InstanceExport(ExportTask):
    """Boxes, scores, coefficients and prototypes.

    Attributes:
        anchors: float32 [P,4] of the input size.
        detection: options of NMS.
        variances: of the coding of the boxes.
        input_size: (height, width).
        category_ids: COCO category id of every class, None when there are none.
    """

    anchors: np.ndarray
    detection: DetectionOptions
    variances: tuple[float, float]
    input_size: tuple[int, int]
    category_ids: tuple[int, ...] | None = None

    name: ClassVar[str] = INSTANCE
    results: ClassVar[str] = "detections"
    golden_note: ClassVar[str] = (
        "inputs are stored at every stride.<i>-th pixel, prototypes at every proto_stride.<i>-th, predictions at the "
        "anchors rows.<i>"
    )

    def check(self, options: ExportOptions) -> None:
        require_fixed_raw(options)

    def output_names(self, graph: str, options: ExportOptions) -> tuple[str, ...]:
        return tuple(KINDS)

    def wrapper(self, graph: NetworkGraph, options: ExportOptions) -> Any:
        from mobileseg.export.conversion.wrapper import DeployImageGraph

        return DeployImageGraph(graph.layer, options, tuple(KINDS))

    def item(
        self, network: Any, options: ExportOptions, image: np.ndarray, fed: np.ndarray, batch: Any
    ) -> InstanceItem:
        return self.recorded(network(batch), image, fed)

    def recorded(self, answer: Mapping[str, Any], image: np.ndarray, fed: np.ndarray) -> InstanceItem:
        """An item of what a network answered, ``{name: Paddle tensor}``; for the others see :meth:`item`."""
        outputs = {name: answer[name].astype("float32").numpy() for name in KINDS}
        for name, value in outputs.items():
            if not np.isfinite(value).all():
                raise ExportError(
                    f"the network's output '{name}' is not finite (NaN or infinity)", remedy="check the trained weights"
                )
        result = self.result(outputs, (image.shape[0], image.shape[1]))
        best = outputs["conf"][0, :, 1:].max(axis=1)
        scales = {name: float(value.std()) for name, value in outputs.items()}
        able = np.flatnonzero(best > self.detection.score_threshold - 2 * LIMIT * scales["conf"])
        return InstanceItem(
            image=image,
            input=fed,
            outputs=outputs,
            scales=scales,
            result=result,
            sure=np.ones(len(result), np.bool_),
            unsteady=np.zeros(len(result), np.int64),
            other=(np.zeros((0, 4), np.float32), np.zeros(0, np.int64)),
            candidates=able[np.argsort(-best[able], kind="stable")],
        )

    def settle(self, item: GoldenItem) -> GoldenItem:
        """Find out which detections are close decisions."""
        assert isinstance(item, InstanceItem)
        size = (item.image.shape[0], item.image.shape[1])
        rows = np.sort(item.candidates)  # the other anchors stay below the threshold
        made = item.raw or item.outputs
        raw = {name: made[name] if name == "proto" else made[name][:, rows] for name in KINDS}
        shaken = []
        for turn in range(SHAKES):
            rng = np.random.default_rng([0, turn])
            changed = {
                name: value + np.float32(2 * LIMIT * item.scales[name]) * rng.uniform(-1, 1, value.shape).astype("f")
                for name, value in raw.items()
            }
            shaken.append(self.result(changed, size, rows))
        return steadied(item, shaken, item.scales["conf"])

    def result(
        self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], rows: np.ndarray | None = None
    ) -> InstanceResult:
        """Detections of one image from raw predictions (of some anchors only), as every runtime makes them."""
        anchors = self.anchors if rows is None else self.anchors[rows]
        return instances_from_outputs(
            outputs, anchors, size, self.detection, variances=self.variances, input_size=self.input_size
        )

    def load_item(self, arrays: Mapping[str, np.ndarray]) -> InstanceItem:
        return golden.load(arrays)

    def common_arrays(self) -> dict[str, np.ndarray]:
        return {"anchors": self.anchors[::_ANCHOR_STEP]}

    def weakness(self, reference: Reference, num_classes: int) -> str:
        return weakness(reference, num_classes)

    def compare(
        self, answers: Sequence[Mapping[str, np.ndarray]], items: Sequence[InstanceItem], specs: Sequence[OutputSpec]
    ) -> Agreement:
        problems: list[str] = []
        worst = 0.0
        again = total = 0
        for number, (answer, item) in enumerate(zip(answers, items, strict=True)):
            for spec in specs:
                expected = item.outputs.get(spec.name)
                if expected is None:
                    problems.append(f"image {number}: the reference has no output '{spec.name}'")
                    continue
                value = item.sampled(spec.name, answer[spec.name])
                diff, problem = difference(spec.name, value, expected, item.scales[spec.name])
                worst = max(worst, diff)
                if problem:
                    problems.append(f"image {number}: {problem}{_hint(spec.name, value, expected, item)}")
            try:
                found = self.result(answer, (item.image.shape[0], item.image.shape[1]))
            except (MobileSegError, ValueError) as error:
                problems.append(f"image {number}: no detections can be made of the outputs: {error}")
                continue
            same, all_of_them, wrong = disagreements(item, found)
            again, total = again + same, total + all_of_them
            problems.extend(f"image {number}: {text}" for text in wrong)
        return Agreement(worst, again / total if total else 1.0, tuple(problems))

    def shared(
        self, answers: Sequence[Mapping[str, np.ndarray]], items: Sequence[InstanceItem], agreement: Agreement
    ) -> float:
        """By score, see :func:`mobileseg.instance.detection_overlap.shared_score`."""
        sums = np.zeros(2)
        for answer, item in zip(answers, items, strict=True):
            found = self.result(answer, (item.image.shape[0], item.image.shape[1]))
            sums += shared_score(item.result, found)
        return float(sums[0] / sums[1]) if sums[1] else 1.0

    def result_problems(self, manifest: Manifest, reference: Reference) -> list[str]:
        if any(item.rows is not None and item.rows.max() >= len(self.anchors) for item in reference.items):
            return [f"anchors: {ANCHORS_FILE} has {len(self.anchors)} rows, the network has more anchors"]
        problems = self._anchor_problems(reference)
        for index, item in enumerate(reference.items):
            if not item.complete:
                continue
            try:
                wrong = self._replayed(item)
            except (MobileSegError, ValueError) as error:
                wrong = [str(error)]
            problems.extend(f"postprocess: image {index}: {text}" for text in wrong)
        return problems

    def _anchor_problems(self, reference: Reference) -> list[str]:
        given, expected = self.anchors[::_ANCHOR_STEP], reference.common.get("anchors")
        if expected is None:
            return ["anchors: golden.npz has none"]
        if given.shape != expected.shape:
            return [f"anchors: {ANCHORS_FILE} has {len(self.anchors)} rows, the network has another number of anchors"]
        off = np.abs(given - expected).max(axis=1) > 1e-6
        if not off.any():
            return []
        first = int(np.flatnonzero(off)[0])
        return [
            f"anchors: {int(off.sum())} of {len(off)} compared rows of {ANCHORS_FILE} are not the network's; row "
            f"{first * _ANCHOR_STEP} is {np.round(given[first], 4).tolist()}, it was "
            f"{np.round(expected[first], 4).tolist()}"
        ]

    def _replayed(self, item: InstanceItem) -> list[str]:
        """From stored outputs to the stored detections; their masks too where the prototypes are whole."""
        size = (item.image.shape[0], item.image.shape[1])
        outputs = item.whole(len(self.anchors))
        if item.proto_stride == 1:
            return disagreements(item, self.result({**outputs, "proto": item.outputs["proto"]}, size))[2]
        found = detect(outputs, self.anchors, self.detection, self.variances, input_size=self.input_size)
        return disagreements(item, self.without_masks(found, size), masks=False)[2]

    def without_masks(self, found: Detections, size: tuple[int, int]) -> InstanceResult:
        """Detections as a result whose masks are empty."""
        boxes = pixel_boxes(found.boxes, size, self.detection.truncate_boxes)
        nothing = InstanceMasks(size, [(0, 0, np.zeros((0, 0), np.bool_))] * len(boxes))
        return InstanceResult(boxes, found.scores, found.classes, nothing)

    def write_files(self, stage: Path) -> None:
        np.save(stage / ANCHORS_FILE, self.anchors, allow_pickle=False)

    def outputs(
        self, graph: str, options: ExportOptions, reference: Reference, num_classes: int, target: str = ""
    ) -> tuple[OutputSpec, ...]:
        made = reference.items[0].outputs
        return tuple(OutputSpec(name, kind, "float32", tuple(made[name].shape)) for name, kind in KINDS.items())

    def settings(self) -> dict[str, Any]:
        return self._settings(ANCHORS_FILE)

    def _settings(self, anchors: str | None) -> dict[str, Any]:
        spec = DetectionSpec(**asdict(self.detection), anchors=anchors, variances=self.variances)
        return InstanceSettings(spec, self.category_ids).to_dict()


def require_fixed_raw(options: ExportOptions) -> None:
    """Objects come of raw predictions at one input size.

    Raises:
        ExportError: the options ask for another form.
    """
    if options.dynamic:
        raise ExportError(
            "an instance segmentation graph has one input size: its anchors are constants that belong to that size",
            remedy=NAME_A_SIZE
            if options.any_size
            else "drop --dynamic, and export once for every --size that is needed",
        )
    scores = options.output_op in ("softmax", "probabilities")
    if scores or options.output_size is not None:
        what = f"the output op {options.output_op}" if scores else "a resize inside the graph"
        raise ExportError(
            f"{what} is for semantic segmentation; an instance segmentation graph ends at its raw predictions",
            remedy="drop output_op and output_size (--output_op, --resize_in_graph)",
        )


FOREIGN = ("output_op", "output_size")


def task_for(network: Any, options: ExportOptions, settings: Mapping[str, Any] | None) -> InstanceExport:
    """See :class:`mobileseg.export.task.ExportStage`."""
    from mobileseg.instance.export_nms import InstanceNmsExport, greedy

    size = options.height, options.width
    given = dict(settings or {})
    detection = DetectionOptions(**given.get("detection", {}))
    kind, detection = (InstanceNmsExport, greedy(detection)) if options.nms_in_graph else (InstanceExport, detection)
    ids = given.get("category_ids")
    return kind(network.anchors(*size), detection, tuple(network.variances), size, ids)


def task_of(folder: Path, manifest: Manifest) -> InstanceExport:
    """See :class:`mobileseg.export.task.ExportStage`.

    Raises:
        RuntimeEngineError: the anchors cannot be read, or are not those that were exported.
    """
    from mobileseg.instance.export_nms import InstanceNmsExport

    settings = InstanceSettings.of(manifest.settings)
    spec, size = settings.detection, (manifest.image.height, manifest.image.width)
    if spec.anchors is None:
        none = np.zeros((0, 4), np.float32)
        return InstanceNmsExport(none, spec.options, spec.variances, size, settings.category_ids)
    anchors = read_anchors(folder, manifest, spec.anchors)
    return InstanceExport(anchors, spec.options, spec.variances, size, settings.category_ids)


def settings_from(config: Mapping[str, Any], dataset: Any) -> dict[str, Any]:
    """Options of the NMS, and the category ids of the dataset where it has them."""
    return {"detection": dict(config["detection"]), "category_ids": getattr(dataset, "category_ids", None)}


def _hint(name: str, value: np.ndarray, expected: np.ndarray, item: InstanceItem) -> str:
    """What a difference looks like, where that can be told."""
    if name == "proto" and value.ndim == 4:
        turned = value.transpose(0, 1, 3, 2)
        if turned.shape == expected.shape and not difference(name, turned, expected, item.scales[name])[1]:
            return ": height and width are exchanged"
    if name == "conf" and value.shape == expected.shape:
        powers = np.exp(value - value.max(axis=-1, keepdims=True))
        if not difference(name, powers / powers.sum(axis=-1, keepdims=True), expected, item.scales[name])[1]:
            return ": these are logits, the softmax is missing"
    return ""
