"""What validation feeds a network against what an exported model is fed: found by comparing the arrays."""

from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from mobileseg.data.base import SegmentationDataset
from mobileseg.data.io import write_png
from mobileseg.data.items import Item
from mobileseg.export.options import ExportOptions
from mobileseg.export.validation_gap import difference, warning

NORMALIZE = {"type": "Normalize", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]}
FORM = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3)}


@pytest.fixture
def dataset_with(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", image)
    write_png(tmp_path / "a_label.png", np.zeros((40, 60), np.uint8))
    items = [Item(tmp_path / "a.png", tmp_path / "a_label.png")] * 2

    def make(*transforms):
        return SegmentationDataset(items, mode="val", transforms=list(transforms), classes=("a", "b"))

    return make


def resize(**more):
    return {"type": "Resize", "target_size": [48, 32]} | more


def test_what_a_manifest_says_is_no_difference(dataset_with):
    assert difference(dataset_with(resize(), NORMALIZE), ExportOptions(32, 48, **FORM)) == ""
    assert difference(dataset_with(NORMALIZE), ExportOptions(40, 60, **FORM)) == ""
    assert difference(dataset_with(NORMALIZE), ExportOptions(64, 64, dynamic=True, **FORM)) == ""


@pytest.mark.parametrize(
    ("transforms", "options", "seen"),
    [
        ([NORMALIZE], ExportOptions(32, 48, **FORM), "feeds 40x60 images as 40x60, the exported model takes 32x48"),
        ([resize(interp="NEAREST"), NORMALIZE], ExportOptions(32, 48, **FORM), "differs by up to"),
        ([resize(interp="AREA"), NORMALIZE], ExportOptions(32, 48, **FORM), "differs by up to"),
        (
            [resize(target_size=[48, 48], keep_ratio=True), NORMALIZE],
            ExportOptions(48, 48, **FORM),
            "feeds 40x60 images as",
        ),
        (
            [{"type": "Resize", "target_size": [12, 8]}, resize(), NORMALIZE],
            ExportOptions(32, 48, **FORM),
            "differs by up to",
        ),
        ([resize(), NORMALIZE], ExportOptions(64, 64, dynamic=True, **FORM), "a dynamic graph takes them as they are"),
        ([resize(), NORMALIZE], ExportOptions(32, 48), "differs by up to"),
    ],
)
def test_other_ways_are_named(dataset_with, transforms, options, seen):
    assert seen in difference(dataset_with(*transforms), options)


def test_a_network_in_training_mode_is_scored_in_evaluation_mode(dataset_with, monkeypatch, tmp_path):
    """That of `mobileseg export` was scored with the statistics of its single images."""
    modes = []

    def evaluate(predict, _dataset):
        modes.append(getattr(predict, "training", None))
        return SimpleNamespace(metric="mIoU", score=0.25)

    network = paddle.nn.Linear(1, 1)
    monkeypatch.setattr("mobileseg.training.evaluator.evaluate", evaluate)
    monkeypatch.setattr("mobileseg.training.evaluator.SegmenterPredictor", lambda segmenter: segmenter)
    monkeypatch.setattr("mobileseg.runtime.segmenter.Segmenter", lambda folder: folder)
    monkeypatch.setattr(
        "mobileseg.training.predictors.make_predictor",
        lambda network, _config: SimpleNamespace(training=network.training),
    )
    config = SimpleNamespace(to_dict=dict)
    text = warning(network, config, dataset_with(NORMALIZE), tmp_path, ExportOptions(32, 48, **FORM))
    assert modes == [False, None]
    assert network.training
    assert "mIoU on 2 validation images: 0.2500 as validated, 0.2500 as deployed" in text
