import dataclasses
import re

import numpy as np
import pytest

from mobileseg.errors import ExportError, RuntimeEngineError
from mobileseg.export.golden import Frame
from mobileseg.export.verify import TargetRow, replay, run_engine, verify
from mobileseg.files import sha256_of
from mobileseg.runtime.manifest import Manifest

FAST = ["onnxruntime"]


def edit(folder, pattern, replacement, count=0):
    path = folder / "deploy.yaml"
    text, hits = re.subn(pattern, replacement, path.read_text(), count=count)
    assert hits, f"{pattern} is not in deploy.yaml"
    path.write_text(text)


def damage_weight(folder):
    """Change the largest constant of the ONNX graph by a tenth."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(folder / "model.onnx")
    tensor = max(model.graph.initializer, key=lambda item: len(item.raw_data))
    values = numpy_helper.to_array(tensor).copy()
    values.reshape(-1)[: values.size // 2] *= 1.1
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, folder / "model.onnx")


def rehash(folder, name):
    manifest = Manifest.read(folder)
    files = manifest.files | {name: sha256_of(folder / name)}
    dataclasses.replace(manifest, files=files).write(folder)


def problems_of(folder):
    with pytest.raises(ExportError) as caught:
        verify(folder, FAST)
    assert "does not give what was verified" in str(caught.value)
    return caught.value.message


def test_untouched_folder_replays_on_every_engine(folder):
    rows = {row.target: row for row in verify(folder)}
    assert {row.status for target, row in rows.items() if target != "lite_arm"} == {"ok"}
    assert rows["lite_arm"].status == "converted-not-run"
    assert {row.engine for row in rows.values()} == {"", "paddle", "onnxruntime", "lite", "ncnn"}


def test_damaged_weight_fails_its_hash(folder):
    damage_weight(folder)
    assert "model.onnx has sha256" in problems_of(folder)


def test_damaged_weight_with_a_fitting_hash_fails_the_comparison(folder):
    damage_weight(folder)
    rehash(folder, "model.onnx")
    message = problems_of(folder)
    assert "sha256" not in message
    assert re.search(r"onnx: image \d: \d+ of \d+ labels of 'labels' differ", message)


def test_damaged_mean(folder):
    edit(folder, r"0\.456", "0.406")  # in both blocks: PaddleSeg's and ours
    message = problems_of(folder)
    assert "preprocess: mean is [0.485" in message
    assert "preprocess: image 0: input differs by" in message


def test_mean_damaged_in_one_block_only(folder):
    edit(folder, r"0\.456", "0.406", count=1)
    with pytest.raises(RuntimeEngineError, match="Normalize mean"):
        verify(folder, FAST)


def test_damaged_colour_order(folder):
    edit(folder, "color: RGB", "color: BGR")
    message = problems_of(folder)
    assert "preprocess: image 0: input differs by" in message
    assert "colour order BGR" in message


def test_damaged_output_name(folder):
    edit(folder, "name: labels", "name: mask")
    message = problems_of(folder)
    assert "onnx: onnxruntime: graph 'main' has outputs ['labels'], the manifest says mask" in message
    assert "outputs: deploy.yaml names 'mask', golden.npz has ['labels']" in message


def test_damaged_golden_labels(folder):
    with np.load(folder / "golden.npz") as archive:
        arrays = dict(archive)
    arrays["labels.2"] = (arrays["labels.2"] + 1) % 4
    np.savez_compressed(folder / "golden.npz", **arrays)
    rehash(folder, "golden.npz")
    assert "postprocess: image 2: 100.00% of the final labels differ" in problems_of(folder)


def test_all_problems_are_reported_together(folder):
    edit(folder, "color: RGB", "color: BGR")
    damage_weight(folder)
    _rows, problems = replay(folder, FAST)
    stages = {problem.split(":")[0] for problem in problems}
    assert stages == {"files", "preprocess", "onnx"}


def test_truncated_golden(folder):
    data = (folder / "golden.npz").read_bytes()
    (folder / "golden.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(ExportError, match="cannot be read as the reference"):
        verify(folder, FAST)


def test_unknown_engine(folder):
    with pytest.raises(ExportError, match="unknown engine openvino"):
        verify(folder, ["openvino"])


def test_engine_runs_in_a_process_of_its_own(folder):
    spec = Manifest.read(folder).image
    image = np.zeros(spec.shape(), np.float32)
    answers, latency = run_engine(folder, "onnxruntime", [Frame("main", 0, image), Frame("main", 1, image)])
    assert [answer["labels"].shape for answer in answers] == [(1, spec.height, spec.width)] * 2
    assert latency > 0


def test_only_rows_of_written_graphs_go_into_the_manifest():
    assert TargetRow("onnx", "onnxruntime", "ok", 1e-6, 1.0, 10, 2.0).to_manifest().engine == "onnx"
    assert TargetRow("lite_arm", "", "converted-not-run", size_bytes=5).to_manifest().status == "converted-not-run"
    with pytest.raises(ValueError, match="failed"):
        TargetRow("onnx", "onnxruntime", "failed").to_manifest()
