"""The small network of `doctor env`: what it writes, and that a wrong graph is seen."""

import numpy as np
import pytest

from mobileseg.environment.report import run_selfcheck
from mobileseg.environment.selfcheck import SHAPE, _difference


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy")
    facts, failure = run_selfcheck("paddle", path)
    assert failure == ""
    assert set(facts) == {"cuda_build", "gpus"}
    return path


def test_the_reference_is_not_constant(folder):
    with np.load(folder / "reference.npz") as reference:
        assert reference["image"].shape == SHAPE
        assert reference["output"].shape == (1, 4, *SHAPE[2:])
        assert reference["output"].std() > 0.01


def test_onnx_runtime_agrees(folder):
    facts, failure = run_selfcheck("onnx", folder)
    assert failure == ""
    assert facts["difference"] < 1e-5


def test_a_reference_that_was_changed_is_seen(folder, tmp_path):
    for file in folder.glob("toy.pd*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with np.load(folder / "reference.npz") as reference:
        np.savez(tmp_path / "reference.npz", image=reference["image"], output=reference["output"] * 1.01)
    assert run_selfcheck("onnx", tmp_path)[0]["difference"] > 1e-3


def test_a_damaged_graph_fails_with_a_reason(tmp_path):
    (tmp_path / "toy.pdmodel").write_bytes(b"no graph")
    (tmp_path / "toy.pdiparams").write_bytes(b"")
    facts, failure = run_selfcheck("onnx", tmp_path)
    assert facts == {}
    assert failure


def test_another_shape_is_not_compared():
    with pytest.raises(RuntimeError, match="shape"):
        _difference(np.zeros((1, 2)), np.zeros((1, 3)))
