"""Each known way in which an environment breaks is recognised; the environment of the tests is sound."""

import json
import signal
import subprocess
import sys

import pytest

from mobileseg.environment import report as environment
from mobileseg.environment.report import (
    EnvironmentFinding,
    check_environment,
    check_tensorrt,
    exit_code,
    render,
    run_selfcheck,
    to_dict,
)

SOUND = {
    "paddlepaddle": "2.6.2",
    "numpy": "1.26.4",
    "opencv-python": "4.6.0.66",
    "paddleslim": "2.6.0",
    "setuptools": "80.10.2",
    "paddlelite": "2.13rc0",
    "onnxruntime": "1.23.2",
    "paddle2onnx": "1.3.1",
}


@pytest.mark.parametrize(
    ("minor", "level"), [(9, "error"), (10, "ok"), (11, "ok"), (12, "ok"), (13, "ok"), (14, "error")]
)
def test_python(minor, level):
    assert environment.check_python((3, minor)).level == level


@pytest.mark.parametrize(
    ("changes", "level", "word"),
    [
        ({}, "ok", "2.6.2 (trains, exports and compresses)"),
        ({"paddlepaddle": None, "paddlepaddle-gpu": "2.6.2.post117"}, "ok", "gpu"),
        ({"paddlepaddle": "3.3.1"}, "ok", "3.3.1 (trains; exports in the converter environment)"),
        ({"paddlepaddle": "2.6.1"}, "warning", "tested are 2.6.2 and 3.3.1"),
        ({"paddlepaddle": "3.3.0"}, "warning", "tested are 2.6.2 and 3.3.1"),
        ({"paddlepaddle": "3.0.0"}, "error", "tested with 2.6.2 and 3.3.1"),
        ({"paddlepaddle": "3.4.0"}, "error", "tested with 2.6.2 and 3.3.1"),
        ({"paddlepaddle": "2.5.2"}, "error", "tested with 2.6.2 and 3.3.1"),
        ({"paddlepaddle": None}, "warning", "nothing trained"),
    ],
)
def test_paddle(changes, level, word):
    found = environment.check_paddle(changed(changes), (3, 10))
    assert found.level == level
    assert word in found.text
    assert bool(found.fix) == (level != "ok")


@pytest.mark.parametrize(("python", "wanted"), [((3, 10), "2.6.2"), ((3, 11), "3.3.1"), ((3, 13), "3.3.1")])
def test_a_missing_paddle_is_that_of_the_python(python, wanted):
    assert environment.check_paddle({}, python).fix == f"pip install paddlepaddle=={wanted}"


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, "ok"),
        ({"numpy": "2.0.0"}, "error"),
        ({"numpy": "2.2.6", "paddlepaddle": "3.1.0"}, "ok"),
        ({"numpy": "2.2.6", "paddlepaddle": None}, "ok"),
        ({"numpy": None}, "error"),
    ],
)
def test_numpy(changes, level):
    assert environment.check_numpy(changed(changes)).level == level


@pytest.mark.parametrize(
    ("owners", "level"),
    [
        (["opencv-python"], "ok"),
        (["opencv-python", "opencv-python"], "ok"),
        (["opencv-python", "opencv-python-headless"], "error"),
        (["opencv_contrib_python"], "ok"),
        ([], "error"),
    ],
)
def test_one_owner_of_cv2(owners, level):
    found = environment.check_opencv(owners, SOUND)
    assert found.level == level
    if len(set(owners)) > 1:
        assert "opencv-python-headless" in found.fix


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, "ok"),
        ({"setuptools": "81.0.0"}, "error"),
        ({"setuptools": None}, "error"),
        ({"setuptools": "84.2.1", "paddleslim": None}, "ok"),
        ({"setuptools": None, "paddleslim": None}, "ok"),
    ],
)
def test_setuptools_with_paddleslim(changes, level):
    assert environment.check_setuptools(changed(changes)).level == level


def test_lite_says_why_it_is_missing():
    assert environment.check_lite(SOUND, (3, 10)).level == "ok"
    newer = environment.check_lite(changed({"paddlelite": None}), (3, 12))
    assert newer.level == "warning"
    assert "no wheel for Python 3.12" in newer.text
    assert "pip install" in environment.check_lite(changed({"paddlelite": None}), (3, 10)).fix


