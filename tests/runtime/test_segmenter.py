import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.io import write_png
from mobileseg.errors import DataError, RuntimeEngineError
from mobileseg.runtime.segmenter import Segmenter
from tests.runtime.artefacts import MEAN, STD, artefact, enlarged_artefact, rewritten
from tests.runtime.stripes import stripes, truth

pytestmark = pytest.mark.both

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("output", ["labels", "logits", "probabilities"])
@pytest.mark.parametrize("size", [(16, 24), (48, 72), (8, 12)])
def test_labels_have_the_size_of_the_image(tmp_path: Path, output: str, size: tuple[int, int]) -> None:
    artefact(tmp_path, output=output)
    result = Segmenter(tmp_path, engine="onnxruntime")(stripes(*size))
    assert result.labels.dtype == np.uint8
    assert result.labels.shape == size
    assert (result.labels == truth(*size)).mean() > 0.93  # mixed colours at the two edges may go either way
    assert set(result.times) == {"preprocess", "inference", "postprocess"}
    assert all(value >= 0 for value in result.times.values())


def test_the_graph_sees_what_the_manifest_says(tmp_path: Path) -> None:
    """Probabilities of the whole chain against the formula in float64, at a size that needs no resize."""
    artefact(tmp_path, output="logits")
    image = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    result = Segmenter(tmp_path, engine="onnxruntime", scores=True)(image)
    logits = 2 * ((image / 255.0 - MEAN) / STD).transpose(2, 0, 1)
    expected = np.exp(logits) / np.exp(logits).sum(0)
    np.testing.assert_allclose(result.scores, expected, atol=1e-5)
    np.testing.assert_array_equal(result.labels, logits.argmax(0))


def test_colour_order_is_executed(tmp_path: Path) -> None:
    """The same graph fed blue first names the classes the other way round."""
    manifest = artefact(tmp_path)
    plain = replace(manifest.image, mean=(0.5,) * 3, std=(0.5,) * 3)
    rewritten(tmp_path, manifest, image=replace(plain, color="BGR"))
    np.testing.assert_array_equal(Segmenter(tmp_path)(stripes()).labels, 2 - truth(16, 24))


@pytest.mark.parametrize("output", ["labels", "logits"])
def test_dynamic_graphs_take_any_size_and_padding_is_cut_off(tmp_path: Path, output: str) -> None:
    artefact(tmp_path, output=output, dynamic=True, multiple=8)
    segmenter = Segmenter(tmp_path)
    for size in ((9, 27), (16, 24), (1, 3)):
        np.testing.assert_array_equal(segmenter(stripes(*size)).labels, truth(*size))


@pytest.mark.parametrize("output", ["labels", "logits"])
def test_a_graph_may_answer_at_another_size_than_its_input(tmp_path: Path, output: str) -> None:
    """The final resize inside the graph: labels of an image that has that size are taken as they are."""
    enlarged_artefact(tmp_path, output=output, factor=3)
    np.testing.assert_array_equal(Segmenter(tmp_path)(stripes(48, 72)).labels, truth(48, 72))
    assert Segmenter(tmp_path)(stripes(16, 24)).labels.shape == (16, 24)


def test_logits_may_be_asked_to_answer_as_a_graph_that_ends_in_labels(tmp_path: Path) -> None:
    """An engine without argmax in a folder whose other graphs end in labels: arg max first, then nearest neighbour."""
    image = np.random.default_rng(0).integers(0, 256, (37, 41, 3)).astype(np.uint8)
    artefact(tmp_path / "labels", output="labels")
    manifest = artefact(tmp_path / "logits", output="logits")
    resized_scores = Segmenter(tmp_path / "logits")(image).labels
    (spec,) = manifest.outputs_of()
    rewritten(tmp_path / "logits", manifest, outputs=(replace(spec, resize="labels-nearest"),))
    expected = Segmenter(tmp_path / "labels")(image).labels
    np.testing.assert_array_equal(Segmenter(tmp_path / "logits")(image).labels, expected)
    assert (resized_scores != expected).any()
    assert Segmenter(tmp_path / "logits", scores=True)(image).scores.shape == (3, 37, 41)


def test_scores_are_returned_on_request_at_the_size_of_the_image(tmp_path: Path) -> None:
    artefact(tmp_path, output="probabilities")
    result = Segmenter(tmp_path, scores=True)(stripes(32, 48))
    assert result.scores.shape == (3, 32, 48)
    np.testing.assert_allclose(result.scores.sum(0), 1, atol=1e-5)
    assert Segmenter(tmp_path)(stripes()).scores is None


def test_scores_from_a_graph_that_ends_at_labels_are_refused(tmp_path: Path) -> None:
    artefact(tmp_path, output="labels")
    with pytest.raises(RuntimeEngineError, match="returns labels, class scores were asked for"):
        Segmenter(tmp_path, scores=True)


