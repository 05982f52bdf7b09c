"""`mobileseg demo --quick`: every step of the demo, with as little training as possible."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mobileseg.cli import main
from mobileseg.runtime.manifest import Manifest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder of a quick demo, and what it printed and logged."""
    folder = tmp_path_factory.mktemp("demo")
    answer = subprocess.run(
        [sys.executable, "-m", "mobileseg", "demo", "--quick", "--output", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder, answer.stdout, answer.stderr


@pytest.mark.parametrize(("number", "metric"), [(1, "mIoU"), (2, "mask AP")])
def test_every_engine_gives_the_networks_score(demo: tuple[Path, str, str], number: int, metric: str) -> None:
    part = demo[1].split("\nengine  ")[number]
    assert part.split()[: len(metric.split())] == metric.split()
    table = dict(re.findall(r"^(\S[^\d\n]*?) +(0\.\d{4}) ", part, re.MULTILINE))
    truth = float(table.pop("network (dygraph)"))
    assert "onnxruntime" in table
    assert "paddle" in table
    for engine, miou in table.items():
        assert float(miou) == pytest.approx(truth, abs=2e-3), engine  # an untrained network has many near ties


@pytest.mark.parametrize("family", ["semantic", "instance"])
def test_artefact_is_verified(demo: tuple[Path, str, str], family: str) -> None:
    manifest = Manifest.read(demo[0] / family / "artefact")
    assert manifest.task == family
    states = {row.engine: row.status for row in manifest.verification}
    assert states["onnx"] == "ok"
    assert states["paddle"] == "ok"
    assert set(states.values()) <= {"ok", "converted-not-run"}


def test_what_it_says_is_said_once_and_by_the_suite(demo: tuple[Path, str, str]) -> None:
    logged = demo[2]
    assert "Warning" not in logged
    assert not re.search(r"^[IW]\d{4} |\bINFO\b", logged, re.MULTILINE), "another handler, or Paddle's own log"
    weights = re.findall(r"^.*backbone weights: .*$", logged, re.MULTILINE)
    assert len(weights) == len(set(weights)) == 2


def test_report_is_one_file(demo: tuple[Path, str, str]) -> None:
    page = (demo[0] / "report.html").read_text(encoding="utf-8")
    for heading in ("Training", "Scores by class", "Examples", "Verification", "Latency"):
        assert heading in page
    assert not re.search(r'(src|href)="(?!data:|#)', page), "the report loads something from elsewhere"
    for family in ("semantic", "instance"):
        assert json.loads((demo[0] / family / "benchmark.json").read_text(encoding="utf-8"))
    assert page.index("MobileSeg") < page.index("mobileYOLACT")


def test_the_second_network_starts_from_the_backbone_of_the_first(demo: tuple[Path, str, str]) -> None:
    folder = demo[0]
    config = yaml.safe_load((folder / "instance/run/config.yml").read_text(encoding="utf-8"))
    assert config["model"]["backbone"]["pretrained"] == (folder / "semantic/run/best/model.pdparams").as_posix()


def test_without_a_checkout_the_message_says_where_to_run(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 2
    assert "checkout" in capsys.readouterr().err
