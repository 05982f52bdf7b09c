"""COCO's numbers against their definition and, for every backend, against what pycocotools itself prints."""

import contextlib
import copy
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mobileseg.errors import DependencyError
from mobileseg.instance import metric_coco
from mobileseg.instance.metric import coco_entries
from mobileseg.instance.metric_coco import BACKENDS, choose_backend, measure
from tests.instance.average_precision import curve, twelve
from tests.instance.scenes import CATEGORY_IDS, Things, scenes

pytestmark = pytest.mark.both


def entries(dataset, found):
    return [
        entry
        for index, things in enumerate(found)
        for entry in coco_entries(things.result(), dataset.image_id(index), CATEGORY_IDS)
    ]


def reference(truth, results, kind):
    """pycocotools used as its manual says, on ids that it can bear; masks are judged by their own area."""
    for number, annotation in enumerate(truth["annotations"]):
        annotation["id"] = number + 1
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = {"info": {}, **truth}
        ground.createIndex()
        parts = [{k: v for k, v in one.items() if kind == "bbox" or k != "bbox"} for one in copy.deepcopy(results)]
        evaluation = COCOeval(ground, ground.loadRes(parts), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["segm", "bbox"])
@pytest.mark.parametrize("seed", range(3))
def test_the_twelve_numbers_follow_the_definition(backend, kind, seed):
    dataset, found = scenes(seed)
    numbers = measure(dataset.coco_ground_truth(), entries(dataset, found), kind, backend).numbers()
    expected = twelve(dataset.images, found, kind)
    assert list(numbers) == list(expected)
    assert 0.02 < expected["ap"] < expected["ap50"] < 1
    assert numbers == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_the_order_is_that_of_cocos_summary(backend, kind):
    dataset, found = scenes(4, count=9)
    results = entries(dataset, found)
    numbers = measure(dataset.coco_ground_truth(), results, kind, backend).numbers()
    stats = [-1 if value is None else value for value in numbers.values()]
    np.testing.assert_allclose(stats, reference(dataset.coco_ground_truth(), results, kind), atol=1e-12)


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@pytest.mark.parametrize("seed", [5, 6])
def test_backends_give_equal_curves(kind, seed):
    """Not only the means: every point of every curve."""
    dataset, found = scenes(seed, count=8, noise=40)
    curves = [measure(dataset.coco_ground_truth(), entries(dataset, found), kind, name) for name in BACKENDS]
    np.testing.assert_allclose(curves[0].precision, curves[1].precision, atol=1e-12)
    np.testing.assert_allclose(curves[0].recall, curves[1].recall, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_equal_scores(backend):
    """Ties are taken in the order of the detections, by both."""
    dataset, found = scenes(7)
    for things in found:
        things.scores[:] = np.round(things.scores, 1)
    results = entries(dataset, found)
    numbers = measure(dataset.coco_ground_truth(), results, "segm", backend).numbers()
    stats = [-1 if value is None else value for value in numbers.values()]
    np.testing.assert_allclose(stats, reference(dataset.coco_ground_truth(), results, "segm"), atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ap_of_a_class(backend):
    dataset, found = scenes(1)
    curves = measure(dataset.coco_ground_truth(), entries(dataset, found), "segm", backend)
    order = sorted(CATEGORY_IDS)
    for label, number in enumerate(CATEGORY_IDS):
        ap50, _ = curve(dataset.images, found, "segm", label, 0.5, (0, 1e10), 100)
        assert curves.class_ap(order.index(number), 0) == pytest.approx(ap50, abs=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_detections(backend):
    dataset, _ = scenes()
    for kind in ("segm", "bbox"):
        numbers = measure(dataset.coco_ground_truth(), [], kind, backend).numbers()
        assert set(numbers.values()) <= {0.0, None}
        assert numbers["ap"] == 0.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_objects(backend):
    dataset, found = scenes()
    results = entries(dataset, found)
    dataset.images = [Things.empty(image.masks.shape[1:]) for image in dataset.images]
    for kind in ("segm", "bbox"):
        numbers = measure(dataset.coco_ground_truth(), results, kind, backend).numbers()
        assert set(numbers.values()) == {None}


@pytest.mark.parametrize("backend", BACKENDS)
def test_objects_that_are_found_exactly(backend):
    """Crowd regions need not be found and do no harm; the first object has id 0."""
    dataset, _ = scenes()
    for things in dataset.images:
        things.scores = np.linspace(0.9, 0.5, len(things.classes))
    results = entries(dataset, dataset.images)
    for kind in ("segm", "bbox"):
        numbers = measure(dataset.coco_ground_truth(), results, kind, backend).numbers()
        assert numbers["ap"] == pytest.approx(1.0)
        assert numbers["ar100"] == pytest.approx(1.0)


def test_the_input_is_left_as_it_was():
    dataset, found = scenes()
    truth, results = dataset.coco_ground_truth(), entries(dataset, found)
    before = copy.deepcopy((truth, results))
    for backend in BACKENDS:
        for kind in ("segm", "bbox"):
            measure(truth, results, kind, backend)
    assert (truth, results) == before


def test_choice_of_the_backend(monkeypatch):
    assert choose_backend() == "faster-coco-eval"
    assert choose_backend("pycocotools") == "pycocotools"
    with pytest.raises(ValueError, match="detectron"):
        choose_backend("detectron")
    monkeypatch.setattr(metric_coco, "find_spec", lambda name: None if name == "faster_coco_eval" else object())
    assert choose_backend() == "pycocotools"
    with pytest.raises(DependencyError, match="faster-coco-eval"):
        choose_backend("faster-coco-eval")
