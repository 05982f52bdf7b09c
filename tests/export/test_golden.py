import numpy as np
import paddle
import pytest

from mobileseg.errors import ExportError
from mobileseg.export.golden import load_reference, subsample
from mobileseg.export.recording import build_reference, to_input
from mobileseg.semantic.export import SemanticExport, SemanticItem
from tests.export.conftest import MEAN, SIZE, STD, options

TASK = SemanticExport()


@pytest.fixture(scope="module")
def reference(toy, images):
    return build_reference(TASK, toy, options(), images, [SIZE], "drawn scenes")


def test_items_are_the_network_s_answers(reference, toy):
    item = reference.items[0]
    logits = toy(paddle.to_tensor(item.input))["logits"].numpy()
    np.testing.assert_allclose(item.logits, logits, atol=1e-6)
    assert np.array_equal(item.outputs["labels"][0], logits[0].argmax(axis=0))
    assert item.labels.shape == item.image.shape[:2]
    assert len(reference.classes_present) >= 3


def test_input_is_resized_without_rounding_and_normalised(reference):
    import cv2

    item = reference.items[0]
    resized = cv2.resize(item.image.astype(np.float32), SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    expected = (resized / 255 - np.float32(MEAN)) / np.float32(STD)
    np.testing.assert_allclose(item.input[0].transpose(1, 2, 0), expected, atol=2e-6)


def test_close_pixels_are_those_within_the_limit(reference):
    item = reference.items[0]
    best = np.sort(item.logits[0], axis=0)
    assert np.array_equal(item.close, best[-1] - best[-2] < 1e-3 * item.logits.std())


def test_survives_the_file(reference, tmp_path):
    reference.save(tmp_path / "golden.npz")
    loaded = load_reference(tmp_path / "golden.npz", TASK.load_item)
    assert loaded.classes_present == reference.classes_present
    for ours, theirs in zip(loaded.items, reference.items, strict=True):
        assert np.array_equal(ours.image, theirs.image)
        assert np.array_equal(ours.logits, subsample(theirs.logits, ours.stride))
        assert ours.scales == theirs.scales


def test_large_arrays_are_stored_at_a_stride(reference, tmp_path):
    big = np.zeros((1, 19, 512, 512), np.float32)
    item = reference.items[0]
    large = SemanticItem(**{**vars(item), "logits": big, "outputs": {"logits": big}})
    type(reference)((large, large), reference.normalize).save(tmp_path / "golden.npz")
    with np.load(tmp_path / "golden.npz") as archive:
        assert archive["logits.0"].nbytes <= 2_100_000
        assert archive["logits.1"].nbytes <= 220_000
        assert archive["output.1.logits"].shape == archive["logits.1"].shape
        assert archive["argmax.1"].shape == item.argmax.shape


def test_images_with_the_most_classes_are_taken(images):
    class Brightness(paddle.nn.Layer):
        """Four classes by quarter of the brightness range."""

        def forward(self, x):
            level = x.mean(axis=1, keepdim=True) * 0.25 + 0.5
            return {"logits": paddle.concat([-((level - centre) ** 2) for centre in (0.1, 0.4, 0.6, 0.9)], axis=1)}

    plain = [np.full((20, 30, 3), 30, np.uint8)] * 6
    rich = np.zeros((20, 30, 3), np.uint8)
    rich[:, 10:20], rich[:, 20:] = 110, 240  # and a smooth step between them
    reference = build_reference(TASK, Brightness(), options(), [*plain, rich], [SIZE], "made up")
    assert any(np.array_equal(item.image, rich) for item in reference.items)
    assert reference.classes_present == (0, 1, 2, 3)


def test_dynamic_images_have_the_input_s_size(toy, images):
    reference = build_reference(TASK, toy, options(dynamic=True), images, [(48, 64), (24, 80)], "drawn")
    assert {item.image.shape[:2] for item in reference.items} == {(48, 64), (24, 80)}


def test_bytes_are_rounded_once():
    pixels = np.array([[[0.4, 0.6, 254.7]]], np.float32)
    changes = {"input_dtype": "uint8", "normalize_in_graph": True}
    assert to_input(pixels, options(**changes)).tolist() == [[[[0]], [[1]], [[255]]]]
    assert to_input(pixels, options(**changes, layout="NHWC")).shape == (1, 1, 1, 3)


def test_not_a_reference(tmp_path):
    np.savez(tmp_path / "golden.npz", other=np.zeros(3))
    with pytest.raises(ExportError, match="cannot be read as the reference"):
        load_reference(tmp_path / "golden.npz", TASK.load_item)
