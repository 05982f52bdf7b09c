"""`mobileseg models --recommend`: the file behind it, what is compared with what, and the mark."""

import json
from pathlib import Path
from typing import Any

import pytest

from mobileseg.cli import main
from mobileseg.commands.recommendations import groups, lines, read, recommended
from mobileseg.config.load import load_config
from mobileseg.registry import NETWORKS

ROOT = Path(__file__).parents[2]


def network(name: str, score: float | None, phone_ms: float = 0.0, data: str = "streets") -> dict[str, Any]:
    facts = {"data": data, "metric": "mIoU", "score": score, "phone": "a phone", "phone_ms": phone_ms}
    return {"config": name, "task": "semantic", "input": [64, 96], "published": None if score is None else facts}


def marked(networks: list[dict[str, Any]]) -> set[str]:
    return {row["config"] for group in groups(networks).values() for row in group if recommended(row, group)}


def test_marked_is_what_nothing_beats() -> None:
    accurate, fast, worse = network("accurate", 80, 50), network("fast", 70, 10), network("worse", 70, 50)
    assert marked([worse, fast, accurate]) == {"accurate", "fast"}
    twin = network("twin", 80, 50)
    assert marked([accurate, twin, fast]) == {"accurate", "twin", "fast"}


def test_other_data_and_other_phones_are_not_compared() -> None:
    rows = [network("a", 80, 50), network("b", 90, 5, data="rooms"), network("c", None)]
    assert [[row["config"] for row in group] for group in groups(rows).values()] == [["a"], ["b"], ["c"]]
    assert marked(rows) == set()  # one network is no choice


def test_best_score_first_and_columns_below_each_other() -> None:
    low, high = network("low", 60, 10), network("high", 70, 20)
    high |= {"mmacs": 1234.5, "parameters": 2000000, "latency_ms": {"lite": 7.25}}
    measured = {"engines": ["lite", "ncnn"], "runs": 3, "cpu": "a processor", "command": "a command"}
    title, head, first, second, *rest = lines({"networks": [low, high], "measured": measured})
    assert title == "semantic: mIoU on streets and milliseconds on a phone, as published"
    assert head.split() == ["network", "score", "device", "ms", "input", "MMACs", "parameters", "lite", "ncnn"]
    assert first.split() == ["*", "high", "70.00", "20.0", "96x64", "1234", "2,000,000", "7.2", "-"]
    assert second.split() == ["*", "low", "60.00", "10.0", "96x64", "-", "-", "-", "-"]
    assert head.index("score") == first.index("70.00") == second.index("60.00")
    assert "3 runs" in rest[-1]


def test_the_file_says_what_the_page_says() -> None:
    """Published numbers stand in docs/models.md too, and every configuration is one of the suite's, of that task."""
    page = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    document = read()
    for row in document["networks"]:
        model = load_config(ROOT / "configs" / row["config"]).to_dict()["model"]["type"]
        assert NETWORKS.get(model).task == row["task"]
        if row["published"]:
            score = f"{row['published']['score']:g}"
            assert score in page, row["config"]
        assert row["mmacs"] > 0 < row["parameters"]
        assert set(row["latency_ms"]) == set(document["measured"]["engines"])
    ours = {row["config"]: row["mmacs"] for row in document["networks"]}
    assert ours["mobileinst/mobileinst_topformerbase_coco_640.yml"] == pytest.approx(13070, abs=5)  # as in the page


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "street").mkdir()
    (tmp_path / "street" / "README.md").write_text("# Streets, 0.5 mIoU\n", encoding="utf-8")
    assert main(["models", "--recommend", "--zoo_dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "mobileseg_shufflenetv2_cityscapes_1024x512_80k" in said
    assert "Streets, 0.5 mIoU" in said
    assert main(["models", "--recommend", "--json", "--zoo_dir", str(tmp_path)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["zoo"][0]["card"] == "Streets, 0.5 mIoU"
    assert document["networks"] == read()["networks"]
