"""Export and streams of MobileInst on every engine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from mobileseg import Segmenter
from mobileseg.backbones.topformer import TopTransformer_Tiny
from mobileseg.errors import ExportError, RuntimeEngineError
from mobileseg.export.exporter import ExportResult, export_network
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.options import TARGETS, ExportOptions
from mobileseg.export.verify import replay
from mobileseg.runtime.engines.registry import unavailable
from mobileseg.runtime.manifest import Manifest
from mobileseg.video.mobileinst.model import MobileInst
from mobileseg.video.mobileinst.runtime import MEMORY
from tests.export.detectors import subject
from tests.manifests import rewritten
from tests.model_tester import fill

SIZE = (100, 140)  # neither a multiple of 64 nor of the stride of the mask features
ENGINES = ("onnxruntime", "paddle", "lite", "ncnn")


def moving(count: int) -> list[np.ndarray]:
    """A window that wanders over a drawn scene."""
    scene = synthetic_images((SIZE[0] + count, SIZE[1] + 2 * count), 1)[0]
    return [scene[i : i + SIZE[0], 2 * i : 2 * i + SIZE[1]] for i in range(count)]


@pytest.fixture(scope="module")
def network() -> paddle.nn.Layer:
    """Steep classes, so that queries differ in theirs, and masks of many shapes."""
    made = fill(MobileInst(5, TopTransformer_Tiny(), 32, 16, num_queries=12, heads=4, hidden=48, token_stride=32))
    decoder, noise = made.instance_decoder, np.random.RandomState(0)
    decoder.query_content.set_value(3 * noise.randn(1, 12, 32).astype(np.float32))
    decoder.classes.weight.set_value(4 * decoder.classes.weight)
    return made


@pytest.fixture(scope="module")
def exported(network: paddle.nn.Layer, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    folder = tmp_path_factory.mktemp("mobileinst") / "artefact"
    described = subject(settings={"keyframes": {"every": 3}, "queries": {"score_threshold": 0.3}})
    return export_network(network, folder, ExportOptions(*SIZE), described, synthetic_images((120, 150), 5))


def test_every_engine_agrees(exported: ExportResult) -> None:
    assert [row.target for row in exported.rows] == list(TARGETS)
    assert {row.status for row in exported.rows if row.target != "lite_arm"} == {"ok"}
    assert all(row.max_diff is None or row.max_diff < 1e-3 for row in exported.rows)
    manifest = Manifest.read(exported.folder)
    assert manifest.pipelines == {"key": ("features", "instances"), "nonkey": ("features",)}
    assert manifest.settings is not None
    assert manifest.settings["mask_stride"] == 8
    assert manifest.settings["queries"]["score_threshold"] == 0.3
    assert manifest.settings["kernels"]["birth_score"] == 0.3


def test_cells_as_queries_on_every_engine(tmp_path: Path) -> None:
    """With means under masks as well. Tensors are compared; few classes show, and the tests around have more."""
    options: dict[str, Any] = {"query_source": "cells", "mask_pooling": True}
    made = fill(MobileInst(5, TopTransformer_Tiny(), 32, 16, heads=4, hidden=48, token_stride=32, **options))
    made.instance_decoder.classes.weight.set_value(4 * made.instance_decoder.classes.weight)
    images = synthetic_images((120, 150), 4)
    found = export_network(made, tmp_path / "cells", ExportOptions(*SIZE), subject(), images, accept_weak=True)
    assert {row.status for row in found.rows if row.target != "lite_arm"} == {"ok"}
    assert {spec.name: spec.shape[1] for spec in Manifest.read(found.folder).outputs_of()}["kernels"] == 24


def test_the_reference_has_objects_in_all_kinds_of_frames(exported: ExportResult) -> None:
    with np.load(exported.folder / "golden.npz") as archive:
        assert [str(archive[f"pipeline.{index}"]) for index in range(6)] == ["key", "nonkey", "nonkey"] * 2
        assert all(len(archive[f"result.{index}.scores"]) > 0 for index in range(6))
        assert "output.1.kernels" not in archive.files
    rows, problems = replay(exported.folder)
    assert problems == []
    assert {row.status for row in rows if row.target != "lite_arm"} == {"ok"}


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_streams_of_all_engines_are_equal(exported: ExportResult, engine: str) -> None:
    if unavailable(engine):
        pytest.skip(unavailable(engine))
    first, second = (Segmenter(exported.folder, engine=name).stream() for name in ("onnxruntime", engine))
    for frame in moving(7):
        one, two = first.step(frame), second.step(frame)
        assert first.pipeline == second.pipeline
        np.testing.assert_array_equal(one.classes, two.classes)
        np.testing.assert_array_equal(one.track_ids, two.track_ids)
        np.testing.assert_allclose(one.scores, two.scores, atol=1e-4)


def test_frames_between_keyframes_run_one_graph(exported: ExportResult) -> None:
    stream = Segmenter(exported.folder, engine="onnxruntime").stream()
    seen, ids = [], []
    for frame in moving(7):
        found = stream.step(frame)
        seen.append(stream.pipeline)
        ids.append(set(found.track_ids.tolist()))
    assert seen == ["key", "nonkey", "nonkey"] * 2 + ["key"]
    assert ids[0] >= ids[1]
    assert ids[0] & ids[3]


def test_an_image_is_a_keyframe_and_a_state_goes_on(exported: ExportResult) -> None:
    segmenter = Segmenter(exported.folder, engine="onnxruntime")
    frames = moving(4)
    stream = segmenter.stream()
    whole = [stream.step(frame) for frame in frames]
    np.testing.assert_array_equal(segmenter(frames[0]).scores, whole[0].scores)
    first = segmenter.stream()
    first.step(frames[0])
    second = segmenter.stream(first.state())
    np.testing.assert_array_equal(second.step(frames[1]).scores, whole[1].scores)


def test_what_a_manifest_lacks_is_named(exported: ExportResult, tmp_path: Path) -> None:
    folder = tmp_path / "artefact"
    shutil.copytree(exported.folder, folder)

    manifest = Manifest.read(folder)
    settings = {key: value for key, value in (manifest.settings or {}).items() if key != "mask_stride"}
    rewritten(folder, manifest, settings=settings)
    with pytest.raises(RuntimeEngineError, match="mask_stride"):
        Segmenter(folder, engine="onnxruntime")


def test_a_stream_without_kernels(exported: ExportResult) -> None:
    segmenter = Segmenter(exported.folder, engine="onnxruntime")
    stream = segmenter.stream()
    frame = moving(1)[0]
    stream.step(frame)
    state = stream.state()
    del state.memory[MEMORY]  # type: ignore[attr-defined]
    with pytest.raises(RuntimeEngineError, match="key frame"):
        segmenter.stream(state).step(frame)


def test_options_of_the_queries(exported: ExportResult) -> None:
    segmenter = Segmenter(exported.folder, engine="onnxruntime", detection={"score_threshold": 0.9})
    assert len(segmenter(moving(1)[0])) == 0
    with pytest.raises(RuntimeEngineError, match="there is no nms"):
        Segmenter(exported.folder, engine="onnxruntime", detection={"nms": "fast"})


def test_forms_that_queries_do_not_have(network: paddle.nn.Layer, tmp_path: Path) -> None:
    for options in (ExportOptions(128, 128, dynamic=True), ExportOptions(128, 128, nms_in_graph=True)):
        with pytest.raises(ExportError):
            export_network(network, tmp_path / "a", options, subject(), synthetic_images((120, 150), 5))
