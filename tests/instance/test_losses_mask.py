"""The two forms of the mask loss, and masks at the resolution of the prototypes."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from mobileseg.instance.losses_mask import (
    MaskGroup,
    crop_window,
    dense_cross_entropy,
    mask_cross_entropy,
    shrink_masks,
)

pytestmark = pytest.mark.both


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    coefficients, prototypes = rng.normal(0, 2, (7, 4)), rng.normal(0, 2, (2, 4, 9, 11))
    groups = [
        MaskGroup(0, np.array([0, 2]), rng.random((9, 11)) < 0.5, (1, 6, 2, 9), 0.2),
        MaskGroup(0, np.array([1]), rng.random((9, 11)) < 0.5, (0, 9, 0, 11), 0.1),
        MaskGroup(1, np.array([3, 4, 6]), rng.random((9, 11)) < 0.5, (4, 9, 5, 6), 1.5),
        MaskGroup(1, np.array([5]), rng.random((9, 11)) < 0.5, (3, 3, 5, 6), 1.0),
    ]
    return coefficients.astype(np.float32), prototypes.astype(np.float32), groups


def run(function, coefficients, prototypes, groups):
    tensors = [paddle.to_tensor(coefficients), paddle.to_tensor(prototypes)]
    for tensor in tensors:
        tensor.stop_gradient = False
    loss = function(*tensors, groups)
    (2.0 * loss).backward()
    return [loss.numpy(), *(tensor.grad.numpy() for tensor in tensors)]


def test_both_forms_agree_with_their_gradients(case):
    for one, other in zip(run(mask_cross_entropy, *case), run(dense_cross_entropy, *case), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("function", [mask_cross_entropy, dense_cross_entropy])
def test_no_groups_are_a_connected_zero(case, function):
    loss, *gradients = run(function, *case[:2], [])
    assert float(loss) == 0.0
    assert not any(gradient.any() for gradient in gradients)


def test_certain_logits_stay_finite(case):
    coefficients, prototypes, groups = case
    loss, *gradients = run(mask_cross_entropy, coefficients * 100, prototypes * 100, groups)
    assert np.isfinite(loss)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("size", [(10, 12), (7, 9), (40, 48)])
def test_shrunk_masks_are_bilinear_samples(size):
    masks = (np.random.default_rng(1).random((3, 40, 48)) < 0.6).astype(np.uint8)
    wanted = F.interpolate(paddle.to_tensor(masks[None].astype(np.float32)), list(size), mode="bilinear")[0].numpy()
    clear = np.abs(wanted - 0.5) > 1e-4
    assert clear.mean() > 0.6  # the rest lies on the threshold
    np.testing.assert_array_equal(shrink_masks(masks, *size)[clear], wanted[clear] > 0.5)
    assert shrink_masks(masks[:0], *size).shape == (0, *size)


@pytest.mark.parametrize("seed", range(20))
def test_the_window_is_the_box_grown_by_one(seed):
    x1, y1, x2, y2 = box = np.sort(np.random.default_rng(seed).uniform(-0.1, 1.1, (2, 2)), axis=0).ravel()
    top, bottom, left, right = crop_window(box, 9, 11)
    assert [*range(top, bottom)] == [y for y in range(9) if y1 * 9 - 1 <= y < y2 * 9 + 1]
    assert [*range(left, right)] == [x for x in range(11) if x1 * 11 - 1 <= x < x2 * 11 + 1]
