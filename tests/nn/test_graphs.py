"""The form of a network for engines that keep channels in blocks."""

import numpy as np
import paddle
import pytest
from paddle import nn

from mobileseg.nn.graphs import blocked_form, has_blocked_form

pytestmark = pytest.mark.both


class Doubling(nn.Layer):
    """Twice its input, by two operators; its blocked form needs one."""

    def forward(self, x):
        return x + x

    def blocked_form(self):
        return Scaling()


class Scaling(nn.Layer):
    def forward(self, x):
        return 2 * x


def test_layers_are_replaced_at_any_depth_and_the_network_stays_as_it_was():
    network = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.ReLU(), Doubling()))
    before = [id(layer) for layer in network.sublayers(include_self=True)]
    form = blocked_form(network)
    assert has_blocked_form(network)
    assert isinstance(form[1][1], Scaling)
    assert form[0] is network[0]  # what has no other form is shared
    assert form[1][0] is network[1][0]
    assert [id(layer) for layer in network.sublayers(include_self=True)] == before
    x = paddle.to_tensor(np.float32([[1.0, -2.0, 3.0]]))
    np.testing.assert_allclose(form(x).numpy(), network(x).numpy(), rtol=1e-6)


def test_a_network_without_other_forms_is_itself():
    network = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.ReLU()))
    assert not has_blocked_form(network)
    assert blocked_form(network) is network
