"""Real annotations: crowd regions, holes, small objects, ids with gaps; detections made from them."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mobileseg.data.formats.coco import CocoInstances
from mobileseg.instance.metric import CocoScorer
from mobileseg.instance.metric_coco import BACKENDS
from mobileseg.structures import InstanceMasks, InstanceResult


def detections(dataset, index):
    """What is annotated, moved by some pixels, sometimes of another class, with any score; and some of it twice."""
    rng = np.random.default_rng(index)
    truth = dataset.objects(index)
    rows = rng.permutation(np.repeat(np.arange(len(truth)), 2))[: max(1, len(truth) * 3 // 2)] if len(truth) else []
    masks = np.zeros((len(rows), *truth.size), bool)
    for mask, row in zip(masks, rows, strict=True):
        x1, y1, x2, y2 = truth.regions[row].box
        mask[y1:y2, x1:x2] = truth.regions[row].bitmap
        mask[:] = np.roll(mask, rng.integers(-4, 5, 2), (0, 1))
    classes = np.array([truth.classes[row] if rng.random() < 0.9 else rng.integers(0, 80) for row in rows], np.int64)
    scores = np.sort(rng.random(len(rows)).astype(np.float32))[::-1]
    boxes = np.array([truth.boxes[row] + rng.uniform(-4, 4, 4) for row in rows], np.float32).reshape(-1, 4)
    return InstanceResult(boxes, scores, classes, InstanceMasks.from_array(masks))


@pytest.fixture(scope="module")
def case(photos):
    """The validation part of the subset, its detections as COCO results, and what pycocotools says of them."""
    dataset = CocoInstances(str(photos / "coco"), mode="val")
    found = [detections(dataset, index) for index in range(len(dataset))]
    scorer = CocoScorer(dataset)
    for index, result in enumerate(found):
        scorer.update(index, None, result)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(photos / "coco" / "annotations" / "instances_val2017.json"))
        stats = {}
        for kind in ("segm", "bbox"):
            other = {"segm": "bbox", "bbox": "segmentation"}[kind]
            entries = [{key: value for key, value in entry.items() if key != other} for entry in scorer.results()]
            evaluation = COCOeval(truth, truth.loadRes(entries), kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            stats[kind] = evaluation.stats
    return dataset, found, stats


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_are_those_of_pycocotools_on_the_original_file(case, backend):
    dataset, found, stats = case
    scorer = CocoScorer(dataset, backend=backend)
    for index, result in enumerate(found):
        scorer.update(index, None, result)
    scores = scorer.scores()
    assert 0.2 < scores["mask"]["ap"] < 0.8
    np.testing.assert_allclose(list(scores["mask"].values()), stats["segm"], atol=1e-12)
    np.testing.assert_allclose(list(scores["box"].values()), stats["bbox"], atol=1e-12)
    assert scores["class_ap"]["toaster"]["mask_ap"] is None  # the subset has none
    assert scores["backend"] == backend
