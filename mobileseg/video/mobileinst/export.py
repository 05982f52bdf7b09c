"""Export of MobileInst: two graphs, verified as streams.

The reference is recorded over short streams (:mod:`mobileseg.video.recording`). Answers of queries are compared whole,
maps at some of their values; the objects of every frame, those with the kernels of an earlier one included, must be the
same by the rules of :mod:`mobileseg.instance.golden`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mobileseg.errors import ExportError, MobileSegError
from mobileseg.export.golden import GoldenItem, Reference
from mobileseg.export.options import ExportOptions
from mobileseg.export.task import ExportTask
from mobileseg.export.tolerance import LIMIT, Agreement, difference
from mobileseg.instance import golden
from mobileseg.instance.detection_overlap import shared_score
from mobileseg.instance.export import require_fixed_raw
from mobileseg.instance.golden import SHAKES, InstanceItem, disagreements, steadied, weakness
from mobileseg.runtime.specs import OutputSpec
from mobileseg.structures import InstanceResult
from mobileseg.tasks import VIDEO
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.mobileinst.names import ANSWERS, FEATURES, MAPS, MASK_FEATURES
from mobileseg.video.mobileinst.options import KernelOptions, QueryOptions
from mobileseg.video.mobileinst.postprocess import Answers, instances_from_outputs, keep
from mobileseg.video.mobileinst.settings import QuerySettings
from mobileseg.video.recording import PIPELINES, StreamFrame, recorded, thinned, window

if TYPE_CHECKING:
    from mobileseg.nn.graphs import NetworkGraph
    from mobileseg.runtime.manifest import Manifest

OUTPUTS = dict.fromkeys(MAPS, "features") | {name: name for name in (MASK_FEATURES, *ANSWERS)}
"""Tensor -> its kind."""


@dataclass(frozen=True, kw_only=True)
class QueryItem(InstanceItem):
    """A frame of a stream with its objects: answers of queries where it is a key frame, and maps, thinned."""

    def sampled(self, name: str, value: np.ndarray) -> np.ndarray:
        return value if name in ANSWERS else thinned(value)

    def stored(self, first: bool) -> dict[str, np.ndarray]:
        return self.detections(first) | {f"output.{name}": value for name, value in self.outputs.items()}


@dataclass(frozen=True)
class QueryExport(ExportTask):
    """Kernels, classes, objectness and mask features of the frames of a stream.

    Attributes:
        section: of the manifest.
        input_size: (height, width).
        shapes: of all tensors that graphs give.
    """

    section: QuerySettings
    input_size: tuple[int, int]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    name: ClassVar[str] = VIDEO
    pipelines: ClassVar[tuple[str, ...]] = PIPELINES
    results: ClassVar[str] = "detections"
    golden_note: ClassVar[str] = "inputs are stored at every stride.<i>-th pixel, maps at some of their values"

    @classmethod
    def of_network(cls, network: Any, options: ExportOptions, settings: Mapping[str, Any] | None) -> QueryExport:
        """The task of a network in memory; see :class:`mobileseg.export.task.ExportStage`."""
        given = dict(settings or {})
        section = QuerySettings(
            QueryOptions(**given.get("queries", {})),
            network.mask_stride,
            KernelOptions(**given.get("kernels", {})),
            KeyframeOptions(**given.get("keyframes", {})),
            given.get("category_ids"),
        )
        size = options.height, options.width
        return cls(section, size, network.shapes(size))

    @classmethod
    def of_manifest(cls, manifest: Manifest) -> QueryExport:
        """The task of an artefact."""
        shapes = {output.name: output.shape for output in manifest.outputs_of()}
        return cls(QuerySettings.of(manifest.settings), (manifest.image.height, manifest.image.width), shapes)

    def frames(self, image: np.ndarray) -> list[np.ndarray]:
        return [window(image, index) for index in range(len(self.pipelines))]

    def check(self, options: ExportOptions) -> None:
        require_fixed_raw(options)
        if options.nms_in_graph:
            raise ExportError("queries need no NMS", remedy="drop nms_in_graph (--nms_in_graph)")
        if self.section.keyframes.delay:
            raise ExportError(
                f"keyframes.delay is {self.section.keyframes.delay}, and kernels are used at once",
                remedy="leave delay out of the section keyframes",
            )

    def output_names(self, graph: str, options: ExportOptions) -> tuple[str, ...]:
        return (MASK_FEATURES, *MAPS) if graph == FEATURES else ANSWERS

    def wrapper(self, graph: NetworkGraph, options: ExportOptions) -> Any:
        from mobileseg.export.conversion.wrapper import plain

        return plain(graph, options)

    def record(
        self, network: Any, options: ExportOptions, images: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]
    ) -> tuple[QueryItem, ...]:
        found = recorded(self.deployment(network, options), options, images, sizes[0], self._items)
        return tuple(self.settle(item) for item in found)

    def _items(self, frames: Iterable[StreamFrame], sequence: int) -> list[QueryItem]:
        """Frames of a stream as items; ``raw`` has what their objects are made of."""
        items: list[QueryItem] = []
        answers: dict[str, np.ndarray] = {}
        for frame in frames:
            made = {name: value.astype("float32").numpy() for name, value in frame.made.items()}
            for name, value in made.items():
                if not np.isfinite(value).all():
                    raise ExportError(
                        f"the network's output '{name}' is not finite (NaN or infinity)", remedy="check the weights"
                    )
            answers |= {name: made[name] for name in ANSWERS if name in made}
            raw = {MASK_FEATURES: made[MASK_FEATURES], **answers}
            result = self.result(raw, (frame.image.shape[0], frame.image.shape[1]))
            items.append(
                QueryItem(
                    image=frame.image,
                    input=frame.fed,
                    outputs={name: value if name in ANSWERS else thinned(value) for name, value in made.items()},
                    scales={name: float(value.std()) for name, value in made.items()},
                    pipeline=frame.pipeline,
                    sequence=sequence,
                    result=result,
                    sure=np.ones(len(result), np.bool_),
                    unsteady=np.zeros(len(result), np.int64),
                    other=(np.zeros((0, 4), np.float32), np.zeros(0, np.int64)),
                    candidates=np.zeros(0, np.int64),
                    raw=raw,
                )
            )
        return items

    def settle(self, item: GoldenItem) -> QueryItem:
        """Find out which objects are close decisions."""
        assert isinstance(item, QueryItem)
        size = (item.image.shape[0], item.image.shape[1])
        spread = {name: float(value.std()) for name, value in item.raw.items()}
        shaken = []
        for turn in range(SHAKES):
            rng = np.random.default_rng([0, turn])
            changed = {
                name: value + np.float32(2 * LIMIT * spread[name]) * rng.uniform(-1, 1, value.shape).astype("f")
                for name, value in item.raw.items()
            }
            shaken.append(self.result(changed, size))
        settled = steadied(item, shaken, 0.0)
        assert isinstance(settled, QueryItem)
        return replace(settled, raw={})

    def result(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int]) -> InstanceResult:
        """Objects of one frame, as every runtime makes them."""
        section = self.section
        return instances_from_outputs(outputs, section.mask_stride, self.input_size, size, section.queries)

    def load_item(self, arrays: Mapping[str, np.ndarray]) -> QueryItem:
        return golden.load(arrays, QueryItem)

    def weakness(self, reference: Reference, num_classes: int) -> str:
        return weakness(reference, num_classes)

    def compare(
        self, answers: Sequence[Mapping[str, np.ndarray]], items: Sequence[QueryItem], specs: Sequence[OutputSpec]
    ) -> Agreement:
        problems: list[str] = []
        worst, again, total = 0.0, 0, 0
        for number, (given, item) in enumerate(zip(self._with_kernels(answers), items, strict=True)):
            for spec in specs:
                if spec.name not in item.outputs:  # no key frame
                    continue
                value = item.sampled(spec.name, given[spec.name])
                diff, problem = difference(spec.name, value, item.outputs[spec.name], item.scales[spec.name])
                worst = max(worst, diff)
                if problem:
                    problems.append(f"frame {number}: {problem}")
            try:
                found = self.result(given, (item.image.shape[0], item.image.shape[1]))
            except (MobileSegError, ValueError) as error:
                problems.append(f"frame {number}: no objects can be made of the outputs: {error}")
                continue
            same, all_of_them, wrong = disagreements(item, found)
            again, total = again + same, total + all_of_them
            problems.extend(f"frame {number}: {text}" for text in wrong)
        return Agreement(worst, again / total if total else 1.0, tuple(problems))

    def shared(
        self, answers: Sequence[Mapping[str, np.ndarray]], items: Sequence[QueryItem], agreement: Agreement
    ) -> float:
        """By score, see :func:`mobileseg.instance.detection_overlap.shared_score`."""
        sums = np.zeros(2)
        for given, item in zip(self._with_kernels(answers), items, strict=True):
            sums += shared_score(item.result, self.result(given, (item.image.shape[0], item.image.shape[1])))
        return float(sums[0] / sums[1]) if sums[1] else 1.0

    @staticmethod
    def _with_kernels(answers: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        """What each frame gave, and the queries' answers of the latest key frame."""
        kept: dict[str, np.ndarray] = {}
        found = []
        for given in answers:
            kept = kept | {name: given[name] for name in ANSWERS if name in given}
            found.append({**given, **kept})
        return found

    def result_problems(self, manifest: Manifest, reference: Reference) -> list[str]:
        """From stored answers to the classes of the objects; their masks need maps that are not stored whole."""
        problems = []
        for index, item in enumerate(reference.items):
            if ANSWERS[0] not in item.outputs:
                continue
            try:
                answers = Answers.of(item.outputs)
            except MobileSegError as error:
                problems.append(f"postprocess: frame {index}: {error}")
                continue
            kept = answers.classes[keep(answers.scores, self.section.queries)].tolist()
            for label in item.result.classes[item.sure].tolist():
                if label not in kept:
                    problems.append(f"postprocess: frame {index}: an object of class {label} is missing")
                else:
                    kept.remove(label)
        return problems

    def outputs(
        self, graph: str, options: ExportOptions, reference: Reference, num_classes: int, target: str = ""
    ) -> tuple[OutputSpec, ...]:
        names = self.output_names(graph, options)
        return tuple(OutputSpec(name, OUTPUTS[name], "float32", self.shapes[name]) for name in names)

    def settings(self) -> dict[str, Any]:
        return self.section.to_dict()
