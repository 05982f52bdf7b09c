import io
import json
from pathlib import Path

import cv2
import pytest

from mobileseg.benchmarking.benchmark import generated_picture
from mobileseg.benchmarking.worker import serve
from tests.runtime.artefacts import artefact
from tests.runtime.instance_artefacts import instance_artefact


@pytest.fixture(autouse=True)
def _threads():
    """The worker sets OpenCV's threads for its process, which here is the test's."""
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def answers(*arguments: str, requests: str = "") -> tuple[int, list[dict]]:
    written = io.StringIO()
    code = serve(list(arguments), io.StringIO(requests), written)
    return code, [json.loads(line) for line in written.getvalue().splitlines()]


def test_it_says_what_it_runs_then_answers_each_request(tmp_path: Path) -> None:
    artefact(tmp_path / "model", dynamic=True)
    generated_picture(tmp_path / "a.jpg", (20, 30))
    code, lines = answers(str(tmp_path / "model"), "auto", "1", str(tmp_path / "a.jpg"), requests="2\n0\n1\n")
    assert code == 0
    assert (lines[0]["name"], lines[0]["engine"], lines[0]["input"]) == ("colours", "onnxruntime", "dynamic")
    assert [len(line["runs"]) for line in lines[1:]] == [2, 0, 1]
    assert set(lines[1]["runs"][0]) == {"decode", "preprocess", "inference", "postprocess", "draw"}
    assert cv2.getNumThreads() == 1


def test_networks_that_find_objects_have_the_same_stages(tmp_path: Path) -> None:
    instance_artefact(tmp_path / "model")
    generated_picture(tmp_path / "a.jpg", (64, 96))
    code, lines = answers(str(tmp_path / "model"), "auto", "1", str(tmp_path / "a.jpg"), requests="1\n")
    assert (code, lines[0]["input"]) == (0, "48x32")
    assert set(lines[1]["runs"][0]) == {"decode", "preprocess", "inference", "postprocess", "draw"}


def test_errors_are_answers(tmp_path: Path) -> None:
    code, lines = answers(str(tmp_path / "nowhere"), "auto", "1", "a.jpg")
    assert code == 7
    assert lines[0]["kind"] == "RuntimeEngineError"
    artefact(tmp_path / "model")
    code, lines = answers(str(tmp_path / "model"), "auto", "1", str(tmp_path / "a.jpg"), requests="1\n")
    assert code == 3
    assert "a.jpg" in lines[1]["error"]
