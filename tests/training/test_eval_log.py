"""What is logged of an evaluation, and best scores of older checkpoints."""

from mobileseg.training.eval_log import best_of_state, eval_event, eval_text

LABELS = {"metric": "mIoU", "score": 0.5, "miou": 0.5, "accuracy": 0.75, "images": 4, "seconds": 1.5, "matrix": [[1]]}
INSTANCES = {
    "metric": "mask AP",
    "score": 0.25,
    "mask": {"ap": 0.25, "ap50": 0.5},
    "box": {"ap": 0.3, "ap50": None},
    "class_ap": {"person": {"mask_ap": 0.25}},
    "images": 4,
    "seconds": 2.0,
    "detections": 7,
}


def test_events_have_what_decides_and_the_scores_of_the_task():
    assert eval_event(LABELS) == {key: value for key, value in LABELS.items() if key != "matrix"}
    assert eval_event(INSTANCES) == {key: value for key, value in INSTANCES.items() if key != "detections"}


def test_text_begins_with_what_decides():
    assert eval_text(LABELS) == "mIoU 0.5000  accuracy 0.7500  1.5 s"
    assert eval_text(INSTANCES) == "mask AP 0.2500  AP50 0.5000  box AP 0.3000  2.0 s"


def test_scores_that_are_not_there_are_shown_as_zero():
    assert eval_text(LABELS | {"accuracy": None}) == "mIoU 0.5000  accuracy 0.0000  1.5 s"


def test_best_scores_of_all_versions():
    assert best_of_state(None) is None
    assert best_of_state({"miou": 0.4, "iteration": 8}) == {"metric": "mIoU", "score": 0.4, "iteration": 8}
    new = {"metric": "mask AP", "score": 0.4, "iteration": 8}
    assert best_of_state(new) == new
