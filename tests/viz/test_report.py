import json
import re
from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import ConfigError
from mobileseg.runtime.specs import VerificationRow
from mobileseg.structures import SemanticResult
from mobileseg.viz.report import Example, NetworkReport, write_report
from mobileseg.viz.report_parts import latency_table
from tests.viz.html_page import Page


def stage(value: float) -> dict:
    return {"median_ms": value, "p95_ms": value * 1.5}


def row(engine: str, inference: float, name: str = "net") -> dict:
    return {
        "name": name,
        "engine": engine,
        "threads": 1,
        "runs": 50,
        "cpu": "A <fast> CPU",
        "image": "1024x512",
        "stages": {"preprocess": stage(1.0), "inference": stage(inference), "postprocess": stage(0.5)},
        "total": stage(inference + 1.5),
    }


@pytest.fixture
def log(tmp_path: Path) -> Path:
    lines = [{"event": "train", "iter": i, "loss": 2.0 / i, "lr": 0.01, "images_per_s": 20.0} for i in (10, 20, 30)]
    lines.append({"event": "eval", "iter": 30, "miou": 0.42})
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def page(tmp_path: Path, log: Path) -> Page:
    rng = np.random.default_rng(0)
    found = SemanticResult(rng.integers(0, 2, (40, 60), dtype=np.uint8))
    image = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    network = NetworkReport(
        task="semantic",
        title="MobileSeg <b>",
        log_path=log,
        eval_metrics={
            "miou": 0.4211,
            "accuracy": 0.9,
            "class_iou": [0.4211, None],
            "class_pixels": [3, 1],
            "classes": ["road <script>", "sky"],
        },
        examples=[Example("street.jpg", image, found, found), Example("test.jpg", image, found)],
        verification_rows=[
            VerificationRow("onnx", "ok", max_diff=2e-6, equal=1.0, size_bytes=5_000_000, latency_ms=8.0),
            VerificationRow("lite_arm", "converted-not-run", size_bytes=4_000_000),
            {"target": "ncnn", "status": "failed", "max_diff": 0.5, "equal": 0.9},
        ],
        benchmark_rows=[row("paddle", 20.0), row("onnxruntime", 10.0)],
        config_yaml="model: {type: '<MobileSeg>'}\n",
    )
    path = write_report(
        tmp_path / "out" / "report.html",
        title="Run <1> & more",
        networks=[network],
        environment={"python": "3.10", "cpu": "A <fast> CPU"},
    )
    return Page(path)


def test_every_part_is_there(page: Page) -> None:
    for heading in (
        "Training",
        "Scores by class",
        "Examples",
        "Verification",
        "Latency",
        "Environment",
        "Configuration",
    ):
        assert heading in page.text
    assert page.tags.count("svg") == 3
    assert page.tags.count("img") == 5  # two images, two predictions, one truth


def test_numbers_are_those_given(page: Page) -> None:
    for seen in ("0.421 mean IoU", "1/2 graphs agree", "11.5 ms", "2.0e-06", "100.000%", "5.00 MB", "75.0%", "50 runs"):
        assert seen in page.text
    assert "absent" in page.text
    assert "converted, not run" in page.text


def test_nothing_is_loaded_from_elsewhere(page: Page, tmp_path: Path) -> None:
    assert page.references
    assert all(reference.startswith(("data:image/jpeg;base64,", "#")) for reference in page.references)
    text = (tmp_path / "out/report.html").read_text()
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    assert "script" not in page.tags


def test_values_from_outside_are_escaped(page: Page) -> None:
    for seen in ("Run <1> & more", "road <script>", "A <fast> CPU", "<MobileSeg>", "MobileSeg <b>"):
        assert seen in page.text
    assert not {"fast", "1", "mobileseg"} & set(page.tags)


def test_a_report_of_nothing_is_a_page_without_sections(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path / "report.html", title="Empty"))
    assert "section" not in page.tags
    assert "Empty" in page.text
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_a_title_with_a_dollar_is_no_placeholder(tmp_path: Path) -> None:
    page = Page(
        write_report(
            tmp_path / "report.html", title="costs $5", networks=[NetworkReport("semantic", config_yaml="price: $body")]
        )
    )
    assert "costs $5" in page.text
    assert "price: $body" in page.text


def test_latency_bars_are_in_proportion(tmp_path: Path) -> None:
    html = latency_table([row("paddle", 18.5), row("onnxruntime", 8.5)])
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", html)]
    assert sum(widths[:3]) == pytest.approx(50, abs=0.1)  # onnxruntime, the faster, stands first
    assert sum(widths[3:]) == pytest.approx(100, abs=0.1)


def test_networks_stand_one_after_the_other(tmp_path: Path, log: Path) -> None:
    networks = [
        NetworkReport("semantic", title="First", log_path=log),
        NetworkReport("instance", title="Second", config_yaml="iters: 1"),
    ]
    page = Page(write_report(tmp_path / "report.html", title="Two", networks=networks, environment={"cpu": "one"}))
    places = [page.text.index(seen) for seen in ("Two", "First", "Training", "Second", "iters: 1", "Environment")]
    assert places == sorted(places)


def test_a_task_that_is_not_known_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no task 'depth'"):
        write_report(tmp_path / "report.html", title="A", networks=[NetworkReport("depth")])
    assert not (tmp_path / "report.html").exists()
