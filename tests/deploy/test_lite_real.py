"""`make test-lite`: the C++ program on a real Paddle Lite, with the networks of the zoo, exported for it."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobileseg.data.io import read_image, read_label
from mobileseg.instance.visualize import MIN_SCORE
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.structures import InstanceResult
from tests.deploy.lite_build import BUILD, ROOT, SOURCE, call, missing

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not os.environ.get("PADDLE_LITE_DIR"), reason="needs a real runtime: make test-lite"),
]


@pytest.fixture(scope="module")
def program() -> Path:
    absent = missing()
    if absent:
        pytest.skip(f"cannot build: {absent} missing")
    build = BUILD / "real"
    definitions = [f"-DPADDLE_LITE_DIR={os.environ['PADDLE_LITE_DIR']}"]
    if os.environ.get("PADDLE_LITE_EXTRA_LIBS"):
        definitions.append(f"-DPADDLE_LITE_EXTRA_LIBS={os.environ['PADDLE_LITE_EXTRA_LIBS']}")
    call("cmake", "-G", "Ninja", "-S", SOURCE, "-B", build, *definitions)
    call("cmake", "--build", build, "-j", "2")
    return build / "mobileseg_lite"


ZOO = {"mobileseg_mobilenetv2_camvid": "256", "mobileyolact_mobilenetv2_coco_person": "320"}
"""Network -> height and width of its input here."""


@pytest.fixture(scope="module", params=ZOO)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("export")
    machine = "lite_x86" if platform.machine() == "x86_64" else "lite_arm"
    size = ZOO[request.param]
    model = ROOT / "zoo" / request.param
    command = ["-m", "mobileseg", "export", "--model", model, "--size", size, size, "--targets", machine]
    call(sys.executable, *command, "--overwrite", "--save_dir", target)
    return target


def test_the_reference_is_answered(program: Path, folder: Path) -> None:
    done = subprocess.run([program, "selftest", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok ") >= 4, done.stdout


def test_a_picture_is_segmented(program: Path, folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "noise.png"
    cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8))
    done = subprocess.run(
        [program, "image", folder, picture, "--output", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    engine = "lite" if platform.machine() == "x86_64" else "onnxruntime"
    expected = Segmenter(folder, engine=engine)(read_image(picture))
    written = json.loads(next(tmp_path.rglob("noise.json")).read_text(encoding="utf-8"))
    assert [written["height"], written["width"]] == [240, 320]
    if isinstance(expected, InstanceResult):
        shown = expected.above(MIN_SCORE)
        assert len(written["results"]) == len(shown)
        np.testing.assert_allclose([one["score"] for one in written["results"]], shown.scores, atol=1e-3)
        return
    labels = read_label(next((tmp_path / "labels").rglob("noise.png")))
    assert np.mean(labels == expected.labels) > 0.999


def test_stages_around_the_engine_are_small(program: Path, folder: Path, tmp_path: Path) -> None:
    """End to end without drawing at most 1.1 times the engine's own time."""
    path = tmp_path / "rows.json"
    done = subprocess.run(
        [program, "benchmark", folder, "--runs", "50", "--output", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    stages = json.loads(path.read_text())["rows"][0]["stages"]
    whole = sum(stages[stage]["median_ms"] for stage in ("preprocess", "inference", "postprocess"))
    assert whole <= 1.1 * stages["inference"]["median_ms"]
