"""From a training with the newer Paddle to graphs that every engine runs, through the real converter environment."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from mobileseg import converter
from mobileseg.data.synthetic.datasets import generate
from mobileseg.data.synthetic.video import generate_clips
from mobileseg.runtime.manifest import Manifest
from tests.converting import NEWER, pythons, run_on
from tests.processes import LIMIT, run_alone, started
from tests.training.toy import REPOSITORY

pytestmark = [pytest.mark.both, pytest.mark.long]

SIZE = 96
BACKBONE = {"type": "MobileNetV2_x0_25"}
NORMALIZE = {"type": "Normalize"}
NETWORKS: dict[str, dict[str, Any]] = {
    "MobileSeg": {"num_classes": 5},
    "MobileYolact": {"num_classes": 4, "input_size": SIZE, "anchor_scales": [12, 24, 48, 72, 96]},
    "MobileYolactEdge": {"num_classes": 4, "input_size": SIZE, "anchor_scales": [12, 24, 48, 72, 96]},
    "MobileInst": {"num_classes": 4, "channels": 32, "mask_channels": 16, "num_queries": 12, "hidden": 48, "heads": 4},
}
CROSS_ENTROPY = {"types": [{"type": "CrossEntropyLoss"}] * 3, "coef": [1.0, 0.4, 0.4]}
LOSSES = {"MobileSeg": CROSS_ENTROPY, "MobileInst": {"types": [{"type": "MobileInstLoss"}]}}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with blanks in its name, and scenes and clips in it."""
    pythons()
    folder = tmp_path_factory.mktemp("hand over") / "with blanks, and ü"
    generate(folder / "scenes", train=12, val=6, size=(SIZE, SIZE), clips=0, val_clips=0)
    generate_clips(folder / "clips", train=2, val=2, length=6, size=[SIZE, SIZE])
    return folder


def section(kind: str, work: Path) -> dict[str, Any]:
    """A configuration that trains the network for a moment."""
    data = {"type": "CocoInstances", "dataset_root": str(work / "scenes")}
    if kind == "MobileSeg":
        data = {"type": "Dataset", "dataset_root": str(work / "scenes"), "num_classes": 5}
    elif kind != "MobileYolact":
        data = {"type": "YouTubeVIS", "dataset_root": str(work / "clips")}
        data["classes"] = ["stripes", "checks", "dots", "rings"]  # type: ignore[assignment]
    lists = {mode: {f"{mode}_path": str(work / "scenes" / f"{mode}.txt")} for mode in ("train", "val")}
    datasets = {
        mode: data | {"mode": mode, "transforms": [NORMALIZE]} | (lists[mode] if kind == "MobileSeg" else {})
        for mode in ("train", "val")
    }
    video = {"video": {"stage": "base"}} if kind in ("MobileYolactEdge", "MobileInst") else {}
    return video | {
        "batch_size": 4,
        "iters": 30,
        "num_workers": 0,
        "train_dataset": datasets["train"],
        "val_dataset": datasets["val"],
        "model": {"type": kind, "backbone": BACKBONE} | NETWORKS[kind],
        "loss": LOSSES.get(kind, {"types": [{"type": "YolactLoss"}]}),
        "optimizer": {"type": "AdamW"},
        "lr_scheduler": {"type": "PolynomialDecay", "learning_rate": 2e-3, "warmup_iters": 5},
        "clip": {"norm": 10.0},
        "ema": {"decay": 0.9},
        "export": {"size": {"height": SIZE, "width": SIZE}},
    }


def trained(kind: str, work: Path) -> Path:
    """The run folder of a short training with the newer Paddle."""
    run = work / f"run of {kind}"
    if not run.exists():
        file = work / f"{kind}.yml"
        file.write_text(yaml.safe_dump(section(kind, work)))
        done = run_on(NEWER, "train", str(file), "--save_dir", str(run), "--device", "cpu", "--no_eval")
        assert done.returncode == 0, done.stderr
    return run


@pytest.mark.parametrize("kind", list(NETWORKS))
def test_what_was_trained_here_is_exported_there_and_runs_here(kind: str, work: Path) -> None:
    run, folder = trained(kind, work), work / f"exported {kind}"
    words = ["--config", str(run / "config.yml"), "--model_path", str(run / "last"), "--save_dir", str(folder)]
    done = run_on(NEWER, "export", *words, "--accept_weak")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"converter environment: {converter.converter()}" in done.stderr
    manifest = Manifest.read(folder)
    assert manifest.versions["paddlepaddle"] == "2.6.2"
    status = {row.engine: row.status for row in manifest.verification}
    expected = dict.fromkeys(("paddle", "onnx", "lite_x86", "ncnn"), "ok") | {"lite_arm": "converted-not-run"}
    assert status == expected
    scored = ["--config", str(run / "config.yml")]
    for words in (["--model_path", str(run / "last")], ["--model", str(folder), "--engine", "onnxruntime"]):
        done = run_on(NEWER, "val", *scored, *words)
        assert done.returncode == 0, done.stdout + done.stderr


def copied(work: Path) -> Path:
    """The converter environment once more, its files by links, so that it can be damaged."""
    place = work / "a converter"
    shutil.copytree(converter.place(), place, symlinks=True, copy_function=os.link)
    return place


def test_a_converter_that_is_deleted_while_it_works(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message names the command that makes it; no folder is left that looks like an exported model."""
    run, place, folder = trained("MobileSeg", work), copied(work), work / "deleted"
    monkeypatch.setenv(converter.VARIABLE, str(place))
    words = ["export", "--config", str(run / "config.yml"), "--model_path", str(run / "last")]
    command = [sys.executable, "-m", "mobileseg", *words, "--save_dir", str(folder), "--accept_weak"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, **pipes) as process:
        assert process.stderr is not None
        while "converter environment" not in process.stderr.readline():
            assert process.poll() is None
        shutil.rmtree(place)
        out, err = process.communicate(timeout=LIMIT)
    assert process.returncode != 0
    assert "Traceback" not in err, err
    assert "make setup-converter" in err, out + err
    assert not (folder / "deploy.yaml").exists()


def test_ctrl_c_while_it_works_leaves_nothing(work: Path) -> None:
    run, folder = trained("MobileSeg", work), work / "interrupted"
    words = ["export", "--config", str(run / "config.yml"), "--model_path", str(run / "last")]
    command = [sys.executable, "-m", "mobileseg", *words, "--save_dir", str(folder), "--accept_weak"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, **pipes) as process:
        assert process.stdout is not None
        while "verify with images" not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(2)
        os.killpg(process.pid, signal.SIGINT)  # the whole group, as a terminal does
        _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert not [path.name for path in work.iterdir() if "interrupted" in path.name]


FULL_DISK = 'mount -t tmpfs -o size=1m none "$1" && shift && exec "$@"'


def test_a_full_disk_is_one_message(work: Path) -> None:
    """In a mount of its own, which only this program sees."""
    run, small = trained("MobileSeg", work), work / "small disk"
    small.mkdir()
    alone = ["unshare", "-rm", "sh", "-c", FULL_DISK, "sh", str(small)]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount (unshare -rm)")
    words = ["export", "--config", str(run / "config.yml"), "--model_path", str(run / "last")]
    command = [*alone, sys.executable, "-m", "mobileseg", *words, "--save_dir", str(small / "model"), "--accept_weak"]
    done = run_alone(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    assert done.returncode == 74, done.stdout + done.stderr
    assert "error: the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
