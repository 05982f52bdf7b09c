"""Clipping and rates by layer as PaddleSeg's optimizers have them, against Paddle's own and the package's."""

import numpy as np
import paddle
import pytest
from paddle import nn

from mobileseg.errors import ConfigError
from mobileseg.training.optim import clip_gradients, layer_rates, norms_and_biases

pytestmark = pytest.mark.both


def gradients():
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    (network(paddle.ones([2, 3])).square().sum() * 5.0).backward()
    return network.parameters()


@pytest.mark.parametrize(
    ("section", "theirs"),
    [
        ({"norm": 0.5}, nn.ClipGradByGlobalNorm(0.5)),
        ({"tensor_norm": 0.3}, nn.ClipGradByNorm(0.3)),
        ({"value": [-0.2, 0.1]}, nn.ClipGradByValue(0.1, -0.2)),
        ({"tensor_norm": 1e9}, nn.ClipGradByNorm(1e9)),
    ],
)
def test_clipping_is_paddles(section, theirs):
    parameters = gradients()
    expected = [clipped.numpy() for _, clipped in theirs([(p, p.grad.clone()) for p in parameters])]
    clip_gradients(parameters, {"norm": None, "tensor_norm": None, "value": None} | section)
    for parameter, reference in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(parameter.grad.numpy(), reference, rtol=1e-5, atol=1e-7)


class Transformer(nn.Layer):
    def __init__(self):
        super().__init__()
        self.patch_embed = nn.Linear(2, 2)
        self.blocks = nn.LayerList([nn.Linear(2, 2) for _ in range(3)])
        self.head = nn.Linear(2, 2)


def test_rates_fall_from_the_last_block_to_the_embedding():
    pytest.importorskip("paddleseg", reason="needs requirements-paddleseg.txt")
    from paddleseg.optimizers.custom_optimizers import layerwise_lr_decay

    network = Transformer()
    rates = layer_rates(network, 0.5)
    names = {parameter.name: name for name, parameter in network.named_parameters()}
    for name, parameter in network.named_parameters():
        layerwise_lr_decay(0.5, names, 3, parameter)
        assert rates.get(name, 1.0) == parameter.optimize_attr["learning_rate"]
    assert rates["blocks.0.weight"] == 0.125
    with pytest.raises(ConfigError, match="no numbered blocks"):
        layer_rates(nn.Linear(2, 2), 0.5)


def test_what_decay_norms_false_spares():
    network = nn.Sequential(nn.Conv2D(1, 2, 1), nn.LayerNorm(2))
    assert set(norms_and_biases(network)) == {"0.bias", "1.weight", "1.bias"}
