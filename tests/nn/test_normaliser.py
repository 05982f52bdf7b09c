"""The normaliser of one process; what it does between two is tested with the losses that use it."""

import numpy as np
import paddle
import pytest

from mobileseg.nn.normaliser import whole_batch_normaliser

pytestmark = pytest.mark.both


def test_a_normaliser_of_nothing_is_one():
    assert float(whole_batch_normaliser(paddle.zeros([]), active=True)) == 1.0
    assert float(whole_batch_normaliser(paddle.to_tensor(0.25), active=False)) == 0.25


def test_several_at_once():
    found = whole_batch_normaliser(paddle.to_tensor([0.0, 3.0]), active=True)
    np.testing.assert_array_equal(found.numpy(), [1.0, 3.0])
    assert found.stop_gradient
