"""Chains as users run them: the smallest of each family always, all of them in `make test-long`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mobileseg.runtime.engines.registry import available
from test_tipc.run_chains import MODES, Row, models, render, run_model

QUICK = {
    "mobileseg_shufflenetv2": ("mIoU", ["paddle2onnx", "lite"]),
    "mobileyolact_mobilenetv2": ("mask AP", ["paddle2onnx", "lite"]),
}
"""Chain -> score, and what follows the training."""

ENGINES = {
    "train_infer_python": "paddle",
    "paddle2onnx": "onnxruntime",
    "lite": "lite",
    "ncnn": "ncnn",
    "ptq_infer_python": "paddle",
}


def run(checkout: Path, *words: str) -> tuple[subprocess.CompletedProcess[str], list[dict]]:
    """run_chains.py in a checkout, and the rows of its summary."""
    answer = subprocess.run(
        [sys.executable, "test_tipc/run_chains.py", *words],
        cwd=checkout,
        env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    summary = checkout / "test_tipc/output/summary.json"
    return answer, json.loads(summary.read_text(encoding="utf-8")) if summary.is_file() else []


def check(answer: subprocess.CompletedProcess[str], rows: list[dict], expected: list[tuple[str, str]]) -> None:
    """Every chain ran, or its engine is not installed here."""
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert [(row["mode"], row["chain"]) for row in rows] == expected
    missing = available()
    for row in rows:
        engine = ENGINES[row["chain"]]
        assert row["status"] == ("skipped" if missing[engine] else "ok"), row
        if row["status"] == "ok":
            assert row["agreement"].startswith(f"{engine} "), row
            assert row["seconds"] > 0 < row["cpu_seconds"]


@pytest.mark.timeout(1800)  # many processes, each of which waits when the machine is busy
@pytest.mark.parametrize("model", QUICK)
def test_quick_chain(checkout: Path, model: str) -> None:
    metric, variants = QUICK[model]
    answer, rows = run(checkout, "--models", model, "--modes", MODES[0], "--variants", *variants)
    check(answer, rows, [(MODES[0], chain) for chain in ("train_infer_python", *variants)])
    assert rows[0]["metric"].startswith(f"{metric} 0.")
    run_folder = checkout / "test_tipc/output" / model / MODES[0]
    assert (run_folder / "run/config.yml").is_file()
    # The comparison is of this training: with another image in the place of a prediction it fails.
    images = sorted((run_folder / "train_infer_python" / "paddle_1").glob("*/*[0-9].*"))
    images[0].write_bytes(images[1].read_bytes())
    kind = images[0].parent.name
    words = [
        "--kind",
        kind,
        "--min_equal",
        "0.99",
        "--reference",
        "checkpoint",
        "--result",
        "train_infer_python/paddle_1",
    ]
    script = [sys.executable, str(checkout / "test_tipc/compare_results.py"), *words]
    answer = subprocess.run(script, cwd=run_folder, capture_output=True, text=True, check=False)
    assert answer.returncode == 1, answer.stdout + answer.stderr


@pytest.mark.long
@pytest.mark.timeout(5400)
@pytest.mark.parametrize("model", models())
def test_every_chain(checkout: Path, model: str) -> None:
    check(*run(checkout, "--models", model), [(mode, chain) for mode in MODES for chain in ENGINES])


def test_a_chain_that_fails_is_named_and_gives_an_exit_code(checkout: Path) -> None:
    model = "mobileseg_ghostnet"
    text = checkout / f"test_tipc/configs/{model}/train_infer_python.txt"
    text.write_text(text.read_text(encoding="utf-8").replace("--seed 0", "--seeds 0"), encoding="utf-8")
    answer, rows = run(checkout, "--models", model)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert {row["status"] for row in rows} == {"failed"}
    assert "unrecognized arguments: --seeds" in rows[0]["reason"]
    assert {row["reason"] for row in rows[1:]} == {"not run, because train_infer_python (lite_train_lite_infer) failed"}
    assert "10 chains, 10 failed" in answer.stdout


def test_unknown_words_are_refused(checkout: Path) -> None:
    answer, _ = run(checkout, "--models", "resnet")
    assert answer.returncode == 2
    assert "invalid choice: 'resnet'" in answer.stderr


def test_an_engine_that_is_not_installed_is_skipped(monkeypatch) -> None:
    monkeypatch.setattr("test_tipc.run_chains.unavailable", lambda engine: f"{engine} is not installed")
    (row,) = run_model("mobileseg_ghostnet", MODES[:1], [])
    assert (row.status, row.reason) == ("skipped", "paddle is not installed")


def test_table() -> None:
    rows = [
        Row("a", "lite", "ncnn", "ok", 12.34, 5.67, "mIoU 0.1000", "ncnn 1.000000 of 9"),
        Row("bcd", "lite", "lite", "failed", reason="it broke"),
    ]
    assert render(rows).splitlines() == [
        "model  mode  chain  status  seconds  CPU  metric       equal to the checkpoint",
        "a      lite  ncnn   ok      12.3     5.7  mIoU 0.1000  ncnn 1.000000 of 9",
        "bcd    lite  lite   failed  0.0      0.0",
        "",
        "bcd lite lite failed:",
        "it broke",
    ]
