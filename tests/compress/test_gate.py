"""What lost too much is not exported."""

import json

import pytest

from mobileseg.compress.gate import FILE, Gate, check_gate, read_gate, write_gate
from mobileseg.errors import CompressionError


def test_a_loss_within_the_limit_passes(tmp_path):
    write_gate(tmp_path, Gate("mIoU", 0.64, 0.63, 0.02))
    check_gate(tmp_path)
    write_gate(tmp_path, Gate("mIoU", 0.64, 0.10, None))
    check_gate(tmp_path)
    (tmp_path / "other").mkdir()
    check_gate(tmp_path / "other")


def test_a_larger_loss_is_an_error_that_names_the_layers(tmp_path):
    write_gate(tmp_path, Gate("mIoU", 0.64, 0.60, 0.02, ["head.conv", "stem"]))
    with pytest.raises(CompressionError, match=r"lost 0\.0400 mIoU \(0\.6400 to 0\.6000\).*allows 0\.02") as caught:
        check_gate(tmp_path)
    assert "the most harmful first: --skip head.conv stem" in str(caught.value)
    with pytest.raises(CompressionError) as caught:
        Gate("mIoU", 0.64, 0.60, 0.02).check("x")
    assert "remove less" in str(caught.value)


@pytest.mark.parametrize("part", ["", "best", "last", "checkpoints/iter_000004", "model.pdparams"])
def test_checkpoints_and_files_belong_to_the_folder(tmp_path, part):
    write_gate(tmp_path, Gate("mIoU", 0.64, 0.60, 0.02))
    place = tmp_path / part
    if place.suffix:
        place.write_bytes(b"")
    else:
        place.mkdir(parents=True, exist_ok=True)
    with pytest.raises(CompressionError, match="lost"):
        check_gate(place)


@pytest.mark.parametrize(("metric", "score"), [("mIoU", 0.63), ("mask AP", 0.60)])
def test_training_on_may_open_the_gate(tmp_path, metric, score):
    write_gate(tmp_path, Gate("mIoU", 0.64, 0.60, 0.02))
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "state.json").write_text(json.dumps({"best": {"metric": metric, "score": 0.63}}))
    gate = read_gate(tmp_path)
    assert gate is not None
    assert gate.score == score


def test_a_damaged_file_is_an_error(tmp_path):
    (tmp_path / FILE).write_text('{"metric": "mIoU"}')
    with pytest.raises(CompressionError, match=r"compression\.json is damaged"):
        check_gate(tmp_path)


def test_only_layers_that_gain_are_named_to_skip():
    gate = Gate("mIoU", 0.9, 0.5, 0.01, ["stem.conv", "head"], True)
    with pytest.raises(CompressionError, match=r"--skip stem\.conv head"):
        gate.check("the int8 network")
    with pytest.raises(CompressionError, match="no single layer gains by staying in float"):
        Gate("mIoU", 0.9, 0.5, 0.01, [], True).check("the int8 network")
