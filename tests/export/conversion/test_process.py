import os
import sys

import pytest

from mobileseg.export.conversion.process import Failure, run_program, run_task


def python(code):
    return [sys.executable, "-c", code]


def test_output_is_returned():
    assert run_program(python("print('hello')"), "greet").strip() == "hello"


def test_death_by_signal_is_named_with_the_last_lines():
    code = "import os, signal; print('step 1', flush=True); os.kill(os.getpid(), signal.SIGSEGV)"
    with pytest.raises(Failure) as caught:
        run_program(python(code), "convert")
    assert caught.value.died
    assert str(caught.value) == "convert: died by signal SIGSEGV"
    assert caught.value.log == "step 1"


def test_exit_code():
    with pytest.raises(Failure, match="convert: ended with exit code 3") as caught:
        run_program(python("raise SystemExit(3)"), "convert")
    assert not caught.value.died


def test_time_limit():
    with pytest.raises(Failure, match="was still running after 1 s") as caught:
        run_program(python("import time; time.sleep(60)"), "convert", timeout=1.0)
    assert caught.value.died


def test_missing_answer_counts_as_death(tmp_path):
    with pytest.raises(Failure, match="ended without an answer"):
        run_program(python("pass"), "convert", answer=tmp_path / "answer.json")


def test_threads_reach_the_child():
    assert run_program(python("import os; print(os.environ['OMP_NUM_THREADS'])"), "ask", threads=3).strip() == "3"


def test_error_of_a_task_is_its_answer(tmp_path):
    request = {"folder": str(tmp_path), "engine": "paddle", "graph": "main", "threads": 1}
    with pytest.raises(Failure, match=r"it has no deploy\.yaml") as caught:
        run_task("run", request)
    assert not caught.value.died


def test_current_folder_does_not_matter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path)]))
    with pytest.raises(Failure, match=r"deploy\.yaml"):
        run_task("run", {"folder": str(tmp_path), "engine": "lite", "graph": "main", "threads": 1})
