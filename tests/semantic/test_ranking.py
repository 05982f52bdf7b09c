"""Areas under the ROC curve against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mobileseg.semantic.ranking import RankingScore

pytestmark = pytest.mark.both


def test_against_scikit_learn_over_several_images():
    rng = np.random.default_rng(0)
    ranking, everything = RankingScore(3, ignore_index=255), []
    for _ in range(3):
        scores = rng.dirichlet([1, 2, 3], (20, 30)).transpose(2, 0, 1).astype(np.float32)
        label = np.where(rng.random((20, 30)) < 0.6, scores.argmax(0), rng.integers(0, 3, (20, 30)))
        label[rng.random(label.shape) < 0.1] = 255
        ranking.update(scores, label)
        everything.append((scores.reshape(3, -1), label.ravel()))
    scores = np.concatenate([one for one, _ in everything], axis=1)
    label = np.concatenate([one for _, one in everything])
    kept = label != 255
    expected = [roc_auc_score(label[kept] == index, scores[index][kept]) for index in range(3)]
    np.testing.assert_allclose(ranking.areas(), expected, atol=1e-4)
    assert ranking.summary()["auc_roc"] == pytest.approx(np.mean(expected), abs=1e-4)


def test_equal_scores_count_half():
    ranking = RankingScore(2)
    ranking.update(np.full((2, 4, 4), 0.5), np.eye(4, dtype=np.uint8))
    assert ranking.areas().tolist() == [0.5, 0.5]


def test_a_class_that_does_not_occur_has_no_area():
    ranking = RankingScore(2)
    assert ranking.summary() == {"auc_roc": None, "class_auc_roc": [None, None]}
    ranking.update(np.ones((2, 2, 2)), np.zeros((2, 2), np.uint8))
    assert ranking.summary()["auc_roc"] is None
