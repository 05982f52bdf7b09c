"""Scores to first order, against the loss without a channel."""

import numpy as np
import paddle
import pytest

from mobileseg.compress.channels.groups import find_groups
from mobileseg.compress.pruning.taylor import taylor_scores
from mobileseg.errors import CompressionError
from tests.compress.networks import build, image


class Squares(paddle.nn.Layer):
    def forward(self, outputs, _targets):
        return {name: value.square().mean() for name, value in outputs.items()}


@pytest.fixture(scope="module")
def case():
    network = build("MobileNetV2_x0_5")
    return network, find_groups(network), [{"image": image(seed=seed)} for seed in range(2)]


def test_against_finite_differences(case):
    """d/dt of the loss when scale and shift of one channel are multiplied by 1 - t."""
    network, groups, batches = case
    scores = taylor_scores(network, groups, Squares(), batches)
    name = "backbone.conv5._first_block._expand_conv._batch_norm"
    units = groups.units[f"{name}.weight", 0]
    state = network.state_dict()
    network.train()
    for layer in network.sublayers():
        if isinstance(layer, paddle.nn.BatchNorm2D):
            layer.eval()

    def loss(batch):
        with paddle.no_grad():
            return float(sum(Squares()(network(batch["image"]), batch).values()).astype("float64"))

    for channel in (3, 40):
        changes = []
        for batch in batches:
            found = []
            for factor in (1.02, 0.98):
                kept = {key: state[f"{name}.{key}"].numpy() for key in ("weight", "bias")}
                for key, array in kept.items():
                    changed = array.copy()
                    changed[channel] *= factor
                    state[f"{name}.{key}"].set_value(changed)
                found.append(loss(batch))
                for key, array in kept.items():
                    state[f"{name}.{key}"].set_value(array)
            changes.append((found[0] - found[1]) / 0.04)
        expected = np.mean(np.square(changes))
        assert scores[int(units[channel])] >= 0.8 * expected  # the depthwise norm behind it may count more


def test_the_network_is_left_as_it_was(case):
    network, groups, batches = case
    before = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    parameter = dict(network.named_parameters())["backbone.conv1._batch_norm.weight"]
    parameter.stop_gradient = True
    scores = taylor_scores(network, groups, Squares(), batches)
    assert parameter.stop_gradient
    parameter.stop_gradient = False
    assert all(np.array_equal(before[name], tensor.numpy()) for name, tensor in network.state_dict().items())
    assert all(p.grad is None or not p.grad.numpy().any() for p in network.parameters())
    assert any(int(unit) in scores for unit in groups.units["backbone.conv1._batch_norm.weight", 0])


def test_no_batches(case):
    with pytest.raises(CompressionError, match="need training images"):
        taylor_scores(case[0], case[1], Squares(), [])
