"""`make test-lite`: the C++ program on a real Paddle Lite, with a network of the zoo that is exported for it."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = sorted((ROOT / "zoo").glob("*/model.pdparams"))[0].parent
    target = tmp_path_factory.mktemp("export")
    machine = "lite_x86" if platform.machine() == "x86_64" else "lite_arm"
    command = ["-m", "mobileseg", "export", "--model", model, "--size", "256", "256", "--targets", machine]
    call(sys.executable, *command, "--overwrite", "--save_dir", target)
    return target


def test_the_reference_is_answered(program: Path, folder: Path) -> None:
    done = subprocess.run([program, "selftest", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok ") == 4


def test_stages_around_the_engine_are_small(program: Path, folder: Path, tmp_path: Path) -> None:
    """End to end without drawing at most 1.1 times the engine's own time."""
    import json

    path = tmp_path / "rows.json"
    done = subprocess.run(
        [program, "benchmark", folder, "--runs", "50", "--output", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    stages = json.loads(path.read_text())["rows"][0]["stages"]
    whole = sum(stages[stage]["median_ms"] for stage in ("preprocess", "inference", "postprocess"))
    assert whole <= 1.1 * stages["inference"]["median_ms"]
