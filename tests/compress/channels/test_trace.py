"""Traces: operators with the network's own names; the network stays as it was."""

import paddle
import pytest
from paddle import nn

from mobileseg.compress.channels.trace import trace
from mobileseg.errors import CompressionError
from mobileseg.nn.width import shapes_of
from tests.compress.networks import build, image, outputs


class Branching(nn.Layer):
    def forward(self, x):
        return x if float(x.mean()) > 0 else -x


class Small(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2D(3, 4, 3, padding=1)
        self.drop = nn.Dropout2D(0.5)
        self.norm = nn.BatchNorm2D(4)
        self.aux = nn.Conv2D(4, 2, 1)

    def forward(self, x):
        x = self.norm(self.drop(self.first(x)))
        return {"x": x, "aux": self.aux(x)} if self.training else {"x": x}


def test_parameters_bear_the_names_of_the_state_dict():
    network = Small()
    graph = trace(network)
    shapes = shapes_of(network)
    assert set(graph.parameters.values()) == set(shapes)
    assert all(list(graph.shapes[variable]) == shapes[name] for variable, name in graph.parameters.items())
    assert [op.type for op in graph.ops].count("conv2d") == 2
    assert {graph.shapes[name] for name in graph.outputs} == {(1, 4, 64, 96), (1, 2, 64, 96)}


def test_evaluation_leaves_out_what_only_training_computes():
    graph = trace(Small(), training=False)
    assert "aux.weight" not in graph.parameters.values()
    assert len(graph.outputs) == 1


def test_readers_and_writers():
    graph = trace(Small(), training=False)
    norm = next(op for op in graph.ops if op.type == "batch_norm")
    writer = graph.writers[norm.input("X")]
    assert norm in graph.readers[norm.input("X")]
    assert writer.type in ("conv2d", "elementwise_add", "dropout", "scale")
    assert graph.sole_reader(norm.input("X")) is norm
    assert graph.sole_reader(norm.output("Y")) is None  # the network returns it


@pytest.mark.parametrize("training", [True, False])
def test_the_network_stays_as_it_was(training):
    network = build("MobileNetV2_x0_5")
    before = outputs(network, image())
    network.train() if training else network.eval()
    layer = network.sublayers()[5]
    layer.training = not training
    trace(network)
    assert network.training is training
    assert layer.training is (not training)
    assert all("forward" not in vars(one) for one in network.sublayers(include_self=True))
    after = outputs(network, image())
    assert all((before[name] == after[name]).all() for name in before)


def test_a_forward_that_depends_on_data_is_an_error():
    with pytest.raises(CompressionError, match="Paddle cannot trace the network at 64x96"):
        trace(Branching())
    assert paddle.in_dynamic_mode()
