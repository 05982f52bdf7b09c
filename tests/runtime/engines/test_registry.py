import re
import sys
from pathlib import Path

import pytest

from mobileseg.errors import DependencyError, RuntimeEngineError
from mobileseg.runtime.engines.registry import ENGINES, available, choose, fitting, load
from mobileseg.runtime.specs import GraphFiles
from tests.manifests import changed
from tests.runtime.artefacts import artefact

ROOT = Path(__file__).parents[3]


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch):
    """Makes packages look as if they were not installed."""

    def hide(*packages: str) -> None:
        for package in packages:
            monkeypatch.setitem(sys.modules, package, None)

    return hide


def test_available_gives_a_reason_for_what_is_missing(absent) -> None:
    absent("onnxruntime")
    reasons = available()
    assert set(reasons) == {"onnxruntime", "lite", "ncnn", "paddle"}
    assert "'onnxruntime' is not installed" in reasons["onnxruntime"]
    assert "pip install" in reasons["onnxruntime"]


def test_missing_package_is_a_dependency_error(tmp_path: Path, absent) -> None:
    artefact(tmp_path)
    absent("onnxruntime")
    with pytest.raises(DependencyError, match="pip install 'onnxruntime"):
        load(tmp_path, "onnxruntime")


def test_unknown_engine_and_thread_count(tmp_path: Path) -> None:
    artefact(tmp_path)
    with pytest.raises(RuntimeEngineError, match="no engine 'openvino'") as caught:
        load(tmp_path, "openvino")
    assert "onnxruntime" in caught.value.remedy
    for threads in (0, 100_000):
        with pytest.raises(RuntimeEngineError, match=f"threads is {threads}, expected 1 to 512"):
            load(tmp_path, "onnxruntime", threads=threads)


def test_an_engine_without_a_file_is_refused_before_it_is_imported(tmp_path: Path, absent) -> None:
    artefact(tmp_path)
    absent("paddle")
    with pytest.raises(RuntimeEngineError, match="no 'paddle' file"):
        load(tmp_path, "paddle")


def test_auto_takes_the_first_installed_engine_with_a_file(tmp_path: Path, absent) -> None:
    manifest = artefact(tmp_path)
    lite = GraphFiles(model="m.nb")
    onnx = manifest.graphs["main"].files["onnx"]
    both = changed(manifest, engines={"lite_x86": lite, "onnx": onnx})
    assert load(tmp_path, "auto").name == "onnxruntime"
    assert fitting(both)[0] == "onnxruntime"
    absent("onnxruntime")
    if not available()["lite"]:
        assert choose(both) == "lite"
    absent("paddlelite")
    with pytest.raises(DependencyError, match="needs one of the engines onnxruntime, lite, none is installed"):
        choose(both)


def test_a_folder_that_only_a_phone_can_run_is_named(tmp_path: Path) -> None:
    manifest = changed(artefact(tmp_path), engines={"lite_arm": GraphFiles(model="m.nb")})
    with pytest.raises(RuntimeEngineError, match="it has lite_arm"):
        choose(manifest)


def test_pip_lines_and_extras_are_those_of_the_distribution() -> None:
    listed = re.split(r"[\s;#]", " ".join(path.read_text() for path in sorted(ROOT.glob("requirements*.txt"))))
    setup = (ROOT / "setup.py").read_text()
    for info in ENGINES.values():
        assert info.requirement in listed, f"{info.requirement} is in no requirements file"
        assert f'"{info.extra}"' in setup, f"setup.py has no extra '{info.extra}'"
