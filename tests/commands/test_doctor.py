"""`mobileseg doctor` from the command line to the exit code."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.cli import main
from mobileseg.export.verify import TargetRow
from tests.data.coco_folder import CocoFolder

CONFIG = """
batch_size: 2
iters: 4
train_dataset:
  type: Dataset
  dataset_root: {root}
  train_path: train.txt
  num_classes: 2
  mode: train
  transforms:
    - {{type: RandomPaddingCrop, crop_size: [16, 16]}}
    - {{type: Normalize}}
val_dataset:
  type: Dataset
  dataset_root: {root}
  val_path: val.txt
  num_classes: 2
  mode: val
  transforms: [{{type: Normalize}}]
model:
  type: MobileSeg
  backbone: {{type: MobileNetV2_x1_0}}
loss: {{types: [{{type: CrossEntropyLoss}}], coef: [1]}}
optimizer: {{type: SGD}}
lr_scheduler: {{type: PolynomialDecay, learning_rate: 0.01}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with four training and two validation images of two classes."""
    rng = np.random.default_rng(0)
    for name, count in (("train", 4), ("val", 2)):
        lines = []
        for index in range(count):
            stem = f"{name}{index}"
            small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
            small.resize((32, 24), Image.Resampling.BICUBIC).save(tmp_path / f"{stem}.jpg")
            Image.fromarray(rng.integers(0, 2, (24, 32), dtype=np.uint8)).save(tmp_path / f"{stem}.png")
            lines.append(f"{stem}.jpg {stem}.png\n")
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    path = tmp_path / "config.yml"
    path.write_text(CONFIG.format(root=tmp_path))
    return path


def test_good_data_may_train(config: Path, capsys) -> None:
    assert main(["doctor", "data", str(config)]) == 0
    assert "training may start" in capsys.readouterr().out


def test_json(config: Path, capsys) -> None:
    assert main(["doctor", "data", str(config), "--json", "--limit", "2"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["may_train"] is True
    assert report["splits"]["train"]["scanned"] == 2


@pytest.fixture
def instances(tmp_path: Path) -> Path:
    """A configuration with three training and two validation images of two classes of objects."""
    folder = CocoFolder(tmp_path)
    folder.document("train")
    folder.document("val", images=2)
    parts = []
    for split in ("train", "val"):
        folder.write(split)
        parts.append(
            f"{split}_dataset: {{type: CocoInstances, dataset_root: {tmp_path}, annotation_file: {split}.json, "
            f"mode: {split}, transforms: [{{type: Resize, target_size: [32, 32]}}, {{type: Normalize}}]}}\n"
        )
    path = tmp_path / "config.yml"
    path.write_text("batch_size: 2\niters: 4\n" + "".join(parts))
    return path


def test_objects(instances: Path, capsys) -> None:
    assert main(["doctor", "data", str(instances)]) == 0
    assert "6 objects, 0 crowd regions" in capsys.readouterr().out


def test_images_that_training_leaves_out_are_examined(instances: Path, capsys) -> None:
    path = instances.parent / "train.json"
    document = json.loads(path.read_text())
    document["annotations"] = document["annotations"][:2]
    path.write_text(json.dumps(document))
    assert main(["doctor", "data", str(instances), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["splits"]["train"]["images"] == 3
    assert report["splits"]["train"]["images_without_objects"] == 2


def test_annotations_that_are_refused_are_all_listed(instances: Path, capsys) -> None:
    path = instances.parent / "train.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["image_id"] = 77
    document["annotations"][1]["category_id"] = 77
    path.write_text(json.dumps(document))
    assert main(["doctor", "data", str(instances), "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    found = {finding["code"]: finding for finding in report["findings"] if finding["level"] == "error"}
    assert set(found) == {"annotation-orphan", "category-unknown"}
    assert "annotation 100 (image 77)" in found["annotation-orphan"]["files"][0]
    assert list(report["splits"]) == ["val"]


def test_parts_are_examined_as_a_dataset_alone_is(instances: Path, capsys) -> None:
    """Images that training leaves out are read, and every annotation that is refused is listed."""
    part = f"{{type: CocoInstances, dataset_root: {instances.parent}, annotation_file: %s.json}}"
    parts = ", ".join(f"{{dataset: {part % name}}}" for name in ("train", "val"))
    instances.write_text(f"train_dataset: {{type: Concat, parts: [{parts}], transforms: [{{type: Normalize}}]}}\n")
    path = instances.parent / "train.json"
    document = json.loads(path.read_text())
    whole, document["annotations"] = document["annotations"], document["annotations"][:2]
    path.write_text(json.dumps(document))
    assert main(["doctor", "data", str(instances), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["splits"]["train"]["images_without_objects"] == 2
    path.write_text(json.dumps(document | {"annotations": [entry | {"category_id": 77} for entry in whole]}))
    assert main(["doctor", "data", str(instances), "--json"]) == 3
    codes = {finding["code"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert "category-unknown" in codes
    for wrong in ("[3, {dataset: 4}]", "[{ratio: 1}, {dataset: {type: Nothing}}]", "7"):
        instances.write_text(f"train_dataset: {{type: Concat, parts: {wrong}}}\n")
        assert main(["doctor", "data", str(instances), "--json"]) != 0


def test_no_coco_file(instances: Path, capsys) -> None:
    (instances.parent / "train.json").write_text("[]")
    assert main(["doctor", "data", str(instances), "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert "dataset-unusable" in {finding["code"] for finding in report["findings"]}


def test_truncated_image(config: Path, capsys) -> None:
    image = config.parent / "train2.jpg"
    image.write_bytes(image.read_bytes()[:-20])
    assert main(["doctor", "data", str(config), "--json"]) == 3
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["code"], finding["files"]) == ("image-truncated", [str(image)])


def test_binary_masks_and_the_fix_that_is_offered(config: Path, capsys) -> None:
    for label in config.parent.glob("*.png"):
        Image.fromarray(np.asarray(Image.open(label)) * 255).save(label)
    assert main(["doctor", "data", str(config)]) == 3
    assert "did you mean class 1? write 'label_map: {0: 0, 255: 1}'" in capsys.readouterr().out
    fix = ["train_dataset.label_map={0: 0, 255: 1}", "val_dataset.label_map={0: 0, 255: 1}"]
    assert main(["doctor", "data", str(config), "-o", *fix]) == 0


def test_training_stops_at_binary_masks_before_it_builds(config: Path, capsys) -> None:
    for label in config.parent.glob("*.png"):
        Image.fromarray(np.asarray(Image.open(label)) * 255).save(label)
    assert main(["train", str(config), "--save_dir", str(config.parent / "run"), "--num_workers", "0"]) == 3
    assert "did you mean class 1?" in capsys.readouterr().err


def test_leak(config: Path, capsys) -> None:
    assert main(["doctor", "data", str(config), "-o", "val_dataset.val_path=train.txt"]) == 3
    assert "leak-path" in capsys.readouterr().out


def test_wrong_separator_of_one_list_still_reads_the_other(config: Path, capsys) -> None:
    (config.parent / "train.txt").write_text("train0.jpg,train0.png\n")
    assert main(["doctor", "data", str(config)]) == 3
    output = capsys.readouterr().out
    assert "ERROR dataset-unusable [train]" in output
    assert 'write separator: ","' in output
    assert "val: 2 images" in output


def test_missing_folder_and_missing_section(config: Path, tmp_path: Path, capsys) -> None:
    assert main(["doctor", "data", str(config), "-o", "train_dataset.dataset_root=gone", "val_dataset=null"]) == 3
    output = capsys.readouterr().out
    assert "the folder gone of the dataset Dataset does not exist" in output
    assert f"{config.name}" in output
    assert "WARNING dataset-missing [val]" in output


def test_mistaken_arguments(config: Path, capsys) -> None:
    assert main(["doctor", "data", str(config), "--limit", "0"]) == 2
    assert main(["doctor", "data", str(config.parent / "no.yml")]) == 2
    assert capsys.readouterr().err.count("error:") == 2


def test_config_is_explained(config: Path, capsys) -> None:
    assert main(["doctor", "config", str(config), "-o", "iters=7"]) == 0
    output = capsys.readouterr().out
    assert "config.yml is correct" in output
    line = next(line for line in output.splitlines() if line.startswith("iters"))
    assert "7" in line
    assert "-o iters=7" in line
    assert main(["doctor", "config", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["batch_size"] == 2


def test_config_shows_the_range_of_the_pixels_behind_every_transform(config: Path, capsys) -> None:
    assert main(["doctor", "config", str(config)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["RandomPaddingCrop", "0..255"] in lines
    assert lines.count(["Normalize", "-1..1"]) == 2
    assert main(["doctor", "config", str(config), "--json"]) == 0
    links = json.loads(capsys.readouterr().out)["pipelines"]["train_dataset"]
    assert links == [
        {"transform": "RandomPaddingCrop", "gives": [0, 255]},
        {"transform": "Normalize", "gives": [-1, 1]},
    ]


def test_normalising_twice_is_refused_by_doctor_and_training(config: Path, tmp_path: Path, capsys) -> None:
    text = config.read_text().replace("    - {type: Normalize}\n", "    - {type: Normalize}\n    - {type: Normalize}\n")
    config.write_text(text)
    for command in (["doctor", "config"], ["doctor", "data"], ["train", "--save_dir", str(tmp_path / "run")]):
        code = main([*command[:2], str(config)] if command[0] == "doctor" else ["train", str(config), *command[1:]])
        printed = capsys.readouterr()
        assert code in (2, 3)
        assert "transform number 3, Normalize, takes pixels of 0..255; behind Normalize" in printed.out + printed.err
    assert not (tmp_path / "run").exists()


def test_config_with_mistakes(config: Path, capsys) -> None:
    config.write_text(config.read_text().replace("crop_size", "crop_sise").replace("iters: 4", "iterations: 4"))
    assert main(["doctor", "config", str(config)]) == 2
    assert "iterations" in capsys.readouterr().err
    config.write_text(config.read_text().replace("iterations: 4", "iters: 4"))
    assert main(["doctor", "config", str(config)]) == 2
    assert "crop_sise" in capsys.readouterr().err


def test_config_files(config: Path, capsys) -> None:
    gone = ["-o", "train_dataset.dataset_root=gone"]
    assert main(["doctor", "config", str(config), *gone]) == 2
    assert "gone" in capsys.readouterr().err
    assert main(["doctor", "config", str(config), "--no-files", *gone]) == 0


def test_environment(capsys) -> None:
    assert main(["doctor", "env", "--quick"]) == 0
    assert "python" in capsys.readouterr().out
    assert main(["doctor", "env", "--quick", "--json"]) == 0
    levels = {finding["level"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert "ok" in levels
    assert "error" not in levels


def test_model_of_a_folder_that_is_none(tmp_path: Path, capsys) -> None:
    assert main(["doctor", "model", str(tmp_path)]) == 7
    assert "deploy.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["onnx: labels differ"], 6)])
def test_model_table(monkeypatch, tmp_path: Path, capsys, problems: list[str], code: int) -> None:
    """Formatting and exit code; what replay finds is tested with the export."""
    rows = [
        TargetRow("onnx", "onnxruntime", "failed" if problems else "ok", 2e-6, 0.999, 5_400_000, 7.25, tuple(problems)),
        TargetRow("lite_arm", "", "converted-not-run", size_bytes=1_000_000),
    ]
    asked = []
    monkeypatch.setattr(
        "mobileseg.export.verify.replay", lambda *arguments: asked.append(arguments) or (rows, problems)
    )
    assert main(["doctor", "model", str(tmp_path), "--engine", "onnxruntime"]) == code
    assert asked == [(str(tmp_path), ["onnxruntime"])]
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["onnx", "onnxruntime", rows[0].status, "2.0e-06", "0.9990", "5400", "7.2"]
    assert lines[2].split() == ["lite_arm", "-", "converted-not-run", "-", "-", "1000", "-"]
    assert lines[3].startswith("ERROR onnx: labels differ" if problems else str(tmp_path))
    assert main(["doctor", "model", str(tmp_path), "--json"]) == code
    assert json.loads(capsys.readouterr().out)["problems"] == problems


def test_photographs(photos: Path, config: Path, capsys) -> None:
    text = config.read_text().replace(str(config.parent), str(photos / "camvid")).replace("num_classes: 2", "seed: 0")
    config.write_text(text)
    assert main(["doctor", "data", str(config), "--limit", "20"]) == 0
    assert "bicyclist" in capsys.readouterr().out
