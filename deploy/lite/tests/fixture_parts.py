"""What the fixtures of the C++ tests are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.settings import DetectionSpec, InstanceSettings
from mobileseg.names import MAIN
from mobileseg.pixels import resize_bilinear
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.specs import GraphSpec, ImageSpec, OutputSpec
from mobileseg.structures import InstanceResult
from mobileseg.tasks import SEMANTIC


def picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8 [H, W, 3], soft shapes and noise."""
    coarse = rng.uniform(0, 255, (max(2, height // 16), max(2, width // 16), 3)).astype(np.float32)
    noisy = resize_bilinear(coarse, (height, width)) + rng.normal(0, 12, (height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def smooth(rng: np.random.Generator, shape: tuple[int, int, int], cell: int = 4) -> np.ndarray:
    """float32 [K, h, w] with regions, as scores of a network have them."""
    planes, height, width = shape
    coarse = rng.normal(0, 2, (max(2, height // cell), max(2, width // cell), planes)).astype(np.float32)
    resized = np.atleast_3d(resize_bilinear(coarse, (height, width)))
    return np.ascontiguousarray(resized.transpose(2, 0, 1), dtype=np.float32)


def manifest(
    name: str, spec: ImageSpec, outputs: tuple[OutputSpec, ...], classes: int, *, task: str = SEMANTIC, **more: Any
) -> Manifest:
    """A manifest of the graph 'main' alone, without files."""
    graphs = {MAIN: GraphSpec((spec.tensor(),), outputs)}
    return several_graphs(name, spec, graphs, {MAIN: (MAIN,)}, classes, task=task, **more)


def several_graphs(
    name: str,
    spec: ImageSpec,
    graphs: dict[str, GraphSpec],
    pipelines: dict[str, tuple[str, ...]],
    classes: int,
    **more: Any,
) -> Manifest:
    """A manifest without files."""
    rng = np.random.default_rng(classes)
    return Manifest(
        name=name,
        image=spec,
        graphs=graphs,
        pipelines=pipelines,
        classes=tuple(f"class {index}" for index in range(classes)),
        palette=tuple(tuple(int(v) for v in rng.integers(0, 256, 3)) for _ in range(classes)),
        files=more.pop("files", {}),
        **more,
    )


def instance_settings(options: DetectionOptions, anchors: str | None = None) -> dict[str, Any]:
    """The section of an instance segmentation model."""
    return InstanceSettings(DetectionSpec(anchors=anchors, **vars(options))).to_dict()


RAW = {"loc": "boxes", "conf": "scores", "mask": "coefficients", "proto": "prototypes"}


def raw_outputs(
    rng: np.random.Generator, count: int, classes: int, kinds: int, grid: tuple[int, int], objects: int
) -> dict[str, np.ndarray]:
    """What a trained network might say: mostly background, and groups of neighbouring anchors on objects."""
    logits = rng.normal(0, 1, (count, classes + 1)).astype(np.float32)
    logits[:, 0] += 9
    for start in rng.integers(0, count, objects):
        label = int(rng.integers(1, classes + 1))
        group = np.arange(start, min(count, start + 6))
        logits[group, label] += rng.uniform(6, 14, len(group)).astype(np.float32)
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    return {
        "loc": rng.normal(0, 0.7, (1, count, 4)).astype(np.float32),
        "conf": (scores / scores.sum(axis=1, keepdims=True))[None].astype(np.float32),
        "mask": np.tanh(rng.normal(0, 1, (1, count, kinds))).astype(np.float32),
        "proto": np.maximum(smooth(rng, (kinds, *grid), cell=6), 0)[None],
    }


def raw_specs(outputs: Mapping[str, np.ndarray]) -> tuple[OutputSpec, ...]:
    """Their specifications."""
    return tuple(OutputSpec(n, RAW[n], "float32", tuple(v.shape)) for n, v in outputs.items())  # type: ignore[arg-type]


def result_arrays(result: InstanceResult) -> dict[str, np.ndarray]:
    """A result as the tests read it: masks as rows of bits, run lengths as lines of text."""
    masks = result.masks.to_array()
    lines = "\n".join(str(item["counts"]) for item in result.masks.to_rle())
    return {
        "boxes": result.boxes,
        "scores": result.scores,
        "classes": result.classes,
        "masks": np.packbits(masks.reshape(len(masks), masks.shape[1] * masks.shape[2]), axis=1),
        "rle": np.frombuffer(lines.encode(), np.uint8),
    }
