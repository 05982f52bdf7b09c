"""tools/plot_run.py on the log of a run."""

import importlib.util
import json
from pathlib import Path

import pytest
import yaml

from mobileseg.data.io import read_image
from tests.training.toy import toy_section

_spec = importlib.util.spec_from_file_location("plot_run", Path(__file__).parents[2] / "tools/plot_run.py")
plot_run = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(plot_run)


def test_the_charts_of_a_run_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yml").write_text(yaml.safe_dump(toy_section(tmp_path)))
    events = [{"event": "train", "iter": i, "loss": 1 / i, "lr": 0.1} for i in (1, 2)]
    events.append({"event": "eval", "iter": 2, "miou": 0.5, "metric": "mIoU", "score": 0.5})
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, events)))
    monkeypatch.setattr("sys.argv", ["plot_run.py", str(tmp_path), str(tmp_path / "out" / "curves.png")])
    assert plot_run.main() == 0
    height, width, _ = read_image(tmp_path / "out" / "curves.png").shape
    assert width > 3 * height


def test_no_run_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["plot_run.py", str(tmp_path), str(tmp_path / "curves.png")])
    assert plot_run.main() == 2
    assert "is no run folder" in capsys.readouterr().err
    assert not (tmp_path / "curves.png").exists()
