"""Two exports of one network in turns: what a side answers, what is made of the answers, and both sides at once."""

import io
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.tools.small_network import CONFIG
from tools.compare_deployment import Side, table, take_turns
from tools.deployment_worker import serve

ROOT = Path(__file__).parents[2]


class Answers:
    """A side without a process, which takes a fixed time for a run and has labels of its own."""

    def __init__(self, name, milliseconds, labels, order):
        self.name, self.times, self.labels = name, {}, None
        self.milliseconds, self.own, self.order = milliseconds, labels, order

    def ask(self, question):
        if question["labels"]:
            np.save(question["labels"], self.own)
        else:
            self.order.append(self.name)
        times = [self.milliseconds] * question["runs"]
        return {"wall": times, "cpu": [time / 2 for time in times]}


def test_a_side_answers_with_a_time_for_every_run_and_its_labels(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (4, 6, 3)).astype(np.uint8)
    np.save(tmp_path / "image.npy", image)
    question = {"image": str(tmp_path / "image.npy"), "runs": 3, "labels": None}
    asked = [question, question | {"runs": 1, "labels": str(tmp_path / "labels.npy")}]
    written = io.StringIO()
    serve(lambda given: given[..., 0], io.StringIO("".join(json.dumps(one) + "\n" for one in asked)), written)
    ready, first, second = map(json.loads, written.getvalue().splitlines())
    assert ready == {"ready": True}
    assert [len(one[clock]) for one in (first, second) for clock in ("wall", "cpu")] == [3, 3, 1, 1]
    assert min(first["wall"]) > 0
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), image[..., 0])


def test_sides_take_turns_in_both_orders_and_the_first_runs_do_not_count(tmp_path):
    order = []
    sides = [Answers("a", 6.0, np.zeros((2, 2)), order), Answers("b", 2.0, np.eye(2), order)]
    take_turns(sides, tmp_path / "image.npy", turns=4, runs=2, folder=tmp_path)
    assert order == ["b", "a", "a", "b"] * 2
    assert sides[0].times == {"wall": [[6.0, 6.0]] * 4, "cpu": [[3.0, 3.0]] * 4}
    rows = table(sides[0], sides[1:], (720, 1280))
    assert rows[0] == "| image 720x1280, classes in labels: 1 | clock | processor | labels equal |"
    assert rows[2:] == ["| b | 6.00 to 2.00 ms: 3.00 (3.00 to 3.00) | 3.00 to 1.00 ms: 3.00 (3.00 to 3.00) | 50.00% |"]


def test_ratios_are_those_of_turns():
    base, side = (Side(name, process=None) for name in ("base", "side"))
    base.times = {key: [[4.0], [8.0], [40.0]] for key in ("wall", "cpu")}  # the machine became slower, for both
    side.times = {key: [[2.0], [4.0], [10.0]] for key in ("wall", "cpu")}
    base.labels = side.labels = np.zeros((1, 1))
    assert "8.00 to 4.00 ms: 2.00 (2.00 to 3.00)" in table(base, [side], (1, 1))[2]


def test_a_side_that_dies_is_an_error():
    process = subprocess.Popen(
        [sys.executable, "-c", "raise SystemExit(3)"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process, pytest.raises(SystemExit, match="a side ended with 3"):
        Side("a side", process).ask()


@pytest.mark.skipif(find_spec("paddleseg") is None, reason="needs the paddleseg package")
def test_both_exports_answer_alike(tmp_path):
    (tmp_path / "config.yml").write_text(CONFIG)
    words = ["--paddleseg", sys.executable, "--config", str(tmp_path / "config.yml"), "--size", "32", "32"]
    words += ["--image_size", "32", "32", "--image_size", "40", "60", "--turns", "2", "--runs", "1"]
    call = [sys.executable, str(ROOT / "tools" / "compare_deployment.py"), *words]
    done = subprocess.run(call, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| onnxruntime")]
    assert len(rows) == 2
    assert float(rows[0].strip("| ").split("|")[-1].strip(" %")) > 99.0
