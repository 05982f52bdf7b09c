"""Every training begins with the check of its dataset, whatever the task."""

import json

import cv2
import numpy as np
import pytest
import yaml

from mobileseg.cli import main
from mobileseg.errors import DataError
from tests.training.toy import toy_section
from tests.training.toy_instances import toy_instance_section

pytestmark = pytest.mark.both


def train(path, run):
    return main(
        [
            "train",
            str(path),
            "--save_dir",
            str(run),
            "--device",
            "cpu",
            "--iters",
            "1",
            "-o",
            "lr_scheduler.warmup_iters=0",
        ]
    )


def test_boxes_that_are_corners_stop_a_training(instance_data, tmp_path, capsys):
    file = instance_data / "annotations" / "instances_train.json"
    document = json.loads(file.read_text())
    for one in document["annotations"]:
        x, y, width, height = one["bbox"]
        one["bbox"] = [x, y, x + width, y + height]
    (tmp_path / "corners.json").write_text(json.dumps(document))
    section = toy_instance_section(instance_data)
    section["train_dataset"] |= {"annotation_file": str(tmp_path / "corners.json"), "image_dir": "images/train"}
    (tmp_path / "corners.yml").write_text(yaml.safe_dump(section))
    assert train(tmp_path / "corners.yml", tmp_path / "run") == DataError.exit_code
    assert "they fit as x1, y1, x2, y2" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    section["train_dataset"]["annotation_file"] = str(file)
    (tmp_path / "right.yml").write_text(yaml.safe_dump(section))
    assert train(tmp_path / "right.yml", tmp_path / "run") == 0


def test_labels_of_0_and_255_stop_a_training(toy_data, tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = []
    for line in (toy_data / "train.txt").read_text().splitlines():
        image, label = line.split()
        mask = np.where(rng.random((32, 32)) < 0.5, 255, 0).astype(np.uint8)
        cv2.imwrite(str(tmp_path / label), mask)
        lines.append(f"{toy_data / image} {tmp_path / label}")
    (tmp_path / "train.txt").write_text("\n".join(lines))
    section = toy_section(toy_data)
    section["train_dataset"]["train_path"] = str(tmp_path / "train.txt")
    (tmp_path / "masks.yml").write_text(yaml.safe_dump(section))
    assert train(tmp_path / "masks.yml", tmp_path / "run") == DataError.exit_code
    assert "label_map" in capsys.readouterr().err
