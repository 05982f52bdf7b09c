from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mobileseg.benchmarking import benchmark
from mobileseg.benchmarking.benchmark import FIELDS, Case, TimedFrame, Worker, _rows, measure, synthetic_image
from mobileseg.data.io import read_image
from mobileseg.errors import DataError, RuntimeEngineError
from tests.runtime.artefacts import artefact

STAGES = ["decode", "preprocess", "inference", "postprocess", "draw"]


@pytest.fixture
def picture(tmp_path: Path) -> str:
    synthetic_image(tmp_path / "image.jpg", (48, 64))
    return str(tmp_path / "image.jpg")


def test_rows_tell_stages_machine_and_versions(tmp_path: Path, picture: str) -> None:
    artefact(tmp_path / "model")
    (row,) = measure([Case(str(tmp_path / "model"), "onnxruntime", 1)], picture, runs=7, warmup=1)
    assert set(FIELDS) <= set(row)
    assert list(row["stages"]) == STAGES
    assert (row["runs"], row["image"], row["input"], row["threads"]) == (7, "64x48", "24x16", 1)
    assert (row["name"], row["engine"]) == ("colours", "onnxruntime")
    assert "onnxruntime" in row["versions"]
    assert row["cpu"]
    for figures in [*row["stages"].values(), row["total"]]:
        assert 0 < figures["median_ms"] <= figures["p95_ms"] <= figures["max_ms"]
    assert row["total"]["median_ms"] == pytest.approx(sum(row["stages"][s]["median_ms"] for s in STAGES), rel=0.5)


def test_cases_take_turns(tmp_path: Path, picture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        artefact(tmp_path / name)
    asked: list[tuple[str, int]] = []
    real = Worker.run

    def run(self: Worker, count: int) -> list[dict[str, float]]:
        asked.append((Path(self.case.folder).name, count))
        return real(self, count)

    monkeypatch.setattr(Worker, "run", run)
    cases = [Case(str(tmp_path / name), "onnxruntime", 1) for name in ("a", "b")]
    rows = measure(cases, picture, runs=7, warmup=2)
    assert [row["runs"] for row in rows] == [7, 7]
    turn = benchmark.PER_TURN
    rounds = [("a", 1), ("a", turn), ("b", 1), ("b", turn), ("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert asked == [("a", 2), ("b", 2), *rounds]


def test_medians_and_percentiles_are_those_of_the_samples() -> None:
    figures = benchmark._statistics([float(value) for value in range(101)])
    assert figures == {"median_ms": 50.0, "p95_ms": 95.0, "max_ms": 100.0}


def test_a_case_that_cannot_run_is_left_out_with_its_reason(tmp_path: Path, picture: str) -> None:
    artefact(tmp_path / "model")
    said: list[str] = []
    cases = [Case(str(tmp_path / "model"), engine, 1) for engine in ("ncnn", "onnxruntime")]
    rows = measure(cases, picture, runs=2, warmup=0, say=said.append)
    assert [row["engine"] for row in rows] == ["onnxruntime"]
    (line,) = [line for line in said if not line.startswith("warning: other programs")]
    assert "no 'ncnn' file" in line


def test_nothing_that_runs_is_an_error(tmp_path: Path, picture: str) -> None:
    artefact(tmp_path / "model")
    with pytest.raises(RuntimeEngineError, match="none of the engines could run"):
        measure([Case(str(tmp_path / "model"), "ncnn", 1)], picture, runs=2, say=lambda text: None)


def test_an_unreadable_image_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.jpg"):
        measure([Case(str(tmp_path), "onnxruntime", 1)], tmp_path / "nothing.jpg", runs=1)


def test_death_by_signal_is_reported(tmp_path: Path, picture: str) -> None:
    artefact(tmp_path / "model")
    with Worker(Case(str(tmp_path / "model"), "onnxruntime", 1), picture) as worker:
        worker._child._process.kill()
        worker._child._process.wait()
        assert not worker.alive
        with pytest.raises(RuntimeEngineError, match="onnxruntime, 1 thread: the process died by signal SIGKILL"):
            worker.run(1)


def test_synthetic_image_has_the_size_and_is_reproducible(tmp_path: Path) -> None:
    synthetic_image(tmp_path / "1.jpg", (37, 61))
    synthetic_image(tmp_path / "2.jpg", (37, 61))
    assert (tmp_path / "1.jpg").read_bytes() == (tmp_path / "2.jpg").read_bytes()
    image = read_image(tmp_path / "1.jpg")
    assert image.shape == (37, 61, 3)
    assert np.std(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) > 10


def test_rows_of_a_stream_by_kind_of_frame() -> None:
    """Key frames are a spike: the mean of the stream is neither kind's median."""
    samples = [
        TimedFrame("key" if index % 5 == 0 else "nonkey", {"inference": 10.0 if index % 5 else 30.0})
        for index in range(10)
    ]
    worker = SimpleNamespace(case=Case("f", "e", 1), facts={"name": "n", "engine": "e", "input": "1x1", "versions": {}})
    rows = {row["frame"]: row for row in _rows(worker, samples, {})}
    assert list(rows) == ["key", "nonkey", "stream"]
    assert [rows[kind]["total"]["median_ms"] for kind in rows] == [30.0, 10.0, 10.0]
    assert [rows[kind]["runs"] for kind in rows] == [2, 8, 10]
    assert rows["stream"]["total"]["mean_ms"] == 14.0
    still = _rows(worker, [TimedFrame("main", {"inference": 1.0})], {})
    assert len(still) == 1
    assert "frame" not in still[0]
