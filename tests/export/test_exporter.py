import os
from dataclasses import replace

import numpy as np
import paddle
import pytest
from paddle import nn

from mobileseg.errors import DependencyError, ExportError
from mobileseg.export import exporter
from mobileseg.export.conversion import converters
from mobileseg.export.exporter import export_network
from mobileseg.export.options import TARGETS
from mobileseg.export.verify import verify
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.semantic.export import SemanticExport
from tests.export.conftest import SUBJECT, Toy, options, seeded
from tests.export.flattened import Flattened


def rows_by_target(result):
    return {row.target: row for row in result.rows}


def test_every_target_is_written_run_and_compared(exported):
    rows = rows_by_target(exported)
    assert list(rows) == list(TARGETS)
    assert rows.pop("lite_arm").status == "converted-not-run"
    for target, row in rows.items():
        assert row.status == "ok", row
        assert row.equal > 0.999
        assert row.latency_ms > 0
        assert row.size_bytes == sum(
            (exported.folder / name).stat().st_size for name in exported.manifest.graphs["main"].files[target].names()
        )
    assert rows["ncnn"].max_diff < 1e-3


def test_folder_holds_what_the_manifest_lists(exported):
    written = {path.name for path in exported.folder.iterdir()} - {"deploy.yaml", "deploy.json"}
    assert written == set(exported.manifest.files)
    assert Manifest.read(exported.folder) == exported.manifest
    assert not [path for path in exported.folder.parent.iterdir() if path.name.startswith(".")]


def test_network_is_left_as_it_was(images, tmp_path):
    network = seeded(Toy())
    network.train()
    before = {key: value.numpy().copy() for key, value in network.state_dict().items()}
    export_network(network, tmp_path / "a", options(), SUBJECT, images, targets=["paddle"])
    assert network.training
    assert all("forward" not in layer.__dict__ for layer in network.sublayers(include_self=True))
    assert all(np.array_equal(before[key], value.numpy()) for key, value in network.state_dict().items())


def test_segmenter_answers_as_the_network(exported, toy, images):
    image = images[0]
    labels = Segmenter(exported.folder, engine="onnxruntime")(image).labels
    item = Segmenter(exported.folder, engine="onnxruntime").preprocess(image)
    logits = toy(paddle.to_tensor(item))["logits"].numpy()[0]
    rows = (np.arange(image.shape[0]) + 0.5) * logits.shape[1] // image.shape[0]
    columns = (np.arange(image.shape[1]) + 0.5) * logits.shape[2] // image.shape[1]
    expected = logits.argmax(axis=0)[rows.astype(int)][:, columns.astype(int)]
    assert labels.shape == image.shape[:2]
    assert (labels == expected).mean() > 0.999


def test_ncnn_which_ends_at_logits_answers_as_the_graphs_that_end_in_labels(exported, images):
    """Also for an image of another size: labels are resized to the nearest neighbour, not logits."""
    one, other = (Segmenter(exported.folder, engine=name)(images[1]).labels for name in ("onnxruntime", "ncnn"))
    assert one.shape == other.shape == images[1].shape[:2]
    assert (one == other).mean() > 0.999


class Coarse(Toy):
    """The same network, which says what its logits are resized from."""

    def coarse_logits(self, x):
        return self.head(self.features(x))


@pytest.mark.parametrize("op", ["labels", "probabilities"])
def test_graphs_end_at_the_decoder_and_answer_as_paddle_s_which_does_not(images, tmp_path, op):
    network = seeded(Coarse())
    result = export_network(network, tmp_path / "a", options(output_op=op), SUBJECT, images)
    rows = rows_by_target(result)
    for target in ("paddle", "onnx", "lite_x86", "ncnn"):
        assert rows[target].status == "ok", rows[target]
        assert rows[target].equal > 0.999
        (spec,) = result.manifest.outputs_of(target)
        assert spec.shape[-2:] == ((48, 64) if target == "paddle" else (12, 16))
    assert {row.status for row in verify(result.folder)} == {"ok", "converted-not-run"}
    assert result.manifest.deploy["output_op"] == {"labels": "argmax", "probabilities": "softmax"}[op]
    for image in (images[1], images[1][:48, :64], images[1][:7, :1]):  # another size, that of the input, a few pixels
        whole = Segmenter(result.folder, engine="paddle")(image)
        for engine in ("onnxruntime", "lite", "ncnn"):
            assert (Segmenter(result.folder, engine=engine)(image).labels == whole.labels).mean() > 0.999
    found = Segmenter(result.folder, engine="onnxruntime", scores=True)(images[1])
    if op == "probabilities":
        expected = Segmenter(result.folder, engine="paddle", scores=True)(images[1])
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    assert found.scores.shape == (4, 60, 90)


@pytest.mark.parametrize(
    "changes",
    [
        {"output_op": "softmax", "input_dtype": "uint8", "normalize_in_graph": True},
        {"output_op": "none", "normalize_in_graph": True, "layout": "NHWC", "output_size": (96, 128)},
    ],
    ids=["bytes-softmax", "nhwc-resize"],
)
def test_forms(toy, images, tmp_path, changes):
    result = export_network(toy, tmp_path / "a", options(**changes), SUBJECT, images)
    rows = rows_by_target(result)
    for target in ("paddle", "onnx", "lite_x86"):
        assert rows[target].status == "ok", rows[target]
        assert rows[target].max_diff < 1e-3
    nhwc = changes.get("layout") == "NHWC"
    assert rows["ncnn"].status == ("skipped" if nhwc else "ok")
    assert not nhwc or "NCHW" in rows["ncnn"].problems[0]


