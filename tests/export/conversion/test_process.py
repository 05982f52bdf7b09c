import pytest

from mobileseg.export.conversion.process import Failure, run_task


def test_error_of_a_task_is_its_answer(tmp_path):
    request = {"folder": str(tmp_path), "engine": "paddle", "graph": "main", "threads": 1}
    with pytest.raises(Failure, match=r"it has no deploy\.yaml") as caught:
        run_task("run", request)
    assert not caught.value.died


def test_current_folder_does_not_matter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Failure, match=r"deploy\.yaml"):
        run_task("run", {"folder": str(tmp_path), "engine": "lite", "graph": "main", "threads": 1})
