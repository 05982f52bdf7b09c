"""PaddleSeg's losses through the bridge against PaddleSeg's own training rule."""

import numpy as np
import paddle
import pytest

from mobileseg.errors import ConfigError
from mobileseg.semantic.losses import Criterion
from mobileseg.semantic.paddleseg_losses import build_paddleseg_loss, edges, instance_targets

pytest.importorskip("paddleseg", reason="needs requirements-paddleseg.txt")
CLASSES = 3
RNG = np.random.default_rng(0)
LABEL = np.kron(RNG.integers(0, CLASSES, (2, 4, 4)), np.ones((8, 8))).astype(np.int64)
LABEL[:, 0, :3] = 255


def tensor(*shape, scale=1.0):
    value = paddle.to_tensor((RNG.standard_normal(shape) * scale).astype(np.float32))
    value.stop_gradient = False
    return value


LOGITS = tensor(2, CLASSES, 32, 32)
BINARY = np.where(LABEL == 2, 1, LABEL)
POINTS = paddle.to_tensor(RNG.random((2, 50, 2)).astype(np.float32))
CASES = {
    "BCELoss": ({"weight": "dynamic", "edge_label": True}, tensor(2, 1, 32, 32), LABEL),
    "BootstrappedCrossEntropyLoss": ({"min_K": 50, "loss_th": 0.3}, LOGITS, LABEL),
    "DetailAggregateLoss": ({}, tensor(2, 1, 4, 4), LABEL),
    "DualTaskLoss": ({}, LOGITS, LABEL),
    "EdgeAttentionLoss": ({}, (LOGITS, paddle.nn.functional.sigmoid(tensor(2, 1, 32, 32, scale=3.0))), LABEL),
    "LovaszHingeLoss": ({}, tensor(2, 2, 32, 32), BINARY),
    "OhemEdgeAttentionLoss": (
        {"min_kept": 10},
        (LOGITS, paddle.nn.functional.sigmoid(tensor(2, 1, 32, 32, scale=3.0))),
        LABEL,
    ),
    "PointCrossEntropyLoss": ({}, (tensor(2, CLASSES, 50), POINTS), np.where(LABEL == 255, 0, LABEL)),
    "RMILoss": ({"num_classes": CLASSES}, LOGITS, LABEL),
    "RelaxBoundaryLoss": ({}, LOGITS, LABEL),
    "SECrossEntropyLoss": ({}, tensor(2, CLASSES), np.where(LABEL == 255, 0, LABEL)),
    "SemanticConnectivityLoss": ({"max_pred_num_conn": 10}, LOGITS, np.where(LABEL == 255, 0, LABEL)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_loss_of_paddlesegs_training_loop(name):
    """``paddleseg.core.train.loss_computation``, which is given the edges that PaddleSeg's dataset draws."""
    from paddleseg.core.train import loss_computation
    from paddleseg.cvlibs import manager
    from paddleseg.transforms.functional import mask_to_binary_edge

    arguments, output, label = CASES[name]
    ours = build_paddleseg_loss(name, arguments, CLASSES, 255)
    given = paddle.to_tensor(label)
    edge = paddle.to_tensor(np.stack([mask_to_binary_edge(one, 2, CLASSES) for one in label]).astype(np.int64))
    known = {} if name in ("SECrossEntropyLoss",) else {"ignore_index": 255}
    original = manager.LOSSES[name](**arguments, **known)
    if name == "DetailAggregateLoss":  # its kernel starts from random numbers
        original.fuse_kernel.set_value(ours.original.fuse_kernel)
    paddle.seed(0)  # DualTaskLoss draws
    (expected,) = loss_computation([output], paddle.to_tensor(label), edge, {"types": [original], "coef": [0.5]})
    paddle.seed(0)
    found = Criterion([ours], [0.5])({"logits": output}, {"label": given})["logits"]
    assert found.shape == []
    assert float(found) == pytest.approx(float(expected.sum()), rel=1e-5, abs=1e-6)
    assert np.array_equal(given.numpy(), label)  # some of PaddleSeg's losses write into the label
    found.backward()


def test_kl_loss_compares_the_first_two_outputs():
    outputs = {"logits": tensor(1, 3, 4, 4), "logits_aux1": tensor(1, 3, 4, 4)}
    loss = build_paddleseg_loss("KLLoss", {}, 3, 255)
    found = loss.of_outputs(outputs, "logits_aux1", paddle.zeros([1, 4, 4], "int64"))
    first, second = (value.numpy() for value in outputs.values())
    log_softmax = [value - np.log(np.exp(value).sum(1, keepdims=True)) for value in (first, second)]
    expected = (np.exp(log_softmax[1]) * (log_softmax[1] - log_softmax[0])).mean()
    assert float(found) == pytest.approx(float(expected), rel=1e-4)
    found.backward()
    assert outputs["logits_aux1"].grad is None
    assert outputs["logits"].grad is not None


def test_targets_of_maskformer_are_those_of_paddlesegs_transform():
    from paddleseg.transforms import GenerateInstanceTargets

    targets = instance_targets(paddle.to_tensor(LABEL), CLASSES, 255)
    for index, label in enumerate(LABEL):
        data = GenerateInstanceTargets(CLASSES)({"label": label, "img": np.zeros((3, 32, 32))})
        np.testing.assert_array_equal(targets["gt_classes"][index].numpy(), data["instances"]["gt_classes"])
        np.testing.assert_array_equal(targets["gt_masks"][index].numpy(), data["instances"]["gt_masks"])


def test_an_image_that_is_all_ignored_has_no_targets():
    targets = instance_targets(paddle.full([1, 4, 4], 255, "int64"), 2, 255)
    assert targets["gt_classes"].numpy().tolist() == [[255, 255]]
    assert not targets["gt_masks"].any()


def test_edges_lie_where_classes_meet():
    label = np.zeros((1, 9, 9), np.int64)
    label[:, :, 5:] = 1
    found = edges(paddle.to_tensor(label), 2, radius=1).numpy()[0]
    assert found[4].tolist() == [1, 0, 0, 0, 1, 1, 0, 0, 1]


@pytest.mark.parametrize(
    ("name", "arguments", "part"),
    [
        ("BCELos", {}, "did you mean paddleseg.BCELoss"),
        ("BCELoss", {"edge": True}, "no argument 'edge'"),
        ("BCELoss", {"weight": [1, 2]}, "cannot be built"),
        ("DistillCrossEntropyLoss", {}, "use the section distill"),
        ("RMILoss", {"num_classes": CLASSES + 1}, f"write num_classes: {CLASSES}"),
    ],
)
def test_mistakes_are_named(name, arguments, part):
    with pytest.raises(ConfigError) as caught:
        build_paddleseg_loss(name, arguments, CLASSES, 255)
    assert part in str(caught.value)


def test_the_number_of_classes_is_that_of_the_labels_where_the_arguments_do_not_say():
    assert build_paddleseg_loss("RMILoss", {}, CLASSES, 255).original.num_classes == CLASSES
