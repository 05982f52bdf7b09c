"""Export of semantic segmentation models.

In golden.npz, for the item ``i``, beside what :mod:`mobileseg.export.golden` lists:

- ``logits.i`` float32 [1,K,H,W] raw logits at the size of the input; ``argmax.i`` uint8 [H,W]; ``close.i`` bool [H,W],
  pixels whose two best logits differ by less than the limit; ``labels.i`` uint8 [h,w] the final result;
- scores are kept at every ``stride.i``-th pixel, as inputs are; those of graphs that end at the decoder
  (``output.i.logits`` of another size than the input) whole, where they are small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mobileseg.errors import ExportError
from mobileseg.export.golden import GoldenItem, Reference, loaded_fields, stride_for, subsample
from mobileseg.export.manifest import file_names
from mobileseg.export.options import IN_GRAPH, ExportOptions, OutputOp
from mobileseg.export.task import ExportTask
from mobileseg.export.tolerance import LIMIT, ROUNDED_SHARE, STEEPNESS, Agreement, difference
from mobileseg.runtime.preprocess import Geometry
from mobileseg.runtime.specs import OutputSpec, ResizeRule
from mobileseg.semantic.postprocess import labels_from_labels, labels_from_logits
from mobileseg.semantic.runtime import SemanticPipeline
from mobileseg.tasks import SEMANTIC

if TYPE_CHECKING:
    from mobileseg.nn.graphs import NetworkGraph
    from mobileseg.runtime.manifest import Manifest

_FIRST_BYTES = 2_000_000  # of one stored array of the first item; the others are for labels and spot checks
_OTHER_BYTES = 200_000


@dataclass(frozen=True, kw_only=True)
class SemanticItem(GoldenItem):
    """One image with its labels; arrays as in the module's list, whole unless ``stride`` > 1."""

    logits: np.ndarray
    argmax: np.ndarray
    close: np.ndarray
    labels: np.ndarray

    def shown(self) -> set[int]:
        return set(np.unique(self.argmax).tolist())

    def stored(self, first: bool) -> dict[str, np.ndarray]:
        budget = _FIRST_BYTES if first else _OTHER_BYTES
        stride = stride_for(max(self.logits.nbytes, self.input.nbytes), budget)
        arrays = {
            "stride": np.array(stride),
            "image": self.image,
            "input": subsample(self.input, stride),
            "logits": subsample(self.logits, stride),
            "argmax": self.argmax,
            "close": self.close,
            "labels": self.labels,
        }
        for name, value in self.outputs.items():
            coarse = value.ndim == 4 and value.shape != self.logits.shape
            whole = value.ndim == 3 or (coarse and value.nbytes <= budget)
            arrays[f"output.{name}"] = value if whole else subsample(value, stride)
        return arrays | {f"scale.{name}": np.array(scale) for name, scale in self.scales.items()}