def test_engines():
    reasons = {"onnxruntime": "", "lite": "not installed: pip install", "ncnn": "x", "paddle": ""}
    found = environment.check_engines(reasons, SOUND)
    assert [finding.level for finding in found] == ["ok", "warning", "warning", "ok"]
    assert found[0].text == "onnxruntime 1.23.2"
    assert found[3].text == "paddlepaddle 2.6.2"
    none = environment.check_engines(dict.fromkeys(reasons, "missing"), SOUND)
    assert none[-1].level == "error"


def test_paddleseg_is_optional():
    assert environment.check_paddleseg({}).level == "ok"
    assert "--no-deps" in environment.check_paddleseg({}).text
    assert environment.check_paddleseg({"paddleseg": "2.9.0"}).level == "warning"


@pytest.mark.parametrize(
    ("difference", "level"), [(1e-6, "ok"), (2e-3, "error"), (float("nan"), "error"), (None, "error")]
)
def test_a_difference_between_engines_is_an_error(difference, level):
    assert environment.judge_difference("run onnx", difference, "").level == level


def test_a_failed_task_is_an_error():
    assert environment.judge_difference("run onnx", 0.0, "died of SIGSEGV").text == "died of SIGSEGV"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A module in the place of the self check whose task is the given code."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def written(code):
        (tmp_path / "stand_in.py").write_text(
            f"import os, time\ndef task(request):\n    {code}\nTASKS = {{'onnx': task}}\n"
        )
        return "stand_in"

    return written


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("os.kill(os.getpid(), 11)", f"died by signal {signal.Signals(11).name}"),
        ("raise RuntimeError('no such kernel')", "RuntimeError: no such kernel"),
        ("print('noise'); return {'difference': 0.5}", ""),
    ],
)
def test_how_a_task_ends(code, failure, tmp_path, stand_in):
    facts, reason = run_selfcheck("onnx", tmp_path, module=stand_in(code))
    assert reason == failure
    assert facts == ({} if failure else {"difference": 0.5})


def test_a_task_that_hangs(tmp_path, monkeypatch, stand_in):
    monkeypatch.setattr(environment, "_TIMEOUT", 0.2)
    assert "still running" in run_selfcheck("onnx", tmp_path, module=stand_in("time.sleep(60)"))[1]


def test_nothing_is_run_without_paddle():
    assert environment.run_selfchecks({}) == []


def test_render_and_exit_code():
    findings = [EnvironmentFinding("ok", "a", "fine"), EnvironmentFinding("warning", "bb", "missing", "install it")]
    assert exit_code(findings) == 0
    text = render(findings)
    assert "hint: install it" in text
    assert text.endswith("0 errors, 1 warning")
    findings.append(EnvironmentFinding("error", "c", "broken"))
    assert exit_code(findings) == 1
    assert json.loads(json.dumps(to_dict(findings)))["exit_code"] == 1


def test_this_environment_is_sound_and_its_converters_agree():
    findings = {finding.subject: finding for finding in check_environment()}
    broken = [finding for finding in findings.values() if finding.level == "error"]
    assert not broken
    assert findings["run paddle"].level == "ok"
    assert findings["run onnx"].level == "ok"
    if findings["paddle lite"].level == "ok":
        assert "differs from Paddle by" in findings["run lite"].text


def test_reading_versions_imports_nothing_heavy():
    code = (
        "import sys; from mobileseg.environment.report import check_environment; check_environment(run=False); "
        "print(sorted({'paddle', 'onnxruntime', 'cv2', 'paddlelite', 'ncnn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def changed(changes):
    return {name: version for name, version in {**SOUND, **changes}.items() if version is not None}


def test_tensorrt_is_listed_and_nobody_needs_it() -> None:
    absent = check_tensorrt("TensorRT needs a GPU build of Paddle", {})
    assert (absent.level, absent.subject) == ("ok", "engine tensorrt")
    assert absent.text == "not available: TensorRT needs a GPU build of Paddle"
    assert check_tensorrt("", {"paddlepaddle-gpu": "2.6.2"}).text == "paddlepaddle-gpu 2.6.2"
    assert [finding.subject for finding in check_environment(run=False)].count("engine tensorrt") == 1
