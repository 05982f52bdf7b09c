"""Weights from run folders, checkpoints, zoo folders and files."""

import numpy as np
import paddle
import pytest

from mobileseg.errors import TrainingError, WeightsError
from mobileseg.training.checkpoint import Checkpoint, write_checkpoint
from mobileseg.training.store import CheckpointStore
from mobileseg.training.weights import load_checkpoint_weights, weights_file

pytestmark = pytest.mark.both


def net():
    return paddle.nn.Linear(2, 2)


def checkpoint(value, *, average=None):
    def filled(number):
        return {"weight": np.full((2, 2), number, np.float32), "bias": np.zeros(2, np.float32)}

    arrays = {} if average is None else {"ema": filled(average)}
    state = {"iteration": int(value), "evaluated": "model" if average is None else "ema"}
    return Checkpoint(filled(value), arrays, state)


def loaded(path):
    network = net()
    what = load_checkpoint_weights(path, network)
    return float(network.weight[0, 0]), what


def test_run_folder_means_its_best_and_else_its_newest(tmp_path):
    store = CheckpointStore(tmp_path)
    store.prepare()
    for number in (1, 2):
        store.save(number, checkpoint(number))
    assert loaded(tmp_path)[0] == 2
    store.save(3, checkpoint(3), best=True)
    store.save(4, checkpoint(4))
    assert loaded(tmp_path)[0] == 3
    assert weights_file(tmp_path) == tmp_path / "best" / "model.pdparams"
    assert loaded(tmp_path / "last") == (4, f"{tmp_path / 'last'} (iteration 4)")
    assert loaded(tmp_path / "checkpoints" / "iter_000002")[0] == 2
    assert weights_file(tmp_path / "last") == tmp_path / "last" / "model.pdparams"
    assert weights_file(tmp_path / "last" / "model.pdparams") == tmp_path / "last" / "model.pdparams"
    assert loaded(tmp_path / "last" / "model.pdparams")[0] == 4


def test_a_best_before_the_first_evaluation(tmp_path):
    store = CheckpointStore(tmp_path)
    store.prepare()
    store.save(1, checkpoint(1))
    with pytest.raises(WeightsError, match="has no best yet: it has not been evaluated"):
        loaded(tmp_path / "best")


def test_the_average_is_what_was_evaluated(tmp_path):
    write_checkpoint(tmp_path / "one", checkpoint(1, average=7))
    value, what = loaded(tmp_path / "one")
    assert value == 7
    assert "average" in what
    assert loaded(tmp_path / "one" / "model.pdparams")[0] == 1


def test_folder_with_weights_alone(tmp_path):
    write_checkpoint(tmp_path / "one", checkpoint(5))
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    (tmp_path / "one" / "model.pdparams").rename(zoo / "model.pdparams")
    assert loaded(zoo)[0] == 5
    with pytest.raises(WeightsError, match="no weights in the folder"):
        loaded(tmp_path)
    with pytest.raises(TrainingError, match="is damaged"):
        loaded(tmp_path / "one")


def test_another_network(tmp_path):
    write_checkpoint(tmp_path / "one", checkpoint(5))
    with pytest.raises(WeightsError):
        load_checkpoint_weights(tmp_path / "one", paddle.nn.Linear(2, 3))
