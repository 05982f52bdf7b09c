"""The device scripts with the C++ program itself, built for this machine, on the phone that is a folder.

And the rows of the program beside those of the Python benchmark.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobileseg.benchmarking.benchmark import Case, measure
from mobileseg.benchmarking.rows import load_rows
from mobileseg.viz.report_parts import STAGES
from tests.deploy.device.phones import Phone, made_phone
from tests.deploy.lite_build import Lite, environment
from tests.runtime.artefacts import artefact

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("program")]  # it may have to be built first


@pytest.fixture
def phone(lite: Lite, tmp_path: Path) -> Phone:
    made = made_phone(tmp_path)
    # AddressSanitizer would answer a signal before the program can.
    made.variables = environment(lite) | {"ASAN_OPTIONS": "detect_leaks=0:handle_segv=0:handle_abort=0"}
    made.variables["PATH"] = f"{tmp_path / 'tools'}:{made.variables['PATH']}"
    with np.load(lite.fixtures / "artefacts/labels/golden.npz") as golden:
        cv2.imwrite(str(tmp_path / "street.png"), golden["image.1"][..., ::-1])
    return made


def test_an_image(phone: Phone, lite: Lite) -> None:
    model = lite.fixtures / "artefacts/labels"
    done = phone.run("run_on_device.py", model, "street.png", "--app", lite.program, "--no-open")
    assert done.returncode == 0, done.stderr
    out = phone.root / "output/device/street"
    assert cv2.imread(str(out / "overlay/street.png")).shape == cv2.imread(str(phone.root / "street.png")).shape
    facts = json.loads((out / "json/street.json").read_text())
    assert facts["source"] == "street.png"
    labels = cv2.imread(str(out / "labels/street.png"), cv2.IMREAD_UNCHANGED)
    assert labels.shape[:2] == (facts["height"], facts["width"])
    assert f"inference {facts['times_ms']['inference']:.2f} ms" in done.stdout
    assert list(phone.storage.iterdir()) == []


def test_a_video(phone: Phone, lite: Lite) -> None:
    writer = cv2.VideoWriter(str(phone.root / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (48, 32))
    for value in range(4):
        writer.write(np.full((32, 48, 3), value * 40, np.uint8))
    writer.release()
    model = lite.fixtures / "artefacts/labels"
    words = [model, "clip.avi", "--app", lite.program, "--no-open", "--max-frames", "3"]
    done = phone.run("run_on_device.py", *words)
    assert done.returncode == 0, done.stderr
    out = phone.root / "output/device/clip"
    assert len((out / "json/clip.jsonl").read_text().splitlines()) == 3
    assert cv2.VideoCapture(str(out / "overlay/clip.mp4")).read()[0]


def test_a_crash_of_the_engine(phone: Phone, lite: Lite) -> None:
    model = lite.fixtures / "artefacts/fault_crash"
    done = phone.run("run_on_device.py", model, "street.png", "--app", lite.program, "--no-open")
    assert done.returncode == 7
    assert "the inference engine ended the program" in done.stderr
    assert list(phone.storage.iterdir()) == []
    assert list((phone.root / "output/device").iterdir()) == []


def test_a_difference_found_by_the_self_test(phone: Phone, lite: Lite) -> None:
    done = phone.run("benchmark_on_device.py", lite.fixtures / "artefacts/fault_values", "--app", lite.program)
    assert done.returncode == 6
    assert "output 'labels' differs" in done.stderr


def test_both_benchmarks_write_the_same_rows(phone: Phone, lite: Lite) -> None:
    """The same stages, the same figures, the same facts."""
    model = lite.fixtures / "artefacts/labels"
    words = [f"fp32={model}", "--app", lite.program, "--image", "street.png", "--pause", "0"]
    done = phone.run("benchmark_on_device.py", *words)
    assert done.returncode == 0, done.stderr
    device = load_rows(phone.root / "output/device.json")[0]
    artefact(phone.root / "onnx", size=(32, 48))
    image = phone.root / "street.png"
    host = measure([Case(str(phone.root / "onnx"), "onnxruntime", 1)], image, runs=3, warmup=1)[0]

    assert list(device["stages"]) == list(host["stages"]) == list(STAGES)
    figures = {tuple(figure) for found in (device, host) for figure in (found["total"], *found["stages"].values())}
    assert figures == {("median_ms", "p95_ms", "max_ms")}
    optional = {"governor", "temperature_c"}  # where the system tells
    of_phones = {"power", "precision", "device", "before", "after"}
    assert set(device) - optional - of_phones == set(host) - optional
    assert {key: type(device[key]) for key in set(host) - optional} == {
        key: type(host[key]) for key in set(host) - optional
    }
    assert (device["image"], device["input"], device["runs"]) == (host["image"], host["input"], 200)
    assert device["folder"] == str(model)
    assert device["date"][10:11] == host["date"][10:11] == "T"
    assert device["date"][-6:] == host["date"][-6:] == "+00:00"
