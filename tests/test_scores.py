"""Scores as one object."""

import json
from dataclasses import replace

import pytest

from mobileseg.scores import Scores

LABELS = Scores(
    "mIoU", 0.5, {"accuracy": 0.75}, {"miou": 0.5, "accuracy": 0.75, "matrix": [[1]]}, ("miou", "accuracy"), "table"
)
INSTANCES = Scores(
    "mask AP",
    0.25,
    {"mask AP50": 0.5, "box AP": None},
    {"mask": {"ap": 0.25}, "box": {"ap": None}, "detections": 7},
    ("mask", "box"),
)


def test_what_is_kept_has_the_values_beside_what_decides():
    done = replace(LABELS, images=4, seconds=1.5)
    expected = {"metric": "mIoU", "score": 0.5, "miou": 0.5, "accuracy": 0.75, "matrix": [[1]]}
    assert done.to_dict() == dict(done) == expected | {"images": 4, "seconds": 1.5}
    assert json.loads(json.dumps(done.to_dict())) == done.to_dict()


def test_events_have_what_decides_and_what_the_task_logs():
    counts = {"images": 0, "seconds": 0.0}
    assert LABELS.event() == {"metric": "mIoU", "score": 0.5, "miou": 0.5, "accuracy": 0.75} | counts
    assert "detections" not in INSTANCES.event()
    assert INSTANCES.event()["box"] == {"ap": None}


def test_the_line_begins_with_what_decides_and_shows_what_is_not_there_as_zero():
    assert replace(LABELS, seconds=1.5).headline == "mIoU 0.5000  accuracy 0.7500  1.5 s"
    assert INSTANCES.headline == "mask AP 0.2500  mask AP50 0.5000  box AP 0.0000  0.0 s"
    assert list(INSTANCES.named()) == ["mask AP", "mask AP50", "box AP"]


def test_scores_cannot_be_changed():
    with pytest.raises(TypeError):
        LABELS["miou"] = 1.0