class SemanticExport(ExportTask):
    """Labels, probabilities or logits per pixel.

    Args:
        ends_early: the network has ``coarse_logits(x)``, which half-pixel bilinear resizing makes its logits.
    """

    name: ClassVar[str] = SEMANTIC
    results: ClassVar[str] = "labels"

    def __init__(self, ends_early: bool = False) -> None:
        self._ends_early = ends_early

    def check(self, options: ExportOptions) -> None:
        if options.nms_in_graph:
            raise ExportError(
                "NMS in the graph is for instance segmentation, this is a semantic segmentation model",
                remedy="drop --nms_in_graph (export: {nms_in_graph: ...})",
            )

    def form(self, target: str, options: ExportOptions) -> ExportOptions:
        """For a result, all but Paddle (its graph is PaddleSeg's script's, too) end at the decoder, where they can.

        NCNN has no argmax over channels, and its tensors are float32.
        """
        if target == "ncnn":
            op: OutputOp = "none" if options.graph_op == "argmax" else options.output_op
            form = replace(options, output_op=op, input_dtype="float32")
        else:
            form = options
        if target in ("", "paddle") or not self._early(options):
            return form
        return replace(form, output_op="none", at_decoder=True)

    def _early(self, options: ExportOptions) -> bool:
        """Whether some graphs end at the decoder: those of a fixed size, which is that of the network's logits."""
        asked = options.output_op in IN_GRAPH and not options.dynamic and options.output_size is None
        return self._ends_early and asked

    def output_names(self, graph: str, options: ExportOptions) -> tuple[str, ...]:
        return (options.output_name,)

    def wrapper(self, graph: NetworkGraph, options: ExportOptions) -> Any:
        from mobileseg.semantic.deploy import DeployLabels

        return DeployLabels(graph.layer, options)

    def item(
        self, network: Any, options: ExportOptions, image: np.ndarray, fed: np.ndarray, batch: Any
    ) -> SemanticItem:
        import paddle.nn.functional as F

        answer = network(batch)["logits"]
        if options.output_size is not None:
            answer = F.interpolate(answer, size=list(options.output_size), mode="bilinear", align_corners=False)
        logits = answer.astype("float32").numpy()
        probabilities = F.softmax(answer, axis=1).numpy() if options.graph_op == "softmax" else None
        if not np.isfinite(logits).all():
            raise ExportError(
                "the network's logits are not finite (NaN or infinity)", remedy="check the trained weights"
            )
        argmax = logits[0].argmax(axis=0)
        scales = {"logits": float(logits.std())}
        if probabilities is not None:
            outputs = {"probabilities": probabilities}
            scales["probabilities"] = float(probabilities.std())
        elif options.graph_op == "argmax":
            outputs = {"labels": argmax[None].astype(np.int32)}
        else:
            outputs = {"logits": logits}
        labels = _final_labels(outputs, argmax, (image.shape[0], image.shape[1]))
        if self._early(options):
            outputs["logits"] = network.coarse_logits(batch).astype("float32").numpy()
        return SemanticItem(
            image=image,
            input=fed,
            outputs=outputs,
            scales=scales,
            logits=logits,
            argmax=argmax.astype(np.uint8),
            close=_margin(logits[0]) < LIMIT * scales["logits"],
            labels=labels,
        )

    def load_item(self, arrays: Mapping[str, np.ndarray]) -> SemanticItem:
        return SemanticItem(
            **loaded_fields(arrays),
            logits=arrays["logits"],
            argmax=arrays["argmax"],
            close=arrays["close"],
            labels=arrays["labels"],
        )

    def compare(
        self, answers: Sequence[Mapping[str, np.ndarray]], items: Sequence[SemanticItem], specs: Sequence[OutputSpec]
    ) -> Agreement:
        """Raw scores must lie within `LIMIT` standard deviations of the reference's, probabilities within that and
        what such a difference of the logits makes of them; labels, of a graph that ends at the decoder those that the
        runtime makes of its answer, must be equal except where the two best logits of the reference are closer than
        that.
        """
        problems: list[str] = []
        worst: float | None = None
        equal = total = 0
        for number, (answer, item) in enumerate(zip(answers, items, strict=True)):
            for spec in specs:
                value = answer[spec.name]
                if spec.kind != "labels":
                    diff, problem = _score_difference(value, item, spec)
                    worst = diff if worst is None else max(worst, diff)
                    problems.extend([f"image {number}: {problem}"] if problem else [])
                    labels = labels_from_logits(value[0], spec.upsample or value.shape[2:])
                else:
                    labels = value.reshape(value.shape[-2:])
                if labels.shape != item.argmax.shape:
                    problems.append(
                        f"image {number}: labels have size {labels.shape}, the reference has {item.argmax.shape}"
                    )
                    continue
                same = labels == item.argmax
                equal, total = equal + int(same.sum()), total + same.size
                wrong = int((~same & ~item.close).sum())
                if wrong:
                    problems.append(
                        f"image {number}: {wrong} of {same.size} labels of '{spec.name}' differ where the network "
                        "is sure"
                    )
        return Agreement(worst, equal / total if total else 0.0, tuple(problems))

    def result_problems(self, manifest: Manifest, reference: Reference) -> list[str]:
        problems = []
        spec = manifest.outputs_of()[0]
        early = {
            own for target in manifest.targets() for own in manifest.outputs_of(target) if own.upsample is not None
        }
        for index, item in enumerate(reference.items):
            value = item.outputs.get(spec.name)
            if value is None:
                problems.append(f"outputs: deploy.yaml names '{spec.name}', golden.npz has {sorted(item.outputs)}")
                continue
            if spec.kind == "labels":
                labels = labels_from_labels(value[0].astype(np.uint8), item.labels.shape)
            elif item.stride == 1:
                labels = labels_from_logits(value[0], item.labels.shape)
            else:
                continue
            if not np.array_equal(labels, item.labels):
                off = float((labels != item.labels).mean())
                problems.append(f"postprocess: image {index}: {off:.2%} of the final labels differ")
            problems += [
                f"postprocess: image {index}: {found}" for own in early if (found := _tail(manifest, own, item))
            ]
        return problems

    def outputs(
        self, graph: str, options: ExportOptions, reference: Reference, num_classes: int, target: str = ""
    ) -> tuple[OutputSpec, ...]:
        form = self.form(target, options)
        spec = output_spec(form, num_classes)
        results: ResizeRule = "labels-nearest" if options.graph_op == "argmax" else "probabilities-bilinear"
        if form.at_decoder:
            shape = reference.items[0].outputs["logits"].shape
            return (replace(spec, shape=shape, upsample=(options.height, options.width), resize=results),)
        if target == "ncnn" and options.graph_op == "argmax":
            spec = replace(spec, resize=results)  # the same answer as that of the graphs that end in labels
        return (spec,)

    def deploy_block(self, options: ExportOptions) -> dict[str, Any] | None:
        usual = options.channels == 3 and options.pixel_range == (0, 255)
        return deploy_block(options) if usual else None  # PaddleSeg's script reads photographs


