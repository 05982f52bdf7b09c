import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import RuntimeEngineError
from mobileseg.files import sha256_of
from mobileseg.instance.runtime import read_anchors
from mobileseg.instance.settings import DetectionSpec, InstanceSettings
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.structures import InstanceResult
from tests.manifests import rewritten
from tests.runtime.instance_artefacts import CELL, COUNT, SIZE, blocks, instance_artefact

ROOT = Path(__file__).parents[2]
CELLS = ((0, 1, 0), (2, 4, 2), (3, 0, 1))


def read_with(folder: Path, manifest: Manifest, detection: DetectionSpec) -> Manifest:
    """What a reader makes of the folder with these settings."""
    rewritten(folder, manifest, settings=InstanceSettings(detection).to_dict())
    return Manifest.read(folder)


def by_class(result: InstanceResult) -> InstanceResult:
    return result.take(np.argsort(result.classes))


@pytest.mark.parametrize("scale", [1, 5])
def test_objects_are_found_in_the_pixels_of_the_image(tmp_path: Path, scale: int) -> None:
    instance_artefact(tmp_path)
    segmenter = Segmenter(tmp_path)
    image = blocks(*CELLS, scale=scale)
    result = segmenter(image)
    assert segmenter.task == "instance"
    assert (np.diff(result.scores) <= 0).all()
    assert result.scores.min() > 0.9
    found = by_class(result)
    assert found.classes.tolist() == [0, 1, 2]
    side = CELL * scale
    expected = [[c * side, r * side, (c + 1) * side, (r + 1) * side] for r, c, _ in sorted(CELLS, key=lambda x: x[2])]
    np.testing.assert_allclose(found.boxes, expected, atol=0.6 * scale)
    truth = image[:, :, [0, 1, 2]].transpose(2, 0, 1) > 100
    for mask, real in zip(found.masks, truth, strict=True):
        assert (mask & real).sum() / (mask | real).sum() > 0.75
    assert set(result.times) == {"preprocess", "inference", "postprocess"}


def test_an_image_without_objects_gives_an_empty_result(tmp_path: Path) -> None:
    instance_artefact(tmp_path)
    result = Segmenter(tmp_path)(blocks(scale=2))
    assert (len(result), result.boxes.shape, result.masks.size) == (0, (0, 4), (64, 96))


def test_the_options_of_the_manifest_are_used(tmp_path: Path) -> None:
    instance_artefact(tmp_path, options={"max_detections": 2, "truncate_boxes": True})
    result = Segmenter(tmp_path)(blocks(*CELLS, scale=3))
    assert len(result) == 2
    np.testing.assert_array_equal(result.boxes, np.floor(result.boxes))


@pytest.mark.parametrize("leading", [False, True])
def test_a_graph_with_the_suppression_inside(tmp_path: Path, leading: bool) -> None:
    """Padding rows are dropped, the others come in the order of their scores."""
    side = CELL / SIZE[1], CELL / SIZE[0]
    rows = np.array(
        [
            [2, 0.5, 4 * side[0], 2 * side[1], 5 * side[0], 3 * side[1]],
            [-1, 0, 0, 0, 0, 0],
            [0, 0.8, side[0], 0, 2 * side[0], side[1]],
        ]
    )
    instance_artefact(tmp_path, detections=rows)
    segmenter = Segmenter(tmp_path)
    image = blocks(*CELLS, scale=2)
    outputs = segmenter.engine.run("main", {"x": segmenter.preprocess(image)})
    if leading:
        outputs = {**outputs, **{name: outputs[name][None] for name in ("found", "mask")}}
    result = segmenter.postprocess(outputs, image.shape[:2])
    assert result.classes.tolist() == [0, 2]
    np.testing.assert_allclose(result.scores, [0.8, 0.5])
    np.testing.assert_allclose(result.boxes, [[16, 0, 32, 16], [64, 32, 80, 48]], atol=1e-4)
    assert (result.masks.areas() > 200).all()
    wrong = {**outputs, "mask": outputs["mask"][..., :2, :]}
    with pytest.raises(RuntimeEngineError, match=r"expected \[M, 6\] and \[M, k\]"):
        segmenter.postprocess(wrong, (32, 48))


def test_a_class_that_the_manifest_does_not_have_is_refused(tmp_path: Path) -> None:
    instance_artefact(tmp_path, detections=np.array([[3, 0.5, 0, 0, 1, 1]]))
    with pytest.raises(RuntimeEngineError, match="returned class 3, the manifest has 3 classes"):
        Segmenter(tmp_path)(blocks())


def test_no_detections_at_all_from_such_a_graph(tmp_path: Path) -> None:
    instance_artefact(tmp_path, detections=np.zeros((0, 6)))
    assert len(Segmenter(tmp_path)(blocks())) == 0


