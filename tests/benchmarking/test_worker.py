from pathlib import Path

import cv2
import pytest

from mobileseg.benchmarking.benchmark import synthetic_image
from mobileseg.benchmarking.worker import TASKS
from mobileseg.errors import DataError, RuntimeEngineError
from tests.runtime.artefacts import artefact
from tests.runtime.instance_artefacts import instance_artefact


@pytest.fixture(autouse=True)
def _threads():
    """The worker sets OpenCV's threads for its process, which here is the test's."""
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def opened(folder: Path, image: Path) -> dict:
    return TASKS["open"]({"folder": str(folder), "engine": "auto", "threads": 1, "image": str(image)})


def test_it_says_what_it_runs_then_answers_each_request(tmp_path: Path) -> None:
    artefact(tmp_path / "model", dynamic=True)
    synthetic_image(tmp_path / "a.jpg", (20, 30))
    facts = opened(tmp_path / "model", tmp_path / "a.jpg")
    assert (facts["name"], facts["engine"], facts["input"]) == ("colours", "onnxruntime", "dynamic")
    answers = [TASKS["run"]({"count": count}) for count in (2, 0, 1)]
    assert [len(answer["runs"]) for answer in answers] == [2, 0, 1]
    assert set(answers[0]["runs"][0]) == {"decode", "preprocess", "inference", "postprocess", "draw"}
    assert cv2.getNumThreads() == 1


def test_networks_that_find_objects_have_the_same_stages(tmp_path: Path) -> None:
    instance_artefact(tmp_path / "model")
    synthetic_image(tmp_path / "a.jpg", (64, 96))
    assert opened(tmp_path / "model", tmp_path / "a.jpg")["input"] == "48x32"
    assert set(TASKS["run"]({"count": 1})["runs"][0]) == {"decode", "preprocess", "inference", "postprocess", "draw"}


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeEngineError):
        opened(tmp_path / "nowhere", tmp_path / "a.jpg")
    artefact(tmp_path / "model")
    opened(tmp_path / "model", tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg"):
        TASKS["run"]({"count": 1})
