"""Exported models: deploy.yaml and deploy.json, damaged, and what a segmenter makes of them."""

from __future__ import annotations

import json
import math
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import yaml

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.deploy_yaml import DEPLOY_FILE
from mobileseg.runtime.manifest import Manifest, twin_problems
from mobileseg.runtime.manifest_json import JSON_FILE
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.structures import InstanceResult, SemanticResult
from mobileseg.video.settings import VideoSettings
from tests.mutation.mutate import damaged_document, damaged_text, find, yaml_bytes
from tests.mutation.target import MustRefuse, Target
from tests.runtime.artefacts import artefact
from tests.runtime.instance_artefacts import blocks, instance_artefact

VIDEO = Path(__file__).parents[2] / "zoo" / "mobileyolact_edge_mobilenetv2_clips"
IMAGE = blocks((0, 0, 0), (1, 3, 1), (3, 5, 2))


@cache
def models() -> tuple[Path, ...]:
    """A semantic and an instance segmentation model, made once."""
    folder = Path(mkdtemp())
    artefact(folder / "labels")
    artefact(folder / "any_size", dynamic=True, multiple=2)
    instance_artefact(folder / "objects")
    return tuple(folder / name for name in ("labels", "any_size", "objects"))


def copied(folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    """One of the models in an empty folder; the content of its manifest."""
    for path in models()[int(rng.integers(len(models())))].iterdir():
        shutil.copy(path, folder)
    document: dict[str, Any] = yaml.safe_load((folder / DEPLOY_FILE).read_text(encoding="utf-8"))
    return document


def expected_of(document: Any, path: tuple[str | int, ...], value: Any) -> MustRefuse | None:
    """What a replaced value must not get away with."""
    if not path or value is ...:
        return None
    before = find(document, path)
    if isinstance(value, float) and not math.isfinite(value):
        return MustRefuse(f"{path} is {value}")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if path[-1] in ("scale", "std") and number and value == 0:
        return MustRefuse(f"{path} is 0")
    if "std" in path and number and value == 0:
        return MustRefuse(f"{path} is 0")
    if "files" in path and value != before:
        return MustRefuse(f"{path} is {value!r:.60}")
    if path[-1] in ("format", "kind", "dtype", "task") and value != before:
        return MustRefuse(f"{path} is {value!r:.60}")
    if path[-1] in ("classes", "palette") and not (isinstance(value, list) and len(value) == len(before)):
        return MustRefuse(f"{path} is {value!r:.60}")
    return None


def write_manifest(folder: Path, rng: np.random.Generator) -> MustRefuse | None:
    document = copied(folder, rng)
    if rng.random() < 0.3:
        (folder / DEPLOY_FILE).write_bytes(damaged_text((folder / DEPLOY_FILE).read_text(encoding="utf-8"), rng))
        return None
    changed, path, value = damaged_document(document, rng)
    (folder / DEPLOY_FILE).write_bytes(yaml_bytes(changed))
    if path[:1] == ("Deploy",):
        return None  # PaddleSeg's own part, which our runtimes do not read
    return expected_of(document, path, value)


def use_manifest(folder: Path, expectation: Any) -> None:
    """What was accepted segments an image, and what it says is possible."""
    segmenter = Segmenter(folder, "onnxruntime")
    result = segmenter(IMAGE)
    classes = segmenter.manifest.num_classes
    if isinstance(result, SemanticResult):
        assert result.labels.shape == IMAGE.shape[:2]
        assert result.labels.dtype == np.uint8
        assert result.labels.max() < classes
        return
    assert isinstance(result, InstanceResult)
    assert np.isfinite(result.boxes).all()
    assert ((result.scores >= 0) & (result.scores <= 1)).all()
    assert ((result.classes >= 0) & (result.classes < classes)).all()
    height, width = IMAGE.shape[:2]
    assert (result.boxes >= 0).all()
    assert (result.boxes <= [width, height, width, height]).all()


@cache
def video_document() -> dict[str, Any]:
    """The manifest of a network of several graphs."""
    document: dict[str, Any] = yaml.safe_load((VIDEO / DEPLOY_FILE).read_text(encoding="utf-8"))
    return document


def write_video(folder: Path, rng: np.random.Generator) -> MustRefuse | None:
    """Its settings, pipelines, state and graphs."""
    document = dict(video_document())
    part = str(rng.choice(["settings", "pipelines", "state", "graphs"]))
    changed, path, value = damaged_document(document["mobileseg"][part], rng)
    expectation = expected_of(document["mobileseg"][part], path, value)
    document["mobileseg"] = {**document["mobileseg"], part: changed}
    (folder / DEPLOY_FILE).write_bytes(yaml_bytes(document))
    return expectation if part != "graphs" else None  # files are compared with their hashes when they are opened


def use_video(folder: Path, expectation: Any) -> None:
    """What was accepted says which frames are key frames."""
    manifest = Manifest.read(folder)
    assert VideoSettings.of(manifest.settings).keyframes.every >= 1
    json.dumps(manifest.to_dict(), allow_nan=False)


def write_twin(folder: Path, rng: np.random.Generator) -> MustRefuse | None:
    copied(folder, rng)
    path = folder / JSON_FILE
    text = path.read_text(encoding="utf-8")
    document = json.loads(text)
    if rng.random() < 0.4:
        path.write_bytes(damaged_text(text, rng))
    else:
        path.write_text(json.dumps(damaged_document(document, rng)[0]), encoding="utf-8")
    try:
        same = json.dumps(json.loads(path.read_text(encoding="utf-8"))) == json.dumps(document)
    except (ValueError, RecursionError):
        same = False
    return None if same else MustRefuse("deploy.json is not what deploy.yaml says")


def use_twin(folder: Path, expectation: Any) -> None:
    if found := twin_problems(folder):
        raise RuntimeEngineError("; ".join(found))


TARGETS = [
    Target("deploy.yaml", write_manifest, use_manifest, short=150, long=2000),
    Target("deploy.yaml of videos", write_video, use_video, short=100, long=1000),
    Target("deploy.json", write_twin, use_twin, short=80, long=600),
]
