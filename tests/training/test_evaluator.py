"""Scores against counting by hand."""

import numpy as np
import pytest

from mobileseg.data.sample import Sample
from mobileseg.errors import DataError
from mobileseg.structures import SemanticResult
from mobileseg.training.evaluator import SegmenterPredictor, evaluate, make_scorer

pytestmark = pytest.mark.both


class Images:
    """Seven images of different sizes; the value of the image is the class, with a little noise."""

    task = "semantic"
    classes = ("a", "b", "c")
    num_classes = 3
    ignore_index = 255

    def __init__(self, count=7, unlabelled=None):
        self.count, self.unlabelled = count, unlabelled

    def __len__(self):
        return self.count

    def sequences(self):
        return [(index,) for index in range(self.count)]

    def load(self, index):
        rng = np.random.default_rng(index)
        label = rng.integers(0, 2, (10 + index, 12)).astype(np.uint8)  # class c is in no label
        image = np.repeat(label[..., None], 3, axis=2).astype(np.float32)
        image[rng.random(label.shape) < 0.2] = 2
        label[:index] = 255
        return Sample(image, None if index == self.unlabelled else label, {"image_path": f"{index}.png"})

    def prepare(self, key):
        sample = self.load(key)
        sample.meta["prepared"] = True
        return sample


def read_off(sample):
    assert sample.meta["prepared"]
    return sample.image[..., 0].astype(np.uint8)


def brute_force(dataset):
    """IoU of every class by sets of pixels."""
    hit, union = np.zeros(3), np.zeros(3)
    for index in range(len(dataset)):
        sample = dataset.load(index)
        for c in range(3):
            scored = sample.label != 255
            truth, guess = (sample.label == c) & scored, (sample.image[..., 0] == c) & scored
            hit[c] += (truth & guess).sum()
            union[c] += (truth | guess).sum()
    return hit / union


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_scores_are_those_counted_by_hand(workers):
    seen = []
    scores = evaluate(read_off, Images(), num_workers=workers, progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(scores["class_iou"], brute_force(Images()))
    assert scores["miou"] == pytest.approx(brute_force(Images()).mean())
    assert scores["class_iou"][2] == 0.0  # predicted, but never true
    assert scores["images"] == 7
    assert seen == [(number, 7) for number in range(1, 8)]
    assert "boundary_iou" not in scores


def scored(dataset, **options):
    return evaluate(read_off, dataset, scorer=make_scorer(dataset, boundary=True), **options)


class Share:
    """One of several processes, run one after the other; ``sums`` are what the group would have answered."""

    def __init__(self, rank, count, sums=None):
        self.rank, self.count, self.sums, self.parts = rank, count, sums, []

    def sum_counts(self, counts):
        self.parts.append(counts.copy())
        return counts if self.sums is None else self.sums[len(self.parts) - 1]


def test_shards_add_up():
    whole = scored(Images())
    shares = [Share(rank, 3) for rank in range(3)]
    for share in shares:
        scored(Images(), processes=share)
    sums = [sum(arrays) for arrays in zip(*(share.parts for share in shares), strict=True)]
    again = scored(Images(), processes=Share(0, 3, sums))
    for key in ("class_iou", "accuracy", "kappa", "class_boundary_iou"):
        assert again[key] == whole[key]


def test_the_score_that_decides():
    scores = evaluate(read_off, Images())
    assert (scores["metric"], scores["score"]) == ("mIoU", scores["miou"])


def test_nothing_to_score_is_a_score_of_zero():
    class Ignored(Images):
        def load(self, index):
            sample = super().load(index)
            sample.label[:] = 255
            return sample

    scores = evaluate(read_off, Ignored())
    assert scores["miou"] is None
    assert scores["score"] == 0.0


def test_segmenter_receives_the_image_as_decoded():
    def segmenter(image):
        assert image.dtype == np.uint8
        assert image.shape[2] == 3
        return SemanticResult(image[..., 0].copy())

    scores = evaluate(SegmenterPredictor(segmenter), Images())
    np.testing.assert_allclose(scores["class_iou"], brute_force(Images()))


def test_prediction_of_another_size_is_refused():
    with pytest.raises(DataError, match="labels are never resized"):
        evaluate(lambda sample: np.zeros((5, 5), np.uint8), Images())


def test_image_without_a_label():
    with pytest.raises(DataError, match=r"3\.png has no label"):
        evaluate(read_off, Images(unlabelled=3), num_workers=2)


def test_empty_dataset():
    with pytest.raises(DataError, match="is empty"):
        evaluate(read_off, Images(count=0))