def test_dynamic_is_verified_at_two_sizes(toy, images, tmp_path):
    result = export_network(
        toy, tmp_path / "a", options(dynamic=True, output_op="none"), SUBJECT, images, targets=["onnx", "lite_x86"]
    )
    spec = result.manifest.image
    assert (spec.dynamic, spec.multiple, spec.resize.mode) == (True, 4, "none")
    assert all(row.status == "ok" for row in result.rows)
    with np.load(result.folder / "golden.npz") as golden:
        assert len({golden[f"image.{index}"].shape for index in range(4)}) == 2
    segmenter = Segmenter(result.folder, engine="onnxruntime")
    assert segmenter(np.zeros((41, 59, 3), np.uint8)).labels.shape == (41, 59)


def test_dynamic_size_must_fit_the_multiple(toy, images, tmp_path):
    with pytest.raises(ExportError, match="multiples of 4") as caught:
        export_network(toy, tmp_path / "a", options(dynamic=True, height=50), SUBJECT, images)
    assert "--size 52 64" in caught.value.remedy


def test_existing_folder_needs_overwrite(exported, toy, images):
    before = (exported.folder / "deploy.yaml").read_bytes()
    with pytest.raises(ExportError, match="exists and is not empty"):
        export_network(toy, exported.folder, options(), SUBJECT, images)
    assert (exported.folder / "deploy.yaml").read_bytes() == before


def test_overwrite_replaces_the_whole_folder(folder, toy, images):
    result = export_network(toy, folder, options(), SUBJECT, images, targets=["paddle"], overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*result.manifest.files, "deploy.yaml", "deploy.json"]
    )
    assert "model.onnx" not in result.manifest.files
    assert os.listdir(folder.parent) == [folder.name]


def test_overwrite_deletes_nothing_that_no_export_wrote(folder, toy, images):
    (folder / "notes.txt").write_text("mine")
    before = sorted(folder.iterdir())
    with pytest.raises(ExportError, match=r"holds what no export wrote there \(notes\.txt\)"):
        export_network(toy, folder, options(), SUBJECT, images, targets=["paddle"], overwrite=True)
    assert sorted(folder.iterdir()) == before


def test_death_by_signal_names_target_operator_and_layer(images, tmp_path):
    with pytest.raises(ExportError) as caught:
        export_network(seeded(Flattened()), tmp_path / "a", options(), SUBJECT, images, targets=["lite_x86"])
    message = str(caught.value)
    assert "conversion to lite_x86 failed" in message
    assert "died by signal SIGSEGV" in message
    assert "operator 'flatten_contiguous_range' of layer 'squash'" in message
    assert not (tmp_path / "a").exists()
    assert os.listdir(tmp_path) == []


class WrongPool(Toy):
    """Adaptive pooling to bins that do not divide the map: paddle2onnx writes a wrong pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2D(5)

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        pooled = nn.functional.interpolate(self.pool(self.features(x)), size=list(x.shape[2:]), mode="bilinear")
        return {"logits": self.head(pooled)}


def test_silently_wrong_graph_is_kept_apart_and_located(images, tmp_path):
    network, form = seeded(WrongPool()), options(output_op="none")
    with pytest.raises(ExportError) as caught:
        export_network(network, tmp_path / "a", form, SUBJECT, images, targets=["paddle", "onnx"], accept_weak=True)
    message = str(caught.value)
    assert "onnx (onnxruntime): image 0: 'logits' differs by" in message
    assert "paddle (paddle)" not in message
    assert "operator 'pool2d' of layer 'pool'" in message
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "a.failed" / "model.onnx").is_file()


class Silent(Toy):
    """Always the same class."""

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        return {"logits": self.logits(x) + paddle.to_tensor([1000.0, 0.0, 0.0, 0.0]).reshape([1, 4, 1, 1])}


def test_weak_reference_is_refused_unless_accepted(images, tmp_path):
    network = seeded(Silent())
    with pytest.raises(ExportError, match="shows only 1 of its 4 classes"):
        export_network(network, tmp_path / "a", options(), SUBJECT, images, targets=["paddle"])
    result = export_network(network, tmp_path / "a", options(), SUBJECT, images, targets=["paddle"], accept_weak=True)
    assert "weak verification" in result.warnings[0]
    assert "weak verification" in result.manifest.notes["warning"]


def test_too_few_images(toy, images, tmp_path):
    with pytest.raises(ExportError, match="at least 4 images"):
        export_network(toy, tmp_path / "a", options(), SUBJECT, images[:3])


def test_missing_converter(toy, images, tmp_path, monkeypatch):
    monkeypatch.setattr(converters, "find_spec", lambda name: None if name == "paddlelite" else object())
    with pytest.raises(DependencyError, match="lite_arm cannot be written: 'paddlelite' is not installed"):
        export_network(toy, tmp_path / "a", options(), SUBJECT, images, targets=["lite_arm"])
    chosen, left_out = exporter._choose(None, options(), SemanticExport())
    assert chosen == ("paddle", "onnx", "ncnn")
    assert [(row.target, row.status) for row in left_out] == [("lite_arm", "skipped"), ("lite_x86", "skipped")]
    assert "pip install paddlelite" in left_out[0].problems[0]


def test_broken_weights(images, tmp_path):
    network = seeded(Toy())
    network.head.bias.set_value(np.full(4, np.nan, np.float32))
    with pytest.raises(ExportError, match="not finite"):
        export_network(network, tmp_path / "a", options(), SUBJECT, images)


def test_unknown_target(toy, images, tmp_path):
    with pytest.raises(ExportError, match="unknown export target tensorrt"):
        export_network(toy, tmp_path / "a", options(), SUBJECT, images, targets=["tensorrt"])


def test_deploy_block_of_subject(exported):
    assert replace(SUBJECT, name=exported.manifest.name) == SUBJECT
    assert exported.manifest.config_sha256 == SUBJECT.config_sha256
