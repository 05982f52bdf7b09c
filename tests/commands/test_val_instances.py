"""`mobileseg val` of instance segmentation models: the same numbers from weights and from exported models."""

import contextlib
import io
import json

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mobileseg.cli import main
from mobileseg.runtime.engines.registry import available
from tests.commands.blocks import CATEGORY_IDS, write_blocks
from tests.training.toy import run_mobileseg


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """Configuration and weights; the images are twice as large as the network's input."""
    return write_blocks(tmp_path_factory.mktemp("blocks"), scale=2)


@pytest.fixture(scope="module")
def artefact(blocks):
    config, weights = blocks
    folder = config.parent / "artefact"
    assert main(["export", str(config), "--model_path", str(weights), "--save_dir", str(folder)]) == 0
    return folder


def scores_of(config, target, *flags):
    out = target / "scores.json"
    assert main(["val", str(config), *flags, "--json", str(out)]) == 0
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def expected(blocks, tmp_path_factory):
    config, weights = blocks
    return scores_of(config, tmp_path_factory.mktemp("expected"), "--model_path", str(weights))


def test_numbers_are_neither_nothing_nor_everything(expected):
    assert 0.1 < expected["mask"]["ap"] < expected["mask"]["ap50"] < 1
    assert (expected["metric"], expected["score"]) == ("mask AP", expected["mask"]["ap"])
    assert expected["detection"]["score_threshold"] == 0.05
    assert list(expected["class_ap"]) == ["red", "green", "blue"]
    assert expected["class_ap"]["red"]["mask_ap50"] != expected["class_ap"]["blue"]["mask_ap50"]


@pytest.mark.parametrize("engine", ["onnxruntime", "paddle", "lite", "ncnn"])
def test_exported_folder_gives_the_same_numbers(blocks, artefact, expected, tmp_path, engine):
    if available()[engine]:
        pytest.skip(available()[engine])
    words = ["val", str(blocks[0]), "--model", str(artefact), "--engine", engine, "--json", str(tmp_path / "s.json")]
    done = run_mobileseg(*words)  # engines die by signal, and not all of them live together in one process
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "s.json").read_text())
    for kind in ("mask", "box"):
        assert scores[kind] == pytest.approx(expected[kind], abs=1e-3)
    assert scores["detections"] == expected["detections"]
    assert scores["detection"] == expected["detection"]


def test_detection_options_change_both_alike(blocks, artefact, expected, tmp_path):
    config, weights = blocks
    changed = ["-o", "detection.score_threshold=0.6", "detection.nms=traditional"]
    network = scores_of(config, tmp_path, "--model_path", str(weights), *changed)
    folder = scores_of(config, tmp_path, "--model", str(artefact), "--engine", "onnxruntime", *changed)
    assert network["detection"] == folder["detection"]
    assert network["detection"]["nms"] == "traditional"
    assert network["detections"] == folder["detections"] < expected["detections"]
    assert folder["mask"] == pytest.approx(network["mask"], abs=1e-3)


def test_results_give_these_numbers_to_others(blocks, expected, tmp_path, capsys):
    """The file, read by pycocotools alone."""
    config, weights = blocks
    file = tmp_path / "results.json"
    scores_of(config, tmp_path, "--model_path", str(weights), "--save_results", str(file))
    assert f"{expected['detections']} objects written to {file}" in capsys.readouterr().out
    results = json.loads(file.read_text())
    assert {entry["category_id"] for entry in results} == set(CATEGORY_IDS.values())
    for entry in results:
        del entry["bbox"]  # or pycocotools takes the area of the box for that of the mask
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(config.parent / "data" / "val.json"))
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(expected["mask"]["ap"], abs=1e-9)
    assert evaluation.stats[1] == pytest.approx(expected["mask"]["ap50"], abs=1e-9)


def test_ap50_stands_in_the_table(blocks, capsys, tmp_path):
    config, weights = blocks
    scores = scores_of(config, tmp_path, "--model_path", str(weights))
    assert f"mask AP50 (IoU .50 alone) {scores['mask']['ap50']:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model_path", "a", "--aug_eval"], "evaluated on the whole image as it is"),
        (["--model_path", "a", "--is_slide", "--crop_size", "8", "8", "--stride", "8", "8"], "is_slide"),
        (["--model", "a", "-o", "test_config.aug_eval=true"], "aug_eval"),
        (["--model_path", "a", "--no_boundary"], "objects have no boundary IoU"),
        (["--model_path", "a", "--save_results", "nowhere/at/all.json"], "there is no folder nowhere"),
    ],
)
def test_flags_that_cannot_be_meant_are_refused(blocks, flags, message, capsys):
    assert main(["val", str(blocks[0]), *flags]) == 2
    assert message in capsys.readouterr().err


def test_padding_is_refused(blocks, capsys):
    config, weights = blocks
    pad = "val_dataset.transforms=[{type: Padding, target_size: [256, 256]}, {type: Normalize}]"
    assert main(["val", str(config), "--model_path", str(weights), "-o", pad]) == 2
    assert "pad the image" in capsys.readouterr().err


def test_classes_of_another_order(blocks, artefact, capsys):
    order = "val_dataset.classes=[blue, green, red]"
    assert main(["val", str(blocks[0]), "--model", str(artefact), "--engine", "onnxruntime", "-o", order]) == 2
    assert "the same classes in another order: 0 is 'red' and 'blue'" in capsys.readouterr().err


def test_network_of_another_task(blocks, toy_data, tmp_path, capsys):
    """A semantic dataset for an instance segmentation model, and results of labels."""
    dataset = (
        f"val_dataset={{type: Dataset, dataset_root: {toy_data}, val_path: {toy_data}/val.txt, mode: val, "
        "num_classes: 3, transforms: [{type: Normalize}], _inherited_: false}"
    )
    config, weights = blocks
    assert main(["val", str(config), "--model_path", str(weights), "-o", dataset]) == 2
    assert "instance" in capsys.readouterr().err
    results = ["--save_results", str(tmp_path / "r.json")]
    assert main(["val", str(config), "--model_path", str(weights), *results, "-o", dataset]) == 2
    assert "--save_results writes objects" in capsys.readouterr().err
