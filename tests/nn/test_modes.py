"""A network is evaluated in evaluation mode and comes back in its own."""

import pytest
from paddle import nn

from mobileseg.nn.modes import evaluating

pytestmark = pytest.mark.both


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_comes_back(training):
    network = nn.Sequential(nn.BatchNorm2D(2), nn.Dropout())
    network.train() if training else network.eval()
    with evaluating(network):
        assert not any(layer.training for layer in network.sublayers(include_self=True))
    assert all(layer.training == training for layer in network.sublayers(include_self=True))
    with pytest.raises(ZeroDivisionError), evaluating(network):
        _ = 1 / 0
    assert network.training == training
