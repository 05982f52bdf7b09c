"""`mobileseg report` on a run as the trainer leaves it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from mobileseg.cli import main
from mobileseg.config.load import load_config
from mobileseg.runtime.manifest import Manifest
from mobileseg.training.trainer import Trainer
from tests.runtime.artefacts import artefact
from tests.training.toy import draw, toy_section


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the toy network, and its dataset."""
    root = tmp_path_factory.mktemp("toy")
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 3)):
        names = [draw(root, f"{split}{index}", rng, (32, 32)) for index in range(count)]
        (root / f"{split}.txt").write_text("\n".join(names))
    (root / "toy.yml").write_text(yaml.safe_dump(toy_section(root)))
    Trainer(load_config(root / "toy.yml"), root / "my_run").fit()
    return root / "my_run"


def report(tmp_path: Path, *words: str) -> str:
    """The text of the page."""
    assert main(["report", *words, "--output", str(tmp_path / "page.html"), "--device", "cpu"]) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL).split())


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_curves_scores_and_examples_and_nothing_is_written_into_the_run(run: Path, tmp_path: Path) -> None:
    before = files(run.parent)
    text = report(tmp_path, str(run), "--examples", "2")
    headings = ("my_run", "Training", "Validation mIoU", "Scores by class", "Examples", "Environment")
    for seen in (*headings, "mean IoU", "8 iterations", "batch_size: 4"):
        assert seen in text
    assert "the best evaluation during training, at iteration" in text
    assert (tmp_path / "page.html").read_text().count("<figure>") == 6, "two images with truth and prediction"
    assert "val0.jpg.png" in text
    assert files(run.parent) == before


def test_scores_of_val_are_taken_first_and_named(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for path, content in files(run).items():
        target = copy / path.relative_to(run)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    scores = {"metric": "mIoU", "score": 0.1239, "miou": 0.1239, "boundary_iou": 0.0777, "model": "best (iteration 4)"}
    (copy / "best" / "scores.json").write_text(json.dumps(scores))
    text = report(tmp_path, str(copy), "--examples", "0")
    for seen in ("0.124 mean IoU", "0.078 boundary IoU", "best/scores.json, of best (iteration 4)"):
        assert seen in text
    assert "<figure>" not in (tmp_path / "page.html").read_text()
    (copy / "best" / "scores.json").write_text("{")
    assert main(["report", str(copy), "--output", str(tmp_path / "no.html")]) == 2
    assert not (tmp_path / "no.html").exists()


def test_exported_folders_beside_the_run_are_found_by_their_configuration(run: Path, tmp_path: Path) -> None:
    for name, config in (("exported", load_config(run / "config.yml").hash), ("foreign", "0" * 64)):
        folder = run.parent / name
        artefact(folder)
        text = (folder / "deploy.yaml").read_text()
        document = yaml.safe_load(text)
        document["mobileseg"]["config_sha256"] = config
        document["mobileseg"]["verification"] = [{"engine": "onnx", "status": "ok", "equal": 1.0}]
        (folder / "deploy.yaml").write_text(yaml.safe_dump(document))
        assert Manifest.read(folder).config_sha256 == config
    text = report(tmp_path, str(run), "--examples", "0")
    assert "1/1 graphs agree" in text
    assert str(run.parent.resolve() / "exported") in text
    assert "foreign" not in text
    named = report(tmp_path, str(run), "--examples", "0", "--exported", str(run.parent / "foreign"))
    assert "foreign" in named


def test_without_data_there_are_no_examples_and_it_is_said(run: Path, tmp_path: Path, capsys) -> None:
    section = yaml.safe_load((run / "config.yml").read_text())
    section["val_dataset"]["dataset_root"] = str(tmp_path / "gone")
    section["val_dataset"]["val_path"] = str(tmp_path / "gone.txt")
    copy = tmp_path / "moved"
    copy.mkdir()
    (copy / "config.yml").write_text(yaml.safe_dump(section))
    (copy / "log.jsonl").write_bytes((run / "log.jsonl").read_bytes())
    text = report(tmp_path, str(copy))
    assert "Training" in text
    assert "no examples" in capsys.readouterr().out
    (copy / "log.jsonl").unlink()
    assert "none, the run was not evaluated" in report(tmp_path, str(copy))


def test_two_runs_of_one_name_are_told_apart(run: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "run").mkdir(parents=True)
        for file in ("config.yml", "log.jsonl"):
            (tmp_path / name / "run" / file).write_bytes((run / file).read_bytes())
    text = report(tmp_path, str(tmp_path / "a" / "run"), str(tmp_path / "b" / "run"), "--examples", "0")
    assert text.index("a/run") < text.index("b/run")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{empty}"], "is no run folder"),
        (["{empty}", "--examples", "-1"], "--examples is -1"),
        (["{empty}", "{empty}", "--benchmark", "b.json"], "belong to one run"),
    ],
)
def test_bad_usage(tmp_path: Path, capsys, words: list[str], message: str) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["report", *[word.format(empty=tmp_path / "empty") for word in words]]) == 2
    assert message in capsys.readouterr().err
