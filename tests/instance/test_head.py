from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from mobileseg.instance.head import PredictionHead
from mobileseg.instance.layers import Separable, SeparableOutput
from tests.model_tester import fill

pytestmark = pytest.mark.both


@pytest.fixture
def levels() -> list[paddle.Tensor]:
    rng = np.random.RandomState(0)
    return [paddle.to_tensor(rng.randn(2, 6, *size).astype(np.float32)) for size in ((4, 5), (2, 3), (1, 2))]


def test_every_row_against_its_cell(levels):
    head = fill(PredictionHead(6, 3, 2, 5))
    outputs = head(levels)
    assert [output.shape for output in outputs] == [[2, 84, length] for length in (4, 3, 5)]
    row = 0
    for level in levels:
        shared = F.relu(head.upfeature[0](level))
        maps = [layer(shared).numpy() for layer in (head.bbox_layer, head.conf_layer, head.mask_layer)]
        for i in range(level.shape[2]):
            for j in range(level.shape[3]):
                for anchor in range(3):
                    for output, cells, length in zip(outputs, maps, (4, 3, 5), strict=True):
                        expected = cells[:, anchor * length : (anchor + 1) * length, i, j]
                        np.testing.assert_allclose(output.numpy()[:, row], expected, atol=1e-6)
                    row += 1
    assert row == 84


def test_names_are_the_originals():
    assert {name for name, _ in PredictionHead(6, 3, 2, 5).named_parameters()} == {
        f"{layer}.{entry}"
        for layer in ("upfeature.0", "bbox_layer", "conf_layer", "mask_layer")
        for entry in ("weight", "bias")
    }


def test_lengths_are_read_from_the_kernels(levels):
    """A layer that was exchanged for another class count decides by itself."""
    head = PredictionHead(6, 3, 2, 5, Separable, SeparableOutput, "relu6")
    head.conf_layer = SeparableOutput(6, 3 * 8)
    head.eval()
    assert [output.shape[2] for output in head(levels)] == [4, 8, 5]


@pytest.mark.parametrize("prior", [0.01, 0.5])
def test_prior(prior, levels):
    head = PredictionHead(6, 3, 7, 5, foreground_prior=prior)
    assert float(head.bbox_layer.bias.abs().max()) == 0
    conf = F.softmax(head([0 * level for level in levels])[1], axis=-1).numpy()
    np.testing.assert_allclose(conf[..., 0], 1 - prior, atol=1e-6)
    np.testing.assert_allclose(conf[..., 1:], prior / 7, atol=1e-6)
