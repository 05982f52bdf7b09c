from functools import partial

import numpy as np
import paddle
import pytest

from mobileseg.compress.precision.analyse import analyse, layer_noise, render
from mobileseg.compress.precision.scores import Evaluation
from mobileseg.compress.precision.simulate import Simulation
from tests.compress.precision.small import images, run
from tests.compress.precision.truth import SETTINGS, OwnTruth

BAD = "backbone.down.0"


@pytest.fixture
def evaluation(prepared, ranges):
    """One layer has a range that is a hundred times too large."""
    limits = {layer: list(ranges.inputs_of(layer)) for layer in ranges.layers}
    limits[BAD] = [100 * limit for limit in limits[BAD]]
    simulation = Simulation(prepared.network, limits)
    yield Evaluation(simulation, SETTINGS, OwnTruth(prepared.network))
    simulation.close()


def runs(network, count=3):
    return [partial(run, network, image) for image in images(count)]


def test_noise_is_that_of_the_layer_alone(prepared, ranges, evaluation):
    found = layer_noise(evaluation.simulation, ranges.layers, runs(prepared.network, 2))
    assert min(found, key=found.__getitem__) == BAD
    assert found[BAD] < 10 < 25 < found["backbone.linear.0"]
    power = noise = 0.0
    layer = prepared.network.backbone.stem[0]
    for image in images(2):
        x = paddle.to_tensor(image[None])
        with paddle.no_grad():
            exact = layer(x).numpy()
            error = evaluation.simulation.int8_result("backbone.stem.0", 0, x).numpy() - exact
        power, noise = power + (exact**2).sum(), noise + (error**2).sum()
    assert found["backbone.stem.0"] == pytest.approx(10 * np.log10(power / noise), abs=1e-3)


def test_the_harmful_layer_is_left_in_float(prepared, ranges, evaluation):
    said = []
    found = analyse(
        evaluation, ranges.layers, runs(prepared.network), allowed=0.1, candidates=3, automatic=True, say=said.append
    )
    assert found.float_score == 1.0
    assert found.keep[0] == BAD
    assert found.score > found.int8_score
    assert [row.layer for row in found.layers if row.gain is not None] == [row.layer for row in found.layers[:3]]
    table = render(found)
    assert f"left in float: {BAD}" in table
    assert "SQNR dB" in table
    assert found.to_dict()["layers"][0]["layer"] == BAD


def test_nothing_is_left_in_float_when_the_loss_is_allowed_or_it_is_not_wanted(prepared, ranges, evaluation):
    options = {"candidates": 1, "say": lambda _line: None}
    assert analyse(evaluation, ranges.layers, runs(prepared.network), allowed=1.0, automatic=True, **options).keep == ()
    assert (
        analyse(evaluation, ranges.layers, runs(prepared.network), allowed=0.0, automatic=False, **options).keep == ()
    )
