"""Losses between maps, against sums written out in NumPy."""

import numpy as np
import paddle
import pytest

from mobileseg.compress.distillation.losses import feature_loss, like, logit_loss, pixel_divergence

pytestmark = pytest.mark.both


def softmax(values: np.ndarray) -> np.ndarray:
    shifted = np.exp(values - values.max())
    return shifted / shifted.sum()


def slow_logit_loss(student, teacher, label, temperature, weight=(1, 1, 1, 1)):
    """Pixel by pixel in float64."""
    total, count = 0.0, 0.0
    for n, y, x in np.ndindex(*label.shape):
        if label[n, y, x] == 255:
            continue
        p = softmax(teacher[n, :, y, x].astype(np.float64) / temperature)
        q = softmax(student[n, :, y, x].astype(np.float64) / temperature)
        total += weight[label[n, y, x]] * float((p * np.log(p / q)).sum())
        count += weight[label[n, y, x]]
    return temperature**2 * total / max(count, 1)


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, (2, 5, 6))
    label[rng.random(label.shape) < 0.3] = 255
    student, teacher = (rng.normal(scale=3, size=(2, 4, 5, 6)).astype(np.float32) for _ in range(2))
    return student, teacher, label


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_logits_against_a_slow_version(maps, temperature):
    loss = logit_loss(*map(paddle.to_tensor, maps), temperature)
    assert float(loss) == pytest.approx(slow_logit_loss(*maps, temperature), rel=1e-5)


def test_weighted_logits_against_a_slow_version(maps):
    weight = [0.5, 3.0, 0.0, 1.25]
    loss = logit_loss(*map(paddle.to_tensor, maps), 2.0, 255, paddle.to_tensor(weight))
    assert float(loss) == pytest.approx(slow_logit_loss(*maps, 2.0, weight), rel=1e-5)
    assert float(loss) != pytest.approx(slow_logit_loss(*maps, 2.0), rel=1e-3)


def test_gradient_of_logits_against_differences(maps):
    student, teacher, label = maps
    tensor = paddle.to_tensor(student, stop_gradient=False)
    logit_loss(tensor, paddle.to_tensor(teacher), paddle.to_tensor(label), 2.0).backward()
    grad = tensor.grad.numpy()
    for place in [(0, 1, 2, 3), (1, 3, 4, 0), (1, 0, 0, 5), (0, 2, 1, 1)]:
        moved = [student.astype(np.float64).copy() for _ in range(2)]
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        up, down = (slow_logit_loss(one, teacher, label, 2.0) for one in moved)
        assert grad[place] == pytest.approx((up - down) / 2e-5, rel=1e-3, abs=1e-7)
    ignored = np.broadcast_to((label == 255)[:, None], grad.shape)
    assert ignored.any()
    assert not grad[ignored].any()
    assert np.abs(grad[~ignored]).min() > 0


def test_equal_logits_cost_nothing_and_extreme_ones_stay_finite(maps):
    _, teacher, label = map(paddle.to_tensor, maps)
    assert float(logit_loss(teacher + 5.0, teacher, label, 2.0)) == pytest.approx(0.0, abs=1e-6)
    far = paddle.to_tensor(np.array([1e4, -1e4], np.float32).reshape(1, 2, 1, 1))
    assert float(pixel_divergence(-far, far, 1.0).sum()) == pytest.approx(2e4)


def test_logits_of_a_batch_that_is_ignored_altogether(maps):
    student, teacher, label = maps
    tensor = paddle.to_tensor(student, stop_gradient=False)
    loss = logit_loss(tensor, paddle.to_tensor(teacher), paddle.to_tensor(np.full_like(label, 255)), 2.0)
    loss.backward()
    assert float(loss) == 0.0
    assert not tensor.grad.numpy().any()


def test_no_gradient_reaches_the_teacher(maps):
    student, teacher, label = (paddle.to_tensor(one) for one in maps)
    student.stop_gradient = teacher.stop_gradient = False
    (logit_loss(student, teacher, label, 2.0) + feature_loss(student, teacher)).backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_logits_of_other_sizes(maps):
    """The student decides: the teacher's logits are interpolated, labels sampled."""
    student, _, _ = maps
    rng = np.random.default_rng(1)
    constant = rng.normal(size=(2, 4, 1, 1)).astype(np.float32)
    teacher = np.broadcast_to(constant, (2, 4, 3, 2)).copy()
    label = rng.integers(0, 4, (2, 10, 12))
    label[:, ::4] = 255
    loss = logit_loss(paddle.to_tensor(student), paddle.to_tensor(teacher), paddle.to_tensor(label), 2.0)
    small = label[:, 1::2, 1::2]  # the nearest sample of an even factor: floor((i + 0.5) * 2) = 2i + 1
    expected = slow_logit_loss(student, np.broadcast_to(constant, student.shape), small, 2.0)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def slow_feature_loss(student, teacher):
    far, spread = 0.0, 0.0
    for channel in range(teacher.shape[1]):
        mean = teacher[:, channel].astype(np.float64).mean()
        for n, y, x in np.ndindex(teacher.shape[0], *teacher.shape[2:]):
            far += (float(student[n, channel, y, x]) - float(teacher[n, channel, y, x])) ** 2
            spread += (float(teacher[n, channel, y, x]) - mean) ** 2
    return far / spread


def test_features_against_a_slow_version(maps):
    student, teacher, _ = maps
    loss = feature_loss(paddle.to_tensor(student), paddle.to_tensor(teacher))
    assert float(loss) == pytest.approx(slow_feature_loss(student, teacher), rel=1e-5)


def test_features_are_measured_in_units_of_the_teacher(maps):
    student, teacher, _ = map(paddle.to_tensor, maps)
    loss = float(feature_loss(student, teacher))
    assert float(feature_loss(100 * student + 7, 100 * teacher + 7)) == pytest.approx(loss, rel=1e-4)
    mean = teacher.mean(axis=[0, 2, 3], keepdim=True).expand_as(teacher)
    assert float(feature_loss(mean, teacher)) == pytest.approx(1.0, rel=1e-5)
    assert float(feature_loss(teacher, teacher)) == 0.0


def test_a_constant_teacher_divides_by_one():
    student, teacher = paddle.ones([1, 2, 3, 3]), paddle.zeros([1, 2, 3, 3])
    assert float(feature_loss(student, teacher)) == 18.0


def test_larger_features_of_the_teacher_are_averaged_and_smaller_ones_interpolated():
    fine = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    small = like(paddle.to_tensor(fine), paddle.zeros([1, 1, 2, 2])).numpy()[0, 0]
    np.testing.assert_array_equal(small, fine[0, 0].reshape(2, 2, 2, 2).mean(axis=(1, 3)))
    large = like(paddle.to_tensor(small[None, None]), paddle.zeros([1, 1, 4, 4])).numpy()[0, 0]
    weights = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])  # bilinear, half-pixel centres, factor 2
    np.testing.assert_allclose(large, weights @ small @ weights.T, rtol=1e-6)
