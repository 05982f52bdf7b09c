import pytest

from mobileseg.compress.precision.scores import Evaluation, OutOfTime
from mobileseg.compress.precision.simulate import Simulation
from mobileseg.nn.components import component_paths
from mobileseg.semantic.predictor import NetworkPredictor
from mobileseg.training.evaluator import evaluate
from tests.compress.precision.truth import SETTINGS, OwnTruth


@pytest.fixture
def evaluation(prepared, ranges):
    dataset = OwnTruth(prepared.network)
    simulation = Simulation(prepared.network, {layer: ranges.inputs_of(layer) for layer in ranges.layers})
    yield Evaluation(simulation, SETTINGS, dataset)
    simulation.close()


def test_scores_are_those_of_each_variant_evaluated_alone(prepared, evaluation):
    variants = [{}, {"backbone": "int8"}, {"heads": "int8"}, {"backbone": "int8", "heads": "int8"}, {"heads": "fp16"}]
    together = [scores["score"] for scores in evaluation.scores(variants)]
    assert together[0] == 1.0
    assert max(together[1:4]) < 1.0
    for variant, score in zip(variants, together, strict=True):
        evaluation.simulation.set(variant)
        alone = evaluate(NetworkPredictor(prepared.network), evaluation.dataset)
        assert alone["score"] == pytest.approx(score, abs=1e-9)


def test_the_time_of_all_images_is_known_after_the_first_ones(evaluation):
    done = []
    with pytest.raises(OutOfTime) as caught:
        evaluation.scores([{}], time_limit=1e-9, progress=lambda image, _: done.append(image))
    assert done == [1, 2]
    assert caught.value.seconds > 0
    assert evaluation.scores([{}])[0]["score"] == 1.0  # nothing is left behind


def test_components_by_path(prepared):
    assert component_paths(prepared.network) == {"backbone": ("backbone",), "head": ("heads",)}