def test_missing_and_changed_anchors_are_refused(tmp_path: Path) -> None:
    manifest = instance_artefact(tmp_path)
    anchors = np.load(tmp_path / "anchors.npy")
    np.save(tmp_path / "anchors.npy", anchors + 1)
    with pytest.raises(RuntimeEngineError, match="was changed"):
        Segmenter(tmp_path)
    (tmp_path / "anchors.npy").unlink()
    with pytest.raises(RuntimeEngineError, match="is missing"):
        Segmenter(tmp_path)
    with pytest.raises(RuntimeEngineError, match=r"detection\.anchors names no file"):
        read_with(tmp_path, manifest, DetectionSpec())
    with pytest.raises(RuntimeEngineError, match=r"detection\.anchors: 'a\.npy' has no sha256"):
        read_with(tmp_path, manifest, DetectionSpec(anchors="a.npy"))


def store(folder: Path, manifest: Manifest, content: object) -> Manifest:
    """Other anchors, with the hash that belongs to them."""
    if isinstance(content, bytes):
        (folder / "anchors.npy").write_bytes(content)
    else:
        np.save(folder / "anchors.npy", content, allow_pickle=True)
    return rewritten(folder, manifest, files={**manifest.files, "anchors.npy": sha256_of(folder / "anchors.npy")})


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"no array", "holds no anchors"),
        (b"", "holds no anchors"),
        (np.array([{"a": 1}], object), "holds no anchors"),
        (np.zeros((COUNT, 4)), r"holds float64 \[24, 4\]"),
        (np.zeros((COUNT, 3), np.float32), r"holds float32 \[24, 3\]"),
        (np.zeros((7, 4), np.float32), r"expected \[1, 7, 4\].*3 classes and 7 anchors"),
    ],
)
def test_files_that_are_no_anchors_of_this_graph(tmp_path: Path, content: object, part: str) -> None:
    store(tmp_path, instance_artefact(tmp_path), content)
    with pytest.raises(RuntimeEngineError, match=part):
        Segmenter(tmp_path)


def test_several_arrays_are_no_anchors(tmp_path: Path) -> None:
    manifest = instance_artefact(tmp_path)
    with (tmp_path / "anchors.npy").open("wb") as file:
        np.savez(file, a=np.zeros(3))
    manifest = store(tmp_path, manifest, (tmp_path / "anchors.npy").read_bytes())
    with pytest.raises(RuntimeEngineError, match="holds several arrays"):
        read_anchors(tmp_path, manifest, "anchors.npy")


@pytest.mark.parametrize(
    ("kind", "shape", "part"),
    [
        ("scores", (1, COUNT, 5), r"'conf' \(scores\) has the shape \[1, 24, 5\].*expected \[1, 24, 4\]"),
        ("boxes", (1, COUNT), r"'loc' \(boxes\)"),
        ("prototypes", (1, 5, 16, 24), "4 coefficients for 5 prototypes"),
    ],
)
def test_outputs_that_do_not_fit_each_other(tmp_path: Path, kind: str, shape: tuple[int, ...], part: str) -> None:
    manifest = instance_artefact(tmp_path)
    outputs = tuple(replace(spec, shape=shape) if spec.kind == kind else spec for spec in manifest.outputs_of())
    rewritten(tmp_path, manifest, outputs=outputs)
    with pytest.raises(RuntimeEngineError, match=part):
        Segmenter(tmp_path)


def test_scores_of_pixels_are_refused(tmp_path: Path) -> None:
    instance_artefact(tmp_path)
    with pytest.raises(RuntimeEngineError, match="pixels have none"):
        Segmenter(tmp_path, scores=True)


def test_objects_are_found_where_paddle_and_pycocotools_are_not_installed(tmp_path: Path) -> None:
    instance_artefact(tmp_path)
    np.save(tmp_path / "image.npy", blocks(*CELLS))
    script = textwrap.dedent(
        """
        import sys
        for package in ("paddle", "paddlelite", "paddle2onnx", "paddleslim", "pycocotools"):
            sys.modules[package] = None
        import numpy as np
        import mobileseg
        from mobileseg.instance.drawing import instance_overlay
        segmenter = mobileseg.Segmenter(sys.argv[1])
        image = np.load(sys.argv[1] + "/image.npy")
        result = segmenter(image)
        assert sorted(result.classes) == [0, 1, 2] and len(result.masks.to_rle()) == 3
        assert instance_overlay(image, result, segmenter.classes, segmenter.palette).shape == image.shape
        print("ran")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "ran\n", done.stderr


@pytest.mark.parametrize("wrong", [0.0, -0.1, float("inf"), float("nan"), 101.0])
@pytest.mark.parametrize("place", [0, 1])
def test_variances_that_no_coding_has_are_refused(wrong, place):
    variances = [0.1, 0.2]
    variances[place] = wrong
    with pytest.raises(ValueError, match=f"variances.{place}|Input should be"):
        InstanceSettings.of({"detection": {"variances": variances}})
