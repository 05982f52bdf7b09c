"""What a run reports, and where."""

import builtins
import io
import json

import paddle
import pytest
from visualdl import LogReader

from mobileseg.errors import DependencyError
from mobileseg.training import logs
from mobileseg.training.logs import RunLog, RunningMeans, clock
from mobileseg.viz.history import read_log

pytestmark = pytest.mark.both

VALUES = {"iter": 20, "loss": 1.25, "lr": 0.01, "images_per_s": 8.0, "data_wait": 0.031, "eta": 3725.0}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_meter_measures_the_interval(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(logs.time, "perf_counter", lambda: now[0])
    meter = RunningMeans()
    for value in (1.0, 3.0):
        now[0] += 2.0
        meter.add({"a": paddle.to_tensor(value), "b": paddle.to_tensor([10 * value])}, waited=0.1)
    assert meter.names() == ["a", "b"]
    assert meter.means().tolist() == [2.0, 20.0]
    speed = meter.speed(images_per_iteration=8)
    assert speed == {
        "images_per_s": pytest.approx(4.0),
        "data_wait": pytest.approx(0.05),
        "seconds": pytest.approx(2.0),
    }
    meter.reset()
    assert meter.names() == []


def test_plain_lines_where_there_is_no_terminal(tmp_path):
    stream = io.StringIO()
    log = RunLog(tmp_path, 100, stream=stream)
    log.start(0)
    log.advance()
    log.train(VALUES)
    log.close()
    assert stream.getvalue() == (
        "[train] 20/100  loss 1.2500  lr 0.010000  8.0 images/s  waiting for data 3.1 %  ETA 1:02:05\n"
    )
    assert json.loads((tmp_path / "log.jsonl").read_text()) == {"event": "train", **VALUES}


def test_bar_on_a_terminal(tmp_path):
    stream = Terminal()
    log = RunLog(tmp_path, 100, stream=stream)
    log.start(19)
    log.advance()
    log.train(VALUES)
    log.say("between")
    log.close()
    assert "20/100" in stream.getvalue()
    assert "loss 1.2500" in stream.getvalue()
    assert "between\n" in stream.getvalue()


def test_other_processes_are_silent(tmp_path):
    stream = io.StringIO()
    log = RunLog(tmp_path, 100, active=False, visualdl=True, stream=stream)
    log.start(0)
    log.train(VALUES)
    log.close()
    assert stream.getvalue() == ""
    assert list(tmp_path.iterdir()) == []


def test_visualdl_records(tmp_path):
    log = RunLog(tmp_path, 100, visualdl=True, stream=io.StringIO())
    log.train(VALUES)
    log.event("eval", iter=20, miou=0.5, class_iou=[0.5, None])
    log.close()
    reader = LogReader(file_path=str(next((tmp_path / "vdl").iterdir())))
    for tag, value in [("train/loss", 1.25), ("train/images_per_s", 8.0), ("eval/miou", 0.5)]:
        assert [(row.id, row.value) for row in reader.get_data("scalar", tag)] == [(20, value)]


def test_visualdl_that_is_not_installed(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "visualdl":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DependencyError, match="visualdl"):
        RunLog(tmp_path, 100, visualdl=True, stream=io.StringIO())


def test_log_is_one_history_after_a_kill_and_a_resume(tmp_path):
    first = RunLog(tmp_path, 100, stream=io.StringIO())
    for number in (10, 20, 30):
        first.event("train", iter=number, loss=float("nan") if number == 10 else 1.0)
    first.close()
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"event": "train", "it')  # killed in the middle of a line
    second = RunLog(tmp_path, 100, stream=io.StringIO())
    second.event("resume", iter=20)
    second.event("train", iter=30, loss=2.0)
    second.close()
    events = read_log(tmp_path)
    assert [(event["event"], event["iter"]) for event in events] == [
        ("train", 10),
        ("train", 20),
        ("resume", 20),
        ("train", 30),
    ]
    assert events[0]["loss"] is None
    assert events[-1]["loss"] == 2.0
    assert read_log(tmp_path / "nowhere") == []


def test_clock():
    assert [clock(seconds) for seconds in (0, 59.6, 3599, 36000)] == ["0:00:00", "0:01:00", "0:59:59", "10:00:00"]
