"""PP-MobileSeg and TopFormer against PaddleSeg, and the valid interpolate module against NumPy."""

import numpy as np
import paddle
import pytest

from mobileseg.backbones.mobilenetv2 import MobileNetV2_x0_25
from mobileseg.config.build import build_network
from mobileseg.errors import ConfigError
from mobileseg.registry import BACKBONES
from mobileseg.semantic.pp_mobileseg import PPMobileSeg, TopFormer, absent_penalty
from tests.model_tester import assert_close, fill, run, shapes, stored_variant
from tests.reference_fill import digest, input_image, sample

pytestmark = pytest.mark.both

FORMS = [
    ("PPMobileSeg/base_aam", {"type": "MobileSeg_Base", "inj_type": "AAM", "out_feat_chs": [64, 128, 192]}, 150),
    ("PPMobileSeg/base_aamsx8", {"type": "MobileSeg_Base", "inj_type": "AAMSx8"}, 150),
    ("PPMobileSeg/tiny_aam", {"type": "MobileSeg_Tiny"}, 150),
    ("PPMobileSeg/tiny_aamsx8", {"type": "MobileSeg_Tiny", "inj_type": "AAMSx8"}, 150),
    *((f"TopFormer/{name.lower()}", {"type": f"TopTransformer_{name}"}, 19) for name in ("Base", "Small", "Tiny")),
]


def build(kind, classes, backbone, **arguments):
    return build_network({"type": kind, "num_classes": classes, "backbone": backbone, **arguments})


@pytest.mark.parametrize(("case", "backbone", "classes"), FORMS, ids=[form[0] for form in FORMS])
def test_equals_the_original(case, backbone, classes):
    network = fill(build(case.split("/")[0], classes, backbone))
    expected = stored_variant(case)
    assert digest(shapes(network)) == str(expected["digest"])
    size = [int(length) for length in expected["size"]]
    logits = run(network, input_image(*size))["logits"]
    assert logits.shape == [1, classes, *size]
    assert_close(sample(logits.numpy()), expected["logits"], case)


def test_labels_with_the_valid_interpolate_module_are_those_of_the_original():
    network = fill(build("PPMobileSeg", 150, {"type": "MobileSeg_Tiny"}, upsample="vim"))
    expected = stored_variant("PPMobileSeg/vim")
    labels = run(network, input_image(*(int(length) for length in expected["size"])))["logits"].numpy().argmax(axis=1)
    np.testing.assert_array_equal(sample(labels), expected["logits"])


def test_absent_classes_cannot_win_after_the_resize():
    """Classes that lie second between two pixels that others win would win in between."""
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(2, 40, 3, 5)).astype(np.float32)
    penalty = absent_penalty(paddle.to_tensor(logits))
    resized = paddle.nn.functional.interpolate(paddle.to_tensor(logits), size=[24, 40], mode="bilinear")
    plain, valid = resized.numpy(), (resized + penalty).numpy()
    changed = 0
    for image in range(2):
        present = np.unique(logits[image].argmax(axis=0))
        assert len(present) < 20
        np.testing.assert_array_equal(penalty.numpy()[image, present], 0)
        np.testing.assert_array_equal(valid[image].argmax(axis=0), present[plain[image, present].argmax(axis=0)])
        changed += int((valid[image].argmax(axis=0) != plain[image].argmax(axis=0)).sum())
        assert valid[image].std() < 6 * plain[image].std(), "the logits keep their order of magnitude"
    assert changed > 0


def test_the_module_works_in_evaluation_and_with_many_classes_only():
    image = input_image(64, 64)
    for classes, differs in ((29, False), (30, True)):
        network = fill(build("PPMobileSeg", classes, {"type": "MobileSeg_Tiny"}))
        plain = run(network, image)["logits"].numpy()
        network.upsample = "vim"
        assert (run(network, image)["logits"].numpy() != plain).any() == differs
        network.training = True
        np.testing.assert_array_equal(network(paddle.to_tensor(image))["logits"].numpy() != plain, False)


@pytest.mark.parametrize(
    ("kind", "backbone"), [("PPMobileSeg", "MobileSeg_Tiny"), ("TopFormer", "TopTransformer_Tiny")]
)
def test_training_and_any_size(kind, backbone):
    network = build(kind, 3, {"type": backbone})
    assert run(network, input_image(75, 101))["logits"].shape == [1, 3, 75, 101]
    assert list(network.components()) == ["backbone", "head"]
    network.train()
    image = np.random.RandomState(2).randn(2, 3, 64, 96).astype(np.float32)
    network(paddle.to_tensor(image))["logits"].square().mean().backward()
    lacking = [name for name, value in network.named_parameters() if not value.stop_gradient and value.grad is None]
    assert not lacking


@pytest.mark.parametrize(("kind", "classes", "upsample"), [("PPMobileSeg", 30, "vim"), ("TopFormer", 5, None)])
def test_the_logits_are_the_coarse_ones_resized(kind, classes, upsample):
    backbone = {"PPMobileSeg": "MobileSeg_Tiny", "TopFormer": "TopTransformer_Tiny"}[kind]
    network = fill(build(kind, classes, {"type": backbone}, **({"upsample": upsample} if upsample else {})))
    network.eval()
    image = paddle.to_tensor(input_image(75, 101))
    coarse, logits = network.coarse_logits(image), network(image)["logits"]
    assert coarse.shape[2] < 20
    resized = paddle.nn.functional.interpolate(coarse, [75, 101], mode="bilinear")
    assert_close(logits.numpy(), resized.numpy(), kind)


def test_other_backbones():
    """PP-MobileSeg takes the finest feature; TopFormer needs equally wide ones."""
    network = PPMobileSeg(3, MobileNetV2_x0_25())
    assert network.strides == (4,)
    assert run(network, input_image(64, 96))["logits"].shape == [1, 3, 64, 96]
    with pytest.raises(ConfigError, match=r"adds the features .* those of the backbone have \[8, 24, 80\] channels"):
        TopFormer(3, MobileNetV2_x0_25())
    with pytest.raises(ConfigError, match=r"TopFormer: the backbone has features of strides \[4, 8\]"):
        TopFormer(3, BACKBONES.get("MobileNetV3_small_x1_0_os8")())


@pytest.mark.parametrize(
    ("arguments", "message"), [({"num_classes": 0}, "num_classes"), ({"upsample": "vimm"}, "upsample 'vimm'")]
)
def test_contradictions_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        PPMobileSeg(**{"num_classes": 3, "backbone": MobileNetV2_x0_25(), **arguments})
