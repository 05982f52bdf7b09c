"""Evaluation for a while."""

import paddle
import pytest
from paddle import nn

from mobileseg.compress.channels.modes import evaluating


def test_modes_come_back_layer_by_layer():
    network = nn.Sequential(nn.Conv2D(3, 4, 1), nn.BatchNorm2D(4), nn.Dropout(0.5))
    network.train()
    network[1].eval()
    with evaluating(network):
        assert not any(layer.training for layer in network.sublayers(include_self=True))
        assert network(paddle.zeros([1, 3, 4, 4])).stop_gradient
    assert [layer.training for layer in network.sublayers(include_self=True)] == [True, True, False, True]
    assert not network(paddle.zeros([1, 3, 4, 4])).stop_gradient


def test_modes_come_back_after_an_error():
    network = nn.Conv2D(3, 4, 1)
    with pytest.raises(ValueError, match="odd"), evaluating(network):
        raise ValueError("odd")
    assert network.training
