"""Export of semantic segmentation models.

In golden.npz, for the item ``i``, beside what :mod:`mobileseg.export.golden` lists:

- ``logits.i`` float32 [1,K,H,W] raw logits; ``argmax.i`` uint8 [H,W]; ``close.i`` bool [H,W], pixels whose two
  best logits differ by less than the limit; ``labels.i`` uint8 [h,w] the final result;
- scores are kept at every ``stride.i``-th pixel, as inputs are.
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
from mobileseg.export.options import ExportOptions
from mobileseg.export.task import ExportTask
from mobileseg.export.tolerance import LIMIT, STEEPNESS, Agreement, difference
from mobileseg.runtime.specs import OutputSpec
from mobileseg.semantic.postprocess import labels_from_labels, labels_from_logits
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
        stride = stride_for(max(self.logits.nbytes, self.input.nbytes), _FIRST_BYTES if first else _OTHER_BYTES)
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
            arrays[f"output.{name}"] = subsample(value, stride) if value.ndim == 4 else value
        return arrays | {f"scale.{name}": np.array(scale) for name, scale in self.scales.items()}


class SemanticExport(ExportTask):
    """Labels, probabilities or logits per pixel."""

    name: ClassVar[str] = SEMANTIC
    results: ClassVar[str] = "labels"

    def check(self, options: ExportOptions) -> None:
        if options.nms_in_graph:
            raise ExportError(
                "NMS in the graph is for instance segmentation, this is a semantic segmentation model",
                remedy="drop --nms_in_graph (export: {nms_in_graph: ...})",
            )

    def form(self, target: str, options: ExportOptions) -> ExportOptions:
        """NCNN has no argmax over channels, and its tensors are float32."""
        if target != "ncnn":
            return options
        op = "none" if options.output_op == "argmax" else options.output_op
        return replace(options, output_op=op, input_dtype="float32")

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
        probabilities = F.softmax(answer, axis=1).numpy() if options.output_op == "softmax" else None
        if not np.isfinite(logits).all():
            raise ExportError(
                "the network's logits are not finite (NaN or infinity)", remedy="check the trained weights"
            )
        argmax = logits[0].argmax(axis=0)
        scales = {"logits": float(logits.std())}
        if probabilities is not None:
            outputs = {"probabilities": probabilities}
            scales["probabilities"] = float(probabilities.std())
        elif options.output_op == "argmax":
            outputs = {"labels": argmax[None].astype(np.int32)}
        else:
            outputs = {"logits": logits}
        return SemanticItem(
            image=image,
            input=fed,
            outputs=outputs,
            scales=scales,
            logits=logits,
            argmax=argmax.astype(np.uint8),
            close=_margin(logits[0]) < LIMIT * scales["logits"],
            labels=_final_labels(outputs, argmax, (image.shape[0], image.shape[1])),
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
        what such a difference of the logits makes of them; labels must be equal except where the two best logits
        of the reference are closer than that.
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
                    labels = value[0].argmax(axis=0)
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
        return problems

    def outputs(
        self, graph: str, options: ExportOptions, reference: Reference, num_classes: int, target: str = ""
    ) -> tuple[OutputSpec, ...]:
        spec = output_spec(self.form(target, options), num_classes)
        if target == "ncnn" and options.output_op == "argmax":
            spec = replace(spec, resize="labels-nearest")  # the same answer as that of the graphs that end in labels
        return (spec,)

    def deploy_block(self, options: ExportOptions) -> dict[str, Any] | None:
        usual = options.channels == 3 and options.pixel_range == (0, 255)
        return deploy_block(options) if usual else None  # PaddleSeg's script reads photographs


FOREIGN = ("nms_in_graph",)


def task_for(network: Any, options: ExportOptions, settings: Mapping[str, Any] | None) -> SemanticExport:
    """See :class:`mobileseg.export.task.ExportStage`."""
    return SemanticExport()


def task_of(folder: Path, manifest: Manifest) -> SemanticExport:
    """See :class:`mobileseg.export.task.ExportStage`."""
    return SemanticExport()


def settings_from(config: Mapping[str, Any], dataset: Any) -> None:
    """Labels need no settings."""


def output_spec(options: ExportOptions, num_classes: int) -> OutputSpec:
    """The manifest's output."""
    height, width = (-1, -1) if options.dynamic else options.output_size or (options.height, options.width)
    if options.output_op == "argmax":
        return OutputSpec("labels", "labels", "int32", (1, height, width), "labels-nearest")
    kind = "probabilities" if options.output_op == "softmax" else "logits"
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
        "output_op": options.output_op,
        "output_dtype": "int32" if options.output_op == "argmax" else "float32",
    }


def _score_difference(value: np.ndarray, item: SemanticItem, spec: OutputSpec) -> tuple[float, str]:
    expected = item.logits if spec.kind == "logits" else item.outputs.get(spec.name)
    if expected is None:
        return float("inf"), f"the reference has no output '{spec.name}', it has {sorted(item.outputs)}"
    slack: np.ndarray | float = 0.0
    if spec.kind == "probabilities":
        slack = STEEPNESS * LIMIT * item.scales["logits"] * expected * (1.0 - expected)
    return difference(spec.name, subsample(value, item.stride), expected, item.scales[spec.kind], slack)


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
