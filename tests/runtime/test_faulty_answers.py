"""Answers of graphs that are no numbers or no classes are refused; the table is that of the C++ tests."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import RuntimeEngineError
from mobileseg.files import sha256_of
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.runtime import InstancePipeline
from mobileseg.instance.settings import DetectionSpec, InstanceSettings
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.preprocess import Geometry
from mobileseg.runtime.specs import ImageSpec, OutputSpec
from mobileseg.semantic.runtime import SemanticPipeline
from mobileseg.tasks import INSTANCE
from tests.manifests import one_graph

sys.path.append(str(Path(__file__).parents[2] / "deploy" / "lite" / "tests"))
from fixture_faults import CLASSES, FAULTS, answers, batched, damaged
from fixture_parts import RAW

PLACE = Geometry((50, 60), (64, 64), (64, 64))


def manifest(image: ImageSpec, outputs: tuple[OutputSpec, ...], classes: int) -> Manifest:
    names, palette = tuple(f"class {index}" for index in range(classes)), ((0, 0, 0),) * classes
    return one_graph("faults", image, outputs, {}, classes=names, palette=palette, files={})


def finish(folder: Path, outputs: dict[str, np.ndarray], anchors: np.ndarray):
    np.save(folder / "anchors.npy", anchors)
    kinds = RAW | {"rows": "detections"}
    specs = tuple(OutputSpec(name, kinds[name], "float32", value.shape) for name, value in outputs.items())
    detection = DetectionSpec(anchors="anchors.npy", **vars(DetectionOptions()))
    settings = InstanceSettings(detection).to_dict()
    found = replace(manifest(ImageSpec("x", 64, 64), specs, CLASSES), task=INSTANCE, settings=settings)
    found = replace(found, files={"anchors.npy": sha256_of(folder / "anchors.npy")})
    return InstancePipeline(folder, found, specs, InstanceSettings.of(found.settings)).finish(outputs, PLACE, {})


@pytest.mark.parametrize("graph", ["raw", "suppressed"])
def test_a_sound_answer_is_used(graph: str, tmp_path: Path) -> None:
    outputs, anchors = answers(graph)
    assert len(finish(tmp_path, batched(graph, outputs), anchors)) == len(anchors)


@pytest.mark.parametrize("name", FAULTS)
def test_a_damaged_answer_is_refused(name: str, tmp_path: Path) -> None:
    outputs, anchors = damaged(FAULTS[name])
    with pytest.raises(RuntimeEngineError) as caught:
        finish(tmp_path, outputs, anchors)
    assert FAULTS[name].words in str(caught.value)


def label(kind: str, value: np.ndarray, classes: int = 2, *, scores: bool = False):
    spec = OutputSpec("answer", kind, str(value.dtype), value.shape)  # type: ignore[arg-type]
    pipeline = SemanticPipeline(manifest(ImageSpec("x", 2, 2), (spec,), classes), (spec,), scores)
    return pipeline.finish({"answer": value}, Geometry((2, 2), (2, 2), (2, 2)), {})


@pytest.mark.parametrize("wrong", [2, 77, 256, -1, np.iinfo(np.int32).min])
def test_labels_must_be_classes(wrong: int) -> None:
    values = np.array([[[0, 1], [1, 0]]], np.int32)
    assert label("labels", values).labels.tolist() == values[0].tolist()
    values[0, 1, 1] = wrong
    with pytest.raises(RuntimeEngineError, match=f"holds the label {wrong}, the manifest names 2 classes"):
        label("labels", values)


@pytest.mark.parametrize("kind", ["logits", "probabilities"])
@pytest.mark.parametrize("scores", [False, True])
def test_scores_must_be_numbers_one_per_class(kind: str, scores: bool) -> None:
    values = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2) / 8
    assert (label(kind, values, scores=scores).labels == 1).all()
    for classes in (1, 3):
        with pytest.raises(RuntimeEngineError, match=f"the manifest names {classes} classes"):
            label(kind, values, classes, scores=scores)
    values[0, 0, 1, 0] = np.nan
    with pytest.raises(RuntimeEngineError, match="NaN"):
        label(kind, values, scores=scores)


def test_infinite_logits_of_both_signs_are_numbers() -> None:
    values = np.array([[[[np.inf, 0], [-np.inf, 0]], [[0, 1], [0, -1]]]], np.float32)
    assert label("logits", values).labels.tolist() == [[0, 1], [1, 0]]