def test_preprocess_and_postprocess_are_the_stages_of_the_call(tmp_path: Path) -> None:
    artefact(tmp_path, dynamic=True, multiple=8)
    segmenter, image = Segmenter(tmp_path), stripes(9, 27)
    first = segmenter.preprocess(image)
    assert first.shape == (1, 3, 16, 32)
    outputs = segmenter.engine.run("main", {"x": first})
    np.testing.assert_array_equal(segmenter.postprocess(outputs, (9, 27)).labels, segmenter(image).labels)
    assert first is not segmenter.preprocess(image)


def test_files_are_decoded_once_with_their_rotation(tmp_path: Path) -> None:
    artefact(tmp_path / "model", dynamic=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    Image.fromarray(stripes(9, 27)).save(tmp_path / "turned.png", exif=exif)
    result = Segmenter(tmp_path / "model")(tmp_path / "turned.png")
    np.testing.assert_array_equal(result.labels, np.rot90(truth(9, 27), -1))
    assert "decode" in result.times


def test_unreadable_files_and_wrong_arrays_are_named(tmp_path: Path) -> None:
    artefact(tmp_path)
    segmenter = Segmenter(tmp_path)
    with pytest.raises(DataError, match=r"missing\.png"):
        segmenter(tmp_path / "missing.png")
    with pytest.raises(DataError, match="must be uint8"):
        segmenter(np.zeros((4, 4), np.uint8))


def test_classes_palette_and_names_come_from_the_manifest(tmp_path: Path) -> None:
    artefact(tmp_path)
    segmenter = Segmenter(tmp_path)
    assert segmenter.classes == ("red", "green", "blue")
    assert segmenter.palette.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert (segmenter.name, segmenter.engine_name) == ("colours", "onnxruntime")


def test_it_runs_where_paddle_is_not_installed(tmp_path: Path) -> None:
    """A process in which nothing of Paddle's can be imported: the public API, the commands, the drawing."""
    artefact(tmp_path)
    script = textwrap.dedent(
        """
        import sys
        for package in ("paddle", "paddlelite", "paddle2onnx", "paddleslim", "paddleseg"):
            sys.modules[package] = None
        import numpy as np
        import mobileseg
        from mobileseg.runtime.engines.registry import available
        from mobileseg.semantic.drawing import overlay
        segmenter = mobileseg.Segmenter(sys.argv[1], engine="onnxruntime")
        image = np.full((20, 30, 3), (9, 200, 9), np.uint8)
        labels = segmenter(image).labels
        assert (labels == 1).all(), labels
        assert overlay(image, labels, segmenter.palette).shape == image.shape
        assert mobileseg.Segmenter(sys.argv[1]).engine_name == "onnxruntime"
        assert available()["paddle"] and available()["lite"]
        print("ran")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "ran\n", done.stderr


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_batch_answers_as_single_calls_in_order(tmp_path: Path, ahead: int) -> None:
    artefact(tmp_path / "model", dynamic=True)
    write_png(tmp_path / "flag.png", stripes(20, 30))
    segmenter = Segmenter(tmp_path / "model")
    images = [stripes(16, 24), tmp_path / "flag.png", stripes(60, 90), stripes(8, 8)]
    found = list(segmenter.batch(images, ahead))
    for image, result in zip(images, found, strict=True):
        np.testing.assert_array_equal(result.labels, segmenter(image).labels)
    assert "decode" in found[1].times
    assert list(segmenter.batch([])) == []


def test_a_batch_is_read_as_it_is_used_and_fails_at_its_image(tmp_path: Path) -> None:
    artefact(tmp_path / "model", dynamic=True)
    taken = []

    def images():
        for image in (stripes(), tmp_path / "nothing.png", *[stripes()] * 9):
            taken.append(image)
            yield image

    results = Segmenter(tmp_path / "model").batch(images())
    assert taken == []
    next(results)
    assert len(taken) == 2
    with pytest.raises(DataError, match=r"nothing\.png"):
        next(results)
    with pytest.raises(RuntimeEngineError, match="ahead is 0"):
        next(Segmenter(tmp_path / "model").batch(images(), 0))


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_batch_can_go_on_after_an_image_that_cannot_be_used(tmp_path: Path, ahead: int) -> None:
    artefact(tmp_path / "model", dynamic=True)
    images = [stripes(), tmp_path / "nothing.png", np.zeros((3, 3), np.uint8), stripes(8, 12)]
    found = list(Segmenter(tmp_path / "model").batch(images, ahead, keep_errors=True))
    assert [isinstance(result, DataError) for result in found] == [False, True, True, False]
    assert "nothing.png" in str(found[1])
    assert found[3].labels.shape == (8, 12)
