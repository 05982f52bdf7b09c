"""`mobileseg models`."""

import json

import pytest

from mobileseg.cli import main


def test_lists_what_is_registered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "MobileNetV2*", "--backbones", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in listing["backbones"]} >= {"MobileNetV2_x1_0", "MobileNetV2_x0_5"}
    assert all(row["name"].startswith("MobileNetV2") for row in listing["backbones"])


def test_size_counts_parameters_and_strides(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "MobileNetV2_x1_0", "--backbones", "--size", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["backbones"][0]
    assert row["parameters"] == 1844416  # published, batch norm statistics counted
    assert row["features"] == "24@1/4, 32@1/8, 96@1/16, 320@1/32"


def test_columns_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--kind", "transforms"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert len({row.index("(") for row in rows}) == 1


def test_zoo_shows_the_first_line_of_each_card(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "street").mkdir()
    (tmp_path / "street" / "README.md").write_text("# Streets, 0.5 mIoU\nmore\n", encoding="utf-8")
    assert main(["models", "--kind", "zoo", "--zoo_dir", str(tmp_path)]) == 0
    assert "Streets, 0.5 mIoU" in capsys.readouterr().out


def test_no_zoo_is_an_empty_list(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--kind", "zoo", "--zoo_dir", str(tmp_path / "nothing")]) == 0
    assert "zoo (0)" in capsys.readouterr().out


def test_costs_of_configurations(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "small.yml"
    config.write_text(
        "model: {type: MobileSeg, num_classes: 2, backbone: {type: MobileNetV2_x0_25}}\n"
        "export: {size: {height: 64, width: 96}}\n",
        encoding="utf-8",
    )
    assert main(["models", "--configs", str(config), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["costs"]
    assert [row["part"] for row in rows] == ["deployed", "backbone", "decoder", "head", "training only"]
    assert {row["input"] for row in rows} == {"96x64"}
    assert rows[0]["parameters"] == sum(row["parameters"] for row in rows[1:4])
    assert main(["models", "--configs", str(config), "--input", "192", "128"]) == 0
    head, whole, *_ = capsys.readouterr().out.splitlines()[1:]
    assert head.split() == ["network", "input", "part", "parameters", "MMACs"]
    # four times the pixels, but the context of one bin is one pixel at every size
    assert float(whole.split()[-1]) == pytest.approx(4 * rows[0]["MMACs"], rel=0.02)
    config.write_text(
        "model: {type: MobileSeg, num_classes: 2, backbone: {type: MobileNetV2_x0_25}}\n", encoding="utf-8"
    )
    assert main(["models", "--configs", str(config)]) == 2
    assert "--input WIDTH HEIGHT" in capsys.readouterr().err
