"""The predictor of a network is that of its task."""

from pathlib import Path

import paddle
import pytest

from mobileseg.config.plugins import load_file
from mobileseg.errors import ConfigError
from mobileseg.instance.predictor import InstancePredictor
from mobileseg.registry import NETWORKS
from mobileseg.semantic.predictor import NetworkPredictor
from mobileseg.training.predictors import make_predictor

pytestmark = pytest.mark.both

QUIET = {"aug_eval": False, "is_slide": False}
SETTINGS = {"test_config": QUIET, "detection": {"top_k": 7}}


@pytest.fixture(scope="module")
def detector():
    load_file(Path(__file__).parent / "toy_detector.py")
    return NETWORKS.get("ToyDetector")()


def test_network_that_finds_objects(detector):
    found = make_predictor(detector, SETTINGS)
    assert isinstance(found, InstancePredictor)
    assert found.options.top_k == 7


def test_network_that_does_not_say_its_task_is_an_error():
    with pytest.raises(ConfigError, match="Linear does not say which task it is for"):
        make_predictor(paddle.nn.Linear(1, 1), SETTINGS)


def test_network_that_labels_pixels():
    network = paddle.nn.Linear(1, 1)
    network.task = "semantic"
    found = make_predictor(network, SETTINGS, {"flip_vertical": True})
    assert isinstance(found, NetworkPredictor)
    assert found.options.flip_vertical


@pytest.mark.parametrize("key", QUIET)
def test_views_of_objects_are_refused_wherever_they_stand(detector, key):
    views = {**QUIET, key: True}
    with pytest.raises(ConfigError, match=key):
        make_predictor(detector, {**SETTINGS, "test_config": views})
    with pytest.raises(ConfigError, match=key):
        make_predictor(detector, SETTINGS, views)
    make_predictor(detector, {**SETTINGS, "test_config": views}, QUIET)
