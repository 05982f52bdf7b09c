"""Losses between heads, against loops over anchors and pixels in NumPy."""

from math import ceil

import numpy as np
import paddle
import pytest

from mobileseg.compress.distillation import head as distill_head
from mobileseg.compress.distillation.head import head_losses
from mobileseg.config.schema_distill import DistillHead

pytestmark = pytest.mark.both

SECTION = DistillHead(confidence=0.4, temperature=2.0)
BATCH, ANCHORS, CLASSES, SIZE = 2, 12, 3, (6, 8)


def softmax(values: np.ndarray) -> np.ndarray:
    shifted = np.exp(values - values.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


@pytest.fixture
def heads():
    rng = np.random.default_rng(0)

    def predictions(prototypes):
        return {
            "loc": rng.normal(size=(BATCH, ANCHORS, 4)),
            "logits": rng.normal(scale=2, size=(BATCH, ANCHORS, CLASSES + 1)),
            "mask": np.tanh(rng.normal(size=(BATCH, ANCHORS, prototypes))),
            "proto": rng.normal(size=(BATCH, prototypes, *SIZE)).clip(min=0),
        }

    student, teacher = predictions(4), predictions(5)
    centre, side = rng.uniform(0.2, 0.8, (ANCHORS, 2)), rng.uniform(0.2, 0.6, (ANCHORS, 2))
    student["anchors"] = np.concatenate([centre, side], axis=1)
    teacher["conf"] = softmax(teacher.pop("logits"))
    return tuple({name: value.astype(np.float32) for name, value in one.items()} for one in (student, teacher))


def tensors(arrays, **options):
    return {name: paddle.to_tensor(value, **options) for name, value in arrays.items()}


def slow_losses(student, teacher, confidence, temperature, most=100):
    """Everything by loops, in float64."""
    sums = {"class": 0.0, "box": 0.0, "mask": 0.0}
    height, width = SIZE
    count = 0
    for image in range(BATCH):
        sure = teacher["conf"][image, :, 1:].max(axis=1)
        ranks = (-sure).argsort().argsort()
        for anchor in np.flatnonzero(sure > confidence):
            count += 1
            p = softmax(np.log(teacher["conf"][image, anchor].astype(np.float64)) / temperature)
            q = softmax(student["logits"][image, anchor].astype(np.float64) / temperature)
            sums["class"] += temperature**2 * float((p * np.log(p / q)).sum())
            away = np.abs(student["loc"][image, anchor] - teacher["loc"][image, anchor]).astype(np.float64)
            sums["box"] += float(np.where(away < 1, 0.5 * away**2, away - 0.5).sum())
            if ranks[anchor] >= most:
                continue
            loc, (cx, cy, w, h) = teacher["loc"][image, anchor], student["anchors"][anchor]
            x, y = cx + loc[0] * 0.1 * w, cy + loc[1] * 0.1 * h
            w, h = w * np.exp(0.2 * loc[2]), h * np.exp(0.2 * loc[3])
            x1, y1, x2, y2 = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, 1)
            area = max((x2 - x1) * width, 1) * max((y2 - y1) * height, 1)
            for row in range(max(ceil(y1 * height - 1), 0), min(ceil(y2 * height + 1), height)):
                for column in range(max(ceil(x1 * width - 1), 0), min(ceil(x2 * width + 1), width)):
                    a, b = (
                        sigmoid(float(one["mask"][image, anchor] @ one["proto"][image, :, row, column]))
                        for one in (teacher, student)
                    )
                    sums["mask"] += (a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))) / area
    return {name: value / max(count, 1) for name, value in sums.items()}, count


def test_against_a_slow_version(heads):
    found = head_losses(*map(tensors, heads), SECTION)
    expected, count = slow_losses(*heads, 0.4, 2.0)
    assert 5 < count < BATCH * ANCHORS
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=2e-5), name


def test_no_more_masks_than_allowed(heads, monkeypatch):
    monkeypatch.setattr(distill_head, "MASK_ANCHORS", 2)
    found = head_losses(*map(tensors, heads), SECTION)
    expected, _ = slow_losses(*heads, 0.4, 2.0, most=2)
    assert float(found["mask"]) == pytest.approx(expected["mask"], rel=2e-5)
    assert expected["mask"] < slow_losses(*heads, 0.4, 2.0)[0]["mask"]


def test_factors(heads):
    one = head_losses(*map(tensors, heads), SECTION)
    section = DistillHead(confidence=0.4, temperature=2.0, classes=2.0, boxes=0.0, masks=0.5)
    other = head_losses(*map(tensors, heads), section)
    for name, factor in {"class": 2.0, "box": 0.0, "mask": 0.5}.items():
        assert float(other[name]) == pytest.approx(factor * float(one[name]), rel=1e-6)


def test_no_confident_anchor_gives_zero_and_zero_gradients(heads):
    student, teacher = heads
    sure = DistillHead(confidence=0.9999)
    parts = tensors(student, stop_gradient=False)
    losses = head_losses(parts, tensors(teacher), sure)
    paddle.add_n(list(losses.values())).backward()
    assert [float(value) for value in losses.values()] == [0.0, 0.0, 0.0]
    for name in ("logits", "loc", "mask", "proto"):
        assert not parts[name].grad.numpy().any(), name


def test_a_student_that_agrees_has_nothing_to_learn(heads):
    """Another order of the prototypes is agreement too: only what they assemble to is compared."""
    student, teacher = heads
    order = [3, 0, 4, 1, 2]
    same = {
        "loc": teacher["loc"],
        "logits": np.log(teacher["conf"]) + 3.0,
        "mask": teacher["mask"][..., order],
        "proto": teacher["proto"][:, order],
        "anchors": student["anchors"],
    }
    parts = tensors(same, stop_gradient=False)
    losses = head_losses(parts, tensors(teacher), SECTION)
    paddle.add_n(list(losses.values())).backward()
    assert [float(value) for value in losses.values()] == pytest.approx([0.0] * 3, abs=2e-6)
    for name in ("logits", "loc", "mask", "proto"):
        np.testing.assert_allclose(parts[name].grad.numpy(), 0, atol=1e-6, err_msg=name)


def test_prototypes_of_another_size(heads):
    """The teacher's are brought to the student's size: constant ones stay what they are."""
    student, teacher = heads
    level = teacher["proto"][:, :, :1, :1]
    full, small = (np.broadcast_to(level, (*level.shape[:2], *size)).copy() for size in (SIZE, (3, 5)))
    one, other = (
        head_losses(tensors(student), tensors(teacher | {"proto": proto}), SECTION) for proto in (full, small)
    )
    assert float(one["mask"]) == pytest.approx(float(other["mask"]), rel=1e-5)
