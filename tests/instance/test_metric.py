"""Scores of instances through the evaluator: shares of several processes, sizes, classes, tables."""

import json

import numpy as np
import pytest

from mobileseg.errors import DataError
from mobileseg.instance.metric import CocoScorer, coco_entries
from mobileseg.instance.metric_table import render
from mobileseg.training.evaluator import evaluate
from tests.instance.average_precision import mean_over, twelve
from tests.instance.detections import Images, predictor
from tests.instance.scenes import CATEGORY_IDS, Things, scenes

pytestmark = pytest.mark.both


@pytest.fixture(scope="module")
def example():
    dataset, found = scenes(2)
    return Images(dataset.images), found


@pytest.fixture(scope="module")
def scores(example):
    dataset, found = example
    return evaluate(predictor(found), dataset, num_workers=2)


def test_scores(example, scores):
    dataset, found = example
    assert scores["mask"] == pytest.approx(twelve(dataset.images, found, "segm"), abs=1e-9)
    assert scores["box"] == pytest.approx(twelve(dataset.images, found, "bbox"), abs=1e-9)
    assert (scores["metric"], scores["score"]) == ("mask AP", scores["mask"]["ap"])
    assert scores["images"] == 6
    assert scores["classes"] == ["cat", "dog", "kite"]
    assert scores["detections"] == sum(len(things.scores) for things in found)
    real = np.concatenate([things.classes[~things.crowd] for things in dataset.images])
    assert scores["class_objects"] == [int((real == label).sum()) for label in range(3)]
    assert json.loads(json.dumps(scores.to_dict())) == scores.to_dict()


def test_ap_by_class_is_that_of_its_name(example, scores):
    """Ids are neither sorted nor contiguous."""
    dataset, found = example
    thresholds = np.linspace(0.5, 0.95, 10)
    for label, name in enumerate(dataset.classes):
        row = scores["class_ap"][name]
        for key, kind, levels in (
            ("mask_ap", "segm", thresholds),
            ("mask_ap50", "segm", [0.5]),
            ("box_ap", "bbox", thresholds),
        ):
            expected = mean_over(dataset.images, found, kind, levels, "all", 100, 0, classes=(label,))
            assert row[key] == pytest.approx(expected, abs=1e-9)
    values = [row["mask_ap"] for row in scores["class_ap"].values()]
    assert len(set(values)) == 3
    assert np.mean(values) == pytest.approx(scores["mask"]["ap"])


class Share:
    """One of several processes, run one after the other; ``answers`` are what all of them say in the end."""

    def __init__(self, rank, count, answers):
        self.rank, self.count, self.answers = rank, count, answers

    def gather(self, message):
        assert isinstance(message, bytes)
        self.answers[self.rank] = message
        return [self.answers[rank] for rank in sorted(self.answers)]


@pytest.mark.parametrize("count", [2, 4, 7])
def test_shares_add_up(example, scores, count):
    """Also with more processes than images."""
    dataset, found = example
    answers = {}
    for rank in reversed(range(count)):
        last = evaluate(predictor(found), dataset, processes=Share(rank, count, answers))
    assert len(answers) == count
    for key in ("mask", "box", "class_ap", "detections", "class_objects"):
        assert last[key] == scores[key]


def test_results_can_be_written_and_are_not_rounded(example):
    dataset, found = example
    scorer = CocoScorer(dataset)
    evaluate(predictor(found), dataset, scorer=scorer)
    results = json.loads(json.dumps(scorer.results()))
    first = found[0].result()
    assert results[: len(first.scores)] == coco_entries(first, 1000, CATEGORY_IDS)
    box = first.boxes[0].astype(float)
    np.testing.assert_array_equal(results[0]["bbox"], [box[0], box[1], box[2] - box[0], box[3] - box[1]])
    assert results[0]["score"] == float(first.scores[0])
    assert results[0]["category_id"] == CATEGORY_IDS[first.classes[0]]
    assert isinstance(results[0]["segmentation"]["counts"], str)


def test_masks_of_another_size_are_refused(example):
    dataset, found = example
    with pytest.raises(DataError, match=r"000\.jpg \(image id 1000\) is 160x128.* annotated as 160x120"):
        evaluate(lambda sample: found[1].result(), dataset)


def test_a_class_that_the_dataset_has_not(example):
    dataset, found = example
    strange = Things(**{**vars(found[0]), "classes": found[0].classes + 3})
    with pytest.raises(DataError, match=r"class 5 was found in 000\.jpg, the dataset has 3 classes"):
        evaluate(lambda sample: strange.result(), dataset)


def test_a_class_without_objects_is_absent(example):
    dataset, found = example
    images = []
    for image in dataset.images:
        keep = image.classes != 1
        fields = (image.boxes, image.masks, image.classes, image.scores, image.crowd)
        images.append(Things(*(values[keep] for values in fields)))
    scores = evaluate(predictor(found), Images(images))
    assert scores["class_ap"]["dog"] == {"mask_ap": None, "mask_ap50": None, "box_ap": None}
    others = [scores["class_ap"][name]["mask_ap"] for name in ("cat", "kite")]
    assert scores["mask"]["ap"] == pytest.approx(np.mean(others))
    line = next(line for line in render(scores).splitlines() if line.startswith("dog"))
    assert line.split() == ["dog", "-", "-", "-", "0", "absent"]


def test_nothing_to_find_and_nothing_found(example):
    dataset, found = example
    empty = [Things.empty(image.masks.shape[1:]) for image in dataset.images]
    scores = evaluate(predictor(found), Images(empty))
    assert scores["mask"]["ap"] is None
    assert scores["score"] == 0.0
    scores = evaluate(predictor(empty), dataset)
    assert (scores["score"], scores["detections"]) == (0.0, 0)
    assert scores["class_ap"]["cat"]["mask_ap"] == 0.0
    with pytest.raises(DataError, match="empty"):
        evaluate(predictor([]), Images([]))


def test_table_states_ap50_apart(scores):
    text = scores.table
    assert (
        f"mask AP (IoU .50:.95) {scores['mask']['ap']:.4f}   mask AP50 (IoU .50 alone) {scores['mask']['ap50']:.4f}"
        in text
    )
    assert (
        f"box AP (IoU .50:.95) {scores['box']['ap']:.4f}   box AP50 (IoU .50 alone) {scores['box']['ap50']:.4f}" in text
    )
    row = next(line for line in text.splitlines() if line.startswith("mask "))
    assert row.split()[1:] == [f"{value:.4f}" if value is not None else "-" for value in scores["mask"].values()]
