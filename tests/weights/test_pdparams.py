"""Paddle's own files are read, and ours are read by Paddle."""

import io
import pickle
from pathlib import Path

import numpy as np
import paddle
import pytest

from mobileseg.errors import WeightsError
from mobileseg.weights.pdparams import read_pdparams, save_pdparams
from mobileseg.weights.read import read_weights

pytestmark = pytest.mark.both


@pytest.fixture
def layer():
    paddle.seed(1)
    return paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4), paddle.nn.Linear(4, 2))


def arrays_of(layer):
    return {name: tensor.numpy() for name, tensor in layer.state_dict().items()}


def assert_same(state, expected):
    assert set(state) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(state[name], array)
        assert state[name].dtype == array.dtype


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_state_dict_saved_by_paddle(layer, tmp_path, protocol):
    path = str(tmp_path / "a.pdparams")
    paddle.save(layer.state_dict(), path, protocol=protocol)
    assert_same(read_weights(path), arrays_of(layer))


def test_tensors_that_paddle_saved_with_their_names(layer, tmp_path):
    """Outside a state_dict paddle.save writes a tensor as a pair of its internal name and the array."""
    path = str(tmp_path / "a.pdparams")
    paddle.save({"w": layer[0].weight, "step": 3, "nested": [1, 2]}, path)
    assert b"builtins" in Path(path).read_bytes()
    assert_same(read_weights(path), {"w": layer[0].weight.numpy()})


def test_an_array_that_paddle_cut_into_slices():
    """paddle.save cuts arrays of more than 2**30 bytes under protocol 2 and 3; the entry names the parts."""
    content = {
        "w@@.0": np.arange(4, dtype=np.float32),
        "w@@.1": np.arange(4, 6, dtype=np.float32),
        "UnpackBigParamInfor@@": {"w": {"OriginShape": (2, 3), "slices": ["w@@.0", "w@@.1"]}},
    }
    state = read_pdparams(io.BytesIO(pickle.dumps(content, 2)), "file")
    assert_same(state, {"w": np.arange(6, dtype=np.float32).reshape(2, 3)})
    del content["w@@.1"]
    with pytest.raises(WeightsError, match="parts of 'w'"):
        read_pdparams(io.BytesIO(pickle.dumps(content, 2)), "file")


def test_paddle_reads_what_we_write(layer, tmp_path):
    path = tmp_path / "a.pdparams"
    state = {name: array + 1 for name, array in arrays_of(layer).items()}
    save_pdparams(path, state)
    loaded = paddle.load(str(path))
    missing, unexpected = layer.set_state_dict(loaded)
    assert not missing
    assert not unexpected
    assert_same(arrays_of(layer), state)
    assert_same(read_weights(path), state)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pdparams"]


def test_scalars_and_views_keep_shape(tmp_path):
    state = {"s": np.float32(3).reshape(()), "v": np.arange(6.0).reshape(2, 3).T}
    save_pdparams(tmp_path / "a.pdparams", state)
    assert_same(read_weights(tmp_path / "a.pdparams"), state)


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(WeightsError, match="cannot write"):
        save_pdparams(tmp_path / "taken", {"a": np.zeros(1)})
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 1}, np.zeros(3)])
def test_a_pickle_without_parameters(content):
    with pytest.raises(WeightsError, match=r"not a dictionary|no parameters"):
        read_pdparams(io.BytesIO(pickle.dumps(content, 4)), "file")
