"""Numbers and curves of a run of instance segmentation, as scored by the real scorer."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mobileseg.instance import visualize
from mobileseg.training.evaluator import evaluate
from mobileseg.viz.history import read_history
from mobileseg.viz.report_scores import curves, score_tables, tiles
from tests.instance.detections import Images, predictor
from tests.instance.scenes import Things, scenes

COLOURS = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)


@pytest.fixture(scope="module")
def scores() -> dict:
    dataset, found = scenes(2)
    return evaluate(predictor(found), Images(dataset.images))


def text(html: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def test_tiles(scores) -> None:
    shown = text(tiles(visualize.scores(scores), {"train": [], "eval": []}, [], []))
    mask, box = scores["mask"], scores["box"]
    assert shown == f"{mask['ap']:.3f} mask AP {mask['ap50']:.3f} mask AP50 (IoU .50) {box['ap']:.3f} box AP"


def test_class_table(scores) -> None:
    html = score_tables(visualize.scores(scores), scores["classes"], COLOURS)
    shown = text(html)
    for name, row in scores["class_ap"].items():
        assert f"{name} {row['mask_ap']:.3f} {row['mask_ap50']:.3f} {row['box_ap']:.3f}" in shown
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", html)]
    assert widths == [round(100 * row["mask_ap"], 2) for row in scores["class_ap"].values()]
    numbers = " ".join("–" if value is None else f"{value:.3f}" for value in scores["mask"].values())
    assert f"mask {numbers}" in shown


def test_absent_class_and_nothing_to_find() -> None:
    dataset, found = scenes(2)
    empty = [Things.empty(image.masks.shape[1:]) for image in dataset.images]
    scores = evaluate(predictor(found), Images(empty))
    assert text(score_tables(visualize.scores(scores), scores["classes"], COLOURS)).count("absent") == 3
    assert tiles(visualize.scores(scores), {"train": [], "eval": []}, [], []) == ""


def test_curves(scores, tmp_path: Path) -> None:
    """From the lines that a run writes."""
    parts = {"box": 1.0, "class": 2.0, "mask": 3.0, "segm": 0.5}
    lines = [
        {"event": "train", "iter": number, "loss": 6.5 / number, "lr": 0.1, **parts} for number in range(10, 60, 10)
    ]
    lines += [{"event": "eval", "iter": number, **scores.event()} for number in (20, 40)]
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    html = curves(read_history(path), "instance")
    shown = text(html)
    for title in ("Loss", "Loss by part", "Validation AP", "Learning rate", "box", "segm", "mask AP50"):
        assert title in shown
    assert html.count("<svg") == 4
    assert sum(html.count(f"fill: var(--s{index})") for index in range(3)) >= 6  # three scores of two evaluations


def test_curves_of_labels_have_one_loss_and_miou() -> None:
    train = [{"iter": number, "loss": 1.0, "lr": 0.1} for number in (1, 2)]
    html = curves({"train": train, "eval": [{"iter": 2, "miou": 0.5}]}, "semantic")
    assert "Validation mIoU" in html
    assert "Loss by part" not in html
