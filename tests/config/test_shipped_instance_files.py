"""The configurations of the instance networks: one input size in every place, and the published values."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobileseg.config.build import build_losses, build_network
from mobileseg.config.load import load_config
from mobileseg.training.schedule import build_schedule
from mobileseg.weights.load import load_into
from tests.instance_tester import original_state

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted([*CONFIGS.glob("yolact/*_coco_*.yml"), *CONFIGS.glob("mobileyolact/*_coco_*.yml")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_one_input_size_everywhere(file: Path) -> None:
    """Anchors, transforms and graph must agree on the size, which is written in each of them."""
    data = load_config(file).to_dict()
    size = data["model"]["input_size"]
    assert f"_{size}" in file.stem
    assert data["export"]["size"] == {"height": size, "width": size}
    for dataset in ("train_dataset", "val_dataset"):
        steps = {step["type"]: step for step in data[dataset]["transforms"]}
        assert steps["Resize"]["target_size"] == [size, size]
        if "download.pytorch.org" in data["model"]["backbone"]["pretrained"]:  # else what those weights expect
            mean, std = ([value / 255 for value in row] for row in ((123.68, 116.78, 103.94), (58.40, 57.12, 57.38)))
            assert steps["Normalize"]["mean"] == pytest.approx(mean, abs=1e-6)
            assert steps["Normalize"]["std"] == pytest.approx(std, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "count", "side"),
    [
        ("mobileyolact/mobileyolact_mobilenetv2_coco_320", 3 * (1600 + 400 + 100 + 25 + 9), 14),
        ("mobileyolact/mobileyolact_mobilenetv2_coco_416", 3 * (2704 + 676 + 169 + 49 + 16), 18),
        ("mobileyolact/mobileyolact_mobilenetv2_coco_550", 19248, 24),
        ("yolact/yolact_mobilenetv2_coco_550", 19248, 24),
    ],
)
def test_presets_build(name: str, count: int, side: int) -> None:
    config = load_config(CONFIGS / f"{name}.yml")
    network = build_network(config, load_pretrained=False)
    size = config.to_dict()["model"]["input_size"]
    anchors = network.anchors(size, size)
    assert len(anchors) == count
    assert anchors[0, 2] * size == pytest.approx(side)
    assert network.num_classes == 80
    assert type(build_losses(config)).__name__ == "YolactLoss"


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("yolact_resnet50_coco_550_parity", "yolact_resnet50"),
        ("yolact_resnet101_coco_550_parity", "yolact_base"),
        ("yolact_mobilenetv2_coco_550_parity", "yolact_edge_mobilenetv2"),
    ],
)
def test_parity_files_take_the_published_weights(name: str, weights: str) -> None:
    config = load_config(CONFIGS / "yolact" / f"{name}.yml")
    network = build_network(config, load_pretrained=False)
    assert load_into(network, original_state(weights)).complete
    assert network.square_anchors
    data = config.to_dict()
    assert {key: data["detection"][key] for key in ("threshold_after_nms", "truncate_boxes", "nms")} == {
        "threshold_after_nms": False,
        "truncate_boxes": True,
        "nms": "fast",
    }
    quirks = {step["type"]: step for step in data["train_dataset"]["transforms"] if len(step) > 1}
    assert quirks["RandomInstanceCrop"]["published_iou_quirk"] is True
    assert quirks["DiscardSmallInstances"]["published_absolute_quirk"] is True
    assert data["loss"]["types"] == [{"type": "YolactLoss", "empty_negatives": 0, "smallest_side": 0}]


def test_published_schedule() -> None:
    data = load_config(CONFIGS / "yolact" / "yolact_resnet50_coco_550.yml").to_dict()
    assert (data["batch_size"], data["iters"]) == (8, 800_000)
    assert data["optimizer"] == {"type": "SGD", "momentum": 0.9, "use_nesterov": False, "weight_decay": 5e-4}
    schedule = build_schedule(data["lr_scheduler"], data["iters"])
    expected = {
        0: 1e-4,
        250: 5.5e-4,
        500: 1e-3,
        279_999: 1e-3,
        280_000: 1e-4,
        600_000: 1e-5,
        700_000: 1e-6,
        750_000: 1e-7,
    }
    assert {step: schedule.at(step) for step in expected} == pytest.approx(expected)


def test_sizes_in_the_docs() -> None:
    """The table of docs/models.md holds what is counted."""
    from mobileseg.nn.cost import measure, total

    rows = [line.split("|") for line in (CONFIGS.parent / "docs" / "models.md").read_text("utf-8").splitlines()]
    table = {row[1].split("`")[1]: row[2:8] for row in rows if len(row) > 8 and "_coco_" in row[1] and "yml" in row[1]}
    assert {name.split("/")[0] for name in table} == {"yolact", "mobileyolact"}
    for name, cells in table.items():
        config = load_config(CONFIGS / name)
        size = config.to_dict()["model"]["input_size"]
        costs = measure(build_network(config, load_pretrained=False), size, size)
        parts = [total(costs), *(costs[part] for part in ("backbone", "fpn", "protonet", "head"))]
        assert [int(cell.replace(",", "")) for cell in cells[:5]] == [part.parameters for part in parts], name
        assert float(cells[5]) == pytest.approx(total(costs).macs / 1e9, abs=0.006), name
