"""A third task is one folder: tests/third_task/counting goes the whole way without a word of it in the suite.

Two graphs, a counter as state. It joins as another distribution would, through an entry point.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

ROOT = Path(__file__).parents[1]
COUNTING = ROOT / "tests" / "third_task"
SIZE = (24, 32)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the distribution's entry point, data and a configuration."""
    folder = tmp_path_factory.mktemp("third")
    info = folder / "site" / "counting-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mobileseg.tasks]\ncounting = counting\n")
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        lines = []
        for index in range(6):
            label = (rng.random(SIZE) < (index + 1) / 8).astype(np.uint8)
            cv2.imwrite(str(folder / f"{part}{index}.png"), np.repeat(label[..., None], 3, 2) * 200 + 20)
            cv2.imwrite(str(folder / f"{part}{index}_label.png"), label)
            lines.append(f"{part}{index}.png {part}{index}_label.png\n")
        (folder / f"{part}.txt").write_text("".join(lines))
    dataset = {"type": "CountingDataset", "dataset_root": str(folder), "num_classes": 2}
    normalize = [{"type": "Normalize"}]
    config = {
        "plugins": [str(COUNTING / "counting" / "network.py")],
        "iters": 60,
        "batch_size": 2,
        "save_interval": 20,
        "log_iters": 20,
        "num_workers": 0,
        "train_dataset": dataset | {"mode": "train", "train_path": str(folder / "train.txt"), "transforms": normalize},
        "val_dataset": dataset | {"mode": "val", "val_path": str(folder / "val.txt"), "transforms": normalize},
        "model": {"type": "Counter"},
        "loss": {"types": [{"type": "LevelLoss"}]},
        "optimizer": {"type": "SGD", "momentum": 0.9},
        "lr_scheduler": {"type": "PolynomialDecay", "learning_rate": 0.05},
        "export": {"size": {"height": SIZE[0], "width": SIZE[1]}},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    return folder


def python(place: Path, *words: str) -> str:
    """Run Python where the task is installed; returns what it printed."""
    paths = [str(place / "site"), str(COUNTING), str(ROOT)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def mobileseg(place: Path, *words: str) -> str:
    return python(place, "-m", "mobileseg", *words)


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    """Trained, and a second time from a third of the way on."""
    mobileseg(place, "train", str(place / "config.yml"), "--save_dir", str(place / "whole"))
    script = (
        "import sys; from mobileseg.config.load import load_config; from mobileseg.training.trainer import Trainer; "
        "config = load_config(sys.argv[1]); print(Trainer(config, sys.argv[2]).fit(resume=sys.argv[3]).reason)"
    )
    python(
        place,
        "-c",
        script,
        str(place / "config.yml"),
        str(place / "resumed"),
        str(place / "whole" / "checkpoints" / "iter_000020"),
    )
    return place / "whole"


def test_train_and_resume(place: Path, run: Path) -> None:
    from mobileseg.weights.read import read_weights

    whole, resumed = (read_weights(folder / "last" / "model.pdparams") for folder in (run, place / "resumed"))
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(value, resumed[name])
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [event["loss"] for event in events if event["event"] == "train"]
    assert losses[-1] < 0.5 * losses[0]


@pytest.fixture(scope="module")
def scores(place: Path, run: Path) -> dict:
    """What `val` says of the checkpoint."""
    target = place / "scores.json"
    mobileseg(place, "val", str(place / "config.yml"), "--model_path", str(run), "--json", str(target))
    return json.loads(target.read_text())


def test_val_streams_sequences(scores: dict) -> None:
    assert scores["metric"] == "closeness"
    assert scores["score"] > 0.8
    assert scores["frames"] == 2 * (1 + 2 + 3)


@pytest.fixture(scope="module")
def artefact(place: Path, run: Path) -> Path:
    words = ["--images", *(str(place / f"val{index}.png") for index in range(4)), "--save_dir", str(place / "artefact")]
    shown = mobileseg(place, "export", "--config", str(place / "config.yml"), "--model_path", str(run), *words)
    assert "counts equal" in shown
    assert len(re.findall(r" ok ", shown)) == 4, shown
    return place / "artefact"


def test_export_is_verified_as_a_stream_on_every_engine(place: Path, artefact: Path) -> None:
    block = yaml.safe_load((artefact / "deploy.yaml").read_text())["mobileseg"]
    assert list(block["graphs"]) == ["stem", "count"]
    assert block["pipelines"] == {"first": ["stem"], "later": ["stem", "count"]}
    assert block["state"] == {"first": {"kept": "one"}, "later": {"kept": "frames"}}
    shown = mobileseg(place, "doctor", "model", str(artefact))
    assert "gives what was verified" in shown


def test_a_stream_counts_and_a_wrong_state_is_refused(place: Path, artefact: Path) -> None:
    script = """
import sys, dataclasses
import numpy as np
from mobileseg import Segmenter
from mobileseg.errors import RuntimeEngineError
segmenter = Segmenter(sys.argv[1], engine=sys.argv[2])
stream = segmenter.stream()
image = np.full((24, 32, 3), 120, np.uint8)
frames = [stream.step(image) for _ in range(4)]
assert [frame.frames for frame in frames] == [1, 2, 3, 4], frames
assert abs(frames[3].total - 4 * frames[0].level) < 1e-4
assert segmenter(image).frames == 1
other = segmenter.stream(stream.state())
assert other.step(image).frames == 5 and stream.step(image).frames == 5
for make in (
    lambda: stream.step(np.zeros((10, 10, 3), np.uint8)),
    lambda: segmenter.stream(dataclasses.replace(stream.state(), artefact="another")),
):
    try:
        make()
        raise SystemExit("was not refused")
    except RuntimeEngineError as error:
        print(error.message)
stream.reset()
assert stream.step(np.zeros((10, 10, 3), np.uint8)).frames == 1
"""
    shown = [python(place, "-c", script, str(artefact), engine) for engine in ("onnxruntime", "ncnn", "lite", "paddle")]
    for lines in shown:
        assert "a frame is 10x10 (height x width), those before it were 24x32" in lines
        assert "the state is that of a stream of another artefact" in lines


def test_val_and_benchmark_of_the_exported_model(place: Path, artefact: Path, scores: dict) -> None:
    target = place / "exported.json"
    words = ["--model", str(artefact), "--engine", "onnxruntime", "--json", str(target)]
    mobileseg(place, "val", str(place / "config.yml"), *words)
    exported = json.loads(target.read_text())
    assert exported["frames"] == scores["frames"]
    assert exported["score"] == pytest.approx(scores["score"], abs=1e-5)
    shown = mobileseg(place, "benchmark", str(artefact), "--engines", "onnxruntime", "--runs", "5")
    assert "onnxruntime" in shown


def test_no_word_of_a_task_stands_outside_its_folder() -> None:
    """Neither as a literal in Python, C++ and shell, nor as a constant compared with; comments excepted."""
    allowed = re.compile(r"^mobileseg/(tasks\.py|semantic/|instance/)|^deploy/lite/src/tasks\.cc|^deploy/lite/tests/")
    literal = re.compile(r"""(["'])(semantic|instance)\1""")
    constant = r"(?:tasks\.)?(?:SEMANTIC|INSTANCE)\b"
    compared = re.compile(rf"[=!]= *{constant}|{constant} *[=!]=|in \({constant}")
    found = []
    for folder in ("mobileseg", "deploy", "tools", "test_tipc"):
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix not in (".py", ".cc", ".h", ".sh") or allowed.match(name) or "build/" in name:
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                code = re.sub(r"(#|//).*", "", line)
                if literal.search(code) or compared.search(code):
                    found.append(f"{name}:{number}: {line.strip()}")
    assert not found, "\n".join(found)