FOREIGN = ("nms_in_graph",)


def task_for(network: Any, options: ExportOptions, settings: Mapping[str, Any] | None) -> SemanticExport:
    """See :class:`mobileseg.export.task.ExportStage`."""
    half_pixel = not getattr(network, "align_corners", False)  # the rule of everything behind a graph
    return SemanticExport(ends_early=half_pixel and hasattr(network, "coarse_logits"))


def task_of(folder: Path, manifest: Manifest) -> SemanticExport:
    """See :class:`mobileseg.export.task.ExportStage`."""
    return SemanticExport()


def settings_from(config: Mapping[str, Any], dataset: Any) -> None:
    """Labels need no settings."""


def output_spec(options: ExportOptions, num_classes: int) -> OutputSpec:
    """The manifest's output."""
    height, width = (-1, -1) if options.dynamic else options.output_size or (options.height, options.width)
    if options.graph_op == "argmax":
        return OutputSpec("labels", "labels", "int32", (1, height, width), "labels-nearest")
    kind = "probabilities" if options.graph_op == "softmax" else "logits"
    return OutputSpec(kind, kind, "float32", (1, num_classes, height, width), "scores-bilinear")


def deploy_block(options: ExportOptions) -> dict[str, Any]:
    """PaddleSeg's ``Deploy:`` block.

    PaddleSeg's script feeds float32 [1,3,H,W] and normalises by itself, so the block leaves Normalize out
    when the graph normalises; a uint8 or NHWC graph is beyond what that script can feed.
    """
    transforms: list[dict[str, Any]] = []
    if not options.dynamic:
        transforms.append({"type": "Resize", "target_size": [options.width, options.height]})
    if not options.normalize_in_graph:
        transforms.append({"type": "Normalize", "mean": list(options.mean), "std": list(options.std)})
    model, params = file_names("paddle")
    return {
        "model": model,
        "params": params,
        "transforms": transforms,
        "input_shape": options.input_shape(open_size=options.dynamic),
        "output_op": options.graph_op,
        "output_dtype": "int32" if options.graph_op == "argmax" else "float32",
    }


def _score_difference(value: np.ndarray, item: SemanticItem, spec: OutputSpec) -> tuple[float, str]:
    expected = item.logits if spec.kind == "logits" and spec.upsample is None else item.outputs.get(spec.name)
    if expected is None:
        return float("inf"), f"the reference has no output '{spec.name}', it has {sorted(item.outputs)}"
    slack: np.ndarray | float = 0.0
    if spec.kind == "probabilities":
        slack = STEEPNESS * LIMIT * item.scales["logits"] * expected * (1.0 - expected)
    value = value if value.shape == expected.shape else subsample(value, item.stride)
    return difference(spec.name, value, expected, item.scales[spec.kind], slack)


def _tail(manifest: Manifest, spec: OutputSpec, item: SemanticItem) -> str:
    """What is wrong with the final labels that the runtime makes of the stored end of the decoder, '' when nothing."""
    value = item.outputs.get(spec.name)
    if value is None:
        return f"golden.npz has no output '{spec.name}', it has {sorted(item.outputs)}"
    if value.shape != spec.shape:
        return ""  # stored in part
    size = item.labels.shape[0], item.labels.shape[1]
    whole = manifest.image.height, manifest.image.width
    result = SemanticPipeline(manifest, (spec,)).finish({spec.name: value}, Geometry(size, whole, whole), {})
    # Where the two best are closer than rounding either may win; probabilities of another size were mixed before that.
    close = labels_from_labels(item.close.astype(np.uint8), size) > 0
    allowed = 0.0 if spec.resize == "labels-nearest" or size == whole else ROUNDED_SHARE
    off = float(((result.labels != item.labels) & ~close).mean())
    return f"{off:.2%} of the final labels of graphs that end at the decoder differ" if off > allowed else ""


def _final_labels(outputs: Mapping[str, np.ndarray], argmax: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if "labels" in outputs:
        return labels_from_labels(argmax.astype(np.uint8), size)
    return labels_from_logits(next(iter(outputs.values()))[0], size)


def _margin(logits: np.ndarray) -> np.ndarray:
    """[H,W]: difference of the two best of [K,H,W]."""
    if logits.shape[0] == 1:
        return np.full(logits.shape[1:], np.inf, np.float32)
    best = np.partition(logits, logits.shape[0] - 2, axis=0)[-2:]
    return np.abs(best[1] - best[0])
