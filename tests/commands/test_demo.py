"""`mobileseg demo --quick`: every step of the demo, with as little training as possible."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mobileseg.cli import main
from mobileseg.runtime.artefact import Manifest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a quick demo and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    answer = subprocess.run(
        [sys.executable, "-m", "mobileseg", "demo", "--quick", "--output", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder, answer.stdout


def test_every_engine_gives_the_networks_score(demo: tuple[Path, str]) -> None:
    _, printed = demo
    table = dict(re.findall(r"^(\S[^\d\n]*?) +(0\.\d{4}) ", printed.split("\nengine")[-1], re.MULTILINE))
    truth = float(table.pop("network (dygraph)"))
    assert "onnxruntime" in table
    assert "paddle" in table
    for engine, miou in table.items():
        assert float(miou) == pytest.approx(truth, abs=2e-3), engine  # an untrained network has many near ties


def test_artefact_is_verified(demo: tuple[Path, str]) -> None:
    manifest = Manifest.read(demo[0] / "artefact")
    states = {row.engine: row.status for row in manifest.verification}
    assert states["onnx"] == "ok"
    assert states["paddle"] == "ok"
    assert set(states.values()) <= {"ok", "converted-not-run"}


def test_report_is_one_file(demo: tuple[Path, str]) -> None:
    page = (demo[0] / "report.html").read_text(encoding="utf-8")
    for heading in ("Training", "Scores by class", "Examples", "Verification", "Latency"):
        assert heading in page
    assert not re.search(r'(src|href)="(?!data:|#)', page), "the report loads something from elsewhere"
    assert json.loads((demo[0] / "benchmark.json").read_text(encoding="utf-8"))


def test_without_a_checkout_the_message_says_where_to_run(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 2
    assert "checkout" in capsys.readouterr().err
