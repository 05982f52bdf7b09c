"""The four engines on one small graph: same labels, results of the caller's own, clear failures."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import RuntimeEngineError
from mobileseg.files import sha256_of
from mobileseg.runtime.engines.registry import available, load
from tests.runtime.artefacts import artefact, rewritten

ROOT = Path(__file__).parents[3]

RUN = """
import sys
import numpy as np
from mobileseg.runtime.engines.registry import load
folder, names = sys.argv[1], sys.argv[2:]
pixels = np.random.default_rng(0).normal(size=(1, 3, 16, 24)).astype(np.float32)
for name in names:
    engine = load(folder, name, threads=2)
    (spec,) = engine.outputs("main")
    first = engine.run("main", {"x": pixels})[spec.name]
    kept = first.copy()
    engine.run("main", {"x": -pixels})
    assert (first == kept).all(), f"{name}: the result of one run was changed by the next"
    labels = first if spec.kind == "labels" else first.argmax(1)
    assert (labels == pixels.argmax(1)).all(), f"{name}: wrong labels"
    assert first.flags.owndata or first.base is not None
print("agreed")
"""


SIZES = """
import sys
import numpy as np
from mobileseg.runtime.engines.registry import load
engine = load(sys.argv[1], sys.argv[2])
(spec,) = engine.outputs("main")
for size in ((16, 24), (40, 56), (8, 8), (16, 24)):
    pixels = np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32)
    result = engine.run("main", {"x": pixels})[spec.name]
    labels = result if spec.kind == "labels" else result.argmax(1)
    assert (labels == pixels.argmax(1)).all(), f"wrong labels at {size}"
print("agreed")
"""

THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from mobileseg.runtime.segmenter import Segmenter
segmenter = Segmenter(sys.argv[1], engine=sys.argv[2])
images = [np.random.default_rng(seed).integers(0, 256, (16, 24, 3), dtype=np.uint8) for seed in range(60)]
alone = [segmenter(image).labels for image in images]
assert len({labels.tobytes() for labels in alone}) == len(images)
with ThreadPoolExecutor(6) as pool:
    together = list(pool.map(lambda image: segmenter(image).labels, images * 4))
wrong = sum(not (one == other).all() for one, other in zip(alone * 4, together))
assert not wrong, f"{wrong} of {len(together)} results are wrong"
print("agreed")
"""


def colour_graphs(path: Path, *flags: str) -> Path:
    """The colour graph for every engine."""
    if any(available().values()):
        pytest.skip(f"needs all engines: {' '.join(reason for reason in available().values() if reason)}")
    command = [sys.executable, "-m", "tests.runtime.paddle_artefacts", str(path), *flags]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr.decode()
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_graphs(tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="session")
def dynamic_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_graphs(tmp_path_factory.mktemp("dynamic"), "--dynamic")


def run(script: str, folder: Path, *engines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, str(folder), *engines], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("engines", [("onnxruntime", "ncnn"), ("lite", "paddle"), ("paddle", "lite", "onnxruntime")])
def test_engines_agree_also_together_in_one_process(folder: Path, engines: tuple[str, ...]) -> None:
    """Paddle and Paddle Lite each bring a copy of the OpenMP library; opening both would abort."""
    done = run(RUN, folder, *engines)
    assert done.stdout.endswith("agreed\n"), done.stderr


@pytest.mark.parametrize("engine", ["onnxruntime", "lite", "paddle", "ncnn"])
def test_one_engine_takes_growing_and_shrinking_images(dynamic_folder: Path, engine: str) -> None:
    done = run(SIZES, dynamic_folder, engine)
    assert done.stdout.endswith("agreed\n"), done.stderr


@pytest.mark.parametrize("engine", ["onnxruntime", "lite", "paddle", "ncnn"])
def test_one_segmenter_serves_several_threads(folder: Path, engine: str) -> None:
    done = run(THREADS, folder, engine)
    assert done.stdout.endswith("agreed\n"), done.stderr


@pytest.mark.parametrize("engine", ["onnxruntime", "ncnn"])
def test_a_file_that_is_no_graph_is_named(tmp_path: Path, folder: Path, engine: str) -> None:
    from mobileseg.runtime.manifest import Manifest

    manifest = Manifest.read(folder)
    for name in manifest.files:
        (tmp_path / name).write_bytes(b"this is no graph")
    rewritten(tmp_path, manifest, files={name: sha256_of(tmp_path / name) for name in manifest.files})
    with pytest.raises(RuntimeEngineError, match=r"cannot load .*model\."):
        load(tmp_path, engine)


def test_ncnn_returns_what_its_own_files_say(folder: Path) -> None:
    engine = load(folder, "ncnn")
    assert [spec.kind for spec in engine.outputs("main")] == ["logits"]
    assert [spec.kind for spec in engine.manifest.outputs_of()] == ["labels"]
    pixels = np.random.default_rng(1).normal(size=(1, 3, 16, 24)).astype(np.float32)
    np.testing.assert_allclose(engine.run("main", {"x": pixels})["logits"], 2 * pixels, rtol=1e-6)


@pytest.mark.parametrize("output", ["labels", "logits", "probabilities"])
def test_onnxruntime_returns_every_kind_of_output(tmp_path: Path, output: str) -> None:
    artefact(tmp_path, output=output)
    pixels = np.random.default_rng(2).normal(size=(1, 3, 16, 24)).astype(np.float32)
    result = load(tmp_path, "onnxruntime").run("main", {"x": pixels})[output]
    if output == "labels":
        np.testing.assert_array_equal(result, pixels.argmax(1))
    else:
        wide = np.exp(2 * pixels.astype(np.float64))
        expected = 2 * pixels if output == "logits" else wide / wide.sum(1, keepdims=True)
        np.testing.assert_allclose(result, expected, rtol=1e-5)
