"""Bad input through the command line: one clear message with file and hint, exit code not 0, nothing lost."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.cli import main
from mobileseg.data.synthetic.datasets import generate
from mobileseg.weights.pdparams import save_pdparams

CONFIG = """\
batch_size: 2
iters: 2
num_workers: 0
log_iters: 1
train_dataset:
  type: Dataset
  dataset_root: {root}
  train_path: {root}/train.txt
  num_classes: 5
  mode: train
  transforms: [{{type: Normalize}}]
val_dataset:
  type: Dataset
  dataset_root: {root}
  val_path: {root}/val.txt
  num_classes: 5
  mode: val
  transforms: [{{type: Normalize}}]
model: {{type: MobileSeg, num_classes: 5, backbone: {{type: ShuffleNetV2_x0_25}}}}
loss: {{types: [&ce {{type: CrossEntropyLoss}}, *ce, *ce], coef: [1, 1, 1]}}
optimizer: {{type: SGD}}
lr_scheduler: {{type: PolynomialDecay, learning_rate: 0.01}}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset of four training and two validation images of 64x64."""
    folder = tmp_path / "data"
    generate(folder, train=4, val=2, size=(64, 64), clips=0, val_clips=0)
    return folder


@pytest.fixture
def config(root: Path, tmp_path: Path) -> Path:
    path = tmp_path / "small.yml"
    path.write_text(CONFIG.format(root=root), encoding="utf-8")
    return path


def drop_image(root: Path) -> str:
    (root / "images/train/00001.png").unlink()
    return "00001.png"


def truncate_image(root: Path) -> str:
    path = root / "images/train/00002.png"
    path.write_bytes(path.read_bytes()[:200])
    return "00002.png"


def shrink_mask(root: Path) -> str:
    Image.fromarray(np.zeros((32, 64), np.uint8)).save(root / "labels/train/00003.png")
    return "00003.png"


def strange_label(root: Path) -> str:
    Image.fromarray(np.full((64, 64), 77, np.uint8)).save(root / "labels/train/00000.png")
    return "77"


def empty_list(root: Path) -> str:
    (root / "train.txt").write_text("", encoding="utf-8")
    return "train.txt"


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    """Exit code and what stood on standard error."""
    code = main([str(word) for word in words])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("damage", [drop_image, truncate_image, shrink_mask, strange_label, empty_list])
def test_broken_data(damage: Callable[[Path], str], config: Path, root: Path, tmp_path: Path, capsys) -> None:
    word = damage(root)
    code, message = run(capsys, "train", config, "--save_dir", tmp_path / "run", "--no_eval")
    assert code == 3, message
    assert word in message
    assert "hint: " in message
    assert "Traceback" not in message


def test_what_cannot_be_started_leaves_no_run_folder(config: Path, root: Path, tmp_path: Path, capsys) -> None:
    weights = tmp_path / "other.pdparams"
    save_pdparams(weights, {"other": np.zeros(3, np.float32)})
    pretrained = ["-o", f"model.backbone.pretrained={weights}"]
    assert run(capsys, "train", config, "--save_dir", tmp_path / "run", *pretrained)[0] == 4
    empty_list(root)
    assert run(capsys, "train", config, "--save_dir", tmp_path / "run")[0] == 3
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", [drop_image, truncate_image, shrink_mask, strange_label, empty_list])
def test_the_doctor_finds_it_first(damage: Callable[[Path], str], config: Path, root: Path, capsys) -> None:
    word = damage(root)
    code = main(["doctor", "data", str(config)])
    printed = capsys.readouterr()
    assert code == 3
    assert word in printed.out + printed.err


def test_unknown_keys_are_all_named_with_their_lines(config: Path, tmp_path: Path, capsys) -> None:
    text = config.read_text(encoding="utf-8").replace("batch_size", "bach_size").replace("optimizer", "optimiser")
    config.write_text(text, encoding="utf-8")
    code, message = run(capsys, "train", config, "--save_dir", tmp_path / "run")
    assert code == 2
    assert "small.yml:1" in message
    assert "batch_size" in message
    assert "optimizer" in message
    assert not (tmp_path / "run").exists()


def test_checkpoint_of_another_network(config: Path, tmp_path: Path, capsys) -> None:
    assert main(["train", str(config), "--save_dir", str(tmp_path / "run"), "--no_eval"]) == 0
    capsys.readouterr()
    other = ["-o", "model.backbone.type=GhostNet_x0_5"]
    code, message = run(capsys, "val", config, "--model_path", tmp_path / "run", *other)
    assert code == 4
    assert "hint: " in message
    assert "Traceback" not in message


def test_folder_that_cannot_be_written(config: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    for place in (tmp_path / "file" / "run", Path("/proc/mobileseg")):
        code, message = run(capsys, "train", config, "--save_dir", place)
        assert code != 0
        assert str(place) in message
    assert (tmp_path / "file").read_text(encoding="utf-8") == "not a folder"


class Harmful:
    """Pickles to a call of os.mkdir."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_weights_that_would_run_code_are_refused(config: Path, tmp_path: Path, capsys) -> None:
    bad = tmp_path / "bad.pdparams"
    bad.write_bytes(pickle.dumps({"weight": Harmful(tmp_path / "harm")}))
    code, message = run(capsys, "val", config, "--model_path", bad)
    assert code == 4
    assert "mkdir" in message
    assert not (tmp_path / "harm").exists()


def test_yaml_that_would_run_code_is_refused(tmp_path: Path, capsys) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(f"iters: !!python/object/apply:os.mkdir ['{tmp_path}/harm']\n", encoding="utf-8")
    code, _ = run(capsys, "train", bad)
    assert code == 2
    assert not (tmp_path / "harm").exists()


def test_predicting_goes_on_after_a_broken_image(config: Path, root: Path, tmp_path: Path, capsys) -> None:
    assert main(["train", str(config), "--save_dir", str(tmp_path / "run"), "--no_eval"]) == 0
    truncated = root / "images/val/00000.png"
    truncated.write_bytes(truncated.read_bytes()[:100])
    model = ["--config", str(config), "--model_path", str(tmp_path / "run")]
    code = main(["predict", *model, "--output", str(tmp_path / "images"), str(root / "images/val")])
    printed = capsys.readouterr()
    assert code == 3
    assert "00000.png" in printed.out + printed.err
    assert list((tmp_path / "images").rglob("*00001*")), "the good image was not segmented"
