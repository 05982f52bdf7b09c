import numpy as np
import paddle
import pytest
from paddle import nn

from mobileseg.errors import ExportError
from mobileseg.export.diagnosis.bisect_trace import network_input
from mobileseg.export.exporter import export_network
from tests.export.conftest import MEAN, STD, SUBJECT, Toy, options, seeded


@paddle.jit.not_to_static
def gain():
    return 1.0 if paddle.in_dynamic_mode() else 3.0


class TwoFaced(nn.Layer):
    """Another function when it is traced."""

    def forward(self, x):
        return x * gain() + 0.5


class Network(Toy):
    def __init__(self):
        super().__init__()
        self.odd = TwoFaced()

    def forward(self, x):
        return {"logits": self.logits(self.odd(x))}


def test_layer_that_traces_differently_is_named(images, tmp_path):
    with pytest.raises(ExportError) as caught:
        export_network(seeded(Network()), tmp_path / "a", options(), SUBJECT, images, targets=["paddle"])
    assert "traced, the network computes something else" in str(caught.value)
    assert "of layer 'odd'" in str(caught.value)


def test_input_of_the_network_behind_a_graph_of_bytes():
    fed = np.random.default_rng(0).integers(0, 256, (1, 4, 6, 3), dtype=np.uint8)
    form = options(layout="NHWC", input_dtype="uint8", normalize_in_graph=True)
    expected = ((fed / 255.0 - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(network_input(fed, form), expected, atol=1e-6)
