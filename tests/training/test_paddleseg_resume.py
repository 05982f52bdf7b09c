"""Going on from a checkpoint of PaddleSeg, written here as PaddleSeg writes it: two ``paddle.save``."""

import numpy as np
import paddle
import pytest

from mobileseg.cli import main
from mobileseg.errors import TrainingError
from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.optim import optimizer_arrays
from mobileseg.training.trainer import Trainer

pytestmark = pytest.mark.both

OPTIMIZERS = {
    "sgd": ("optimizer={type: SGD, momentum: 0.9, weight_decay: 0.0001}",),
    "adamw": ("optimizer={_inherited_: false, type: AdamW}",),
}


@pytest.fixture(params=OPTIMIZERS)
def overrides(request):
    return (*OPTIMIZERS[request.param], "log_iters=1", "save_interval=3", "num_workers=0")


@pytest.fixture
def theirs(toy_config, overrides, tmp_path):
    """(trainer after three iterations, the folder that PaddleSeg would have saved then)."""
    trainer = Trainer(toy_config(*overrides, "iters=3"), tmp_path / "first", do_eval=False)
    trainer.fit()
    folder = tmp_path / "paddleseg" / "iter_3"
    folder.mkdir(parents=True)
    paddle.save(trainer.network.state_dict(), str(folder / "model.pdparams"))
    paddle.save(trainer.state.optimizer.state_dict(), str(folder / "model.pdopt"))
    return trainer, folder


def test_weights_and_optimizer_go_on_where_they_were(toy_config, overrides, theirs, tmp_path):
    trainer, folder = theirs
    config = toy_config(*overrides, "iters=5")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    resumed = Trainer(config, tmp_path / "second", do_eval=False)
    resumed._restore(folder)
    assert resumed.iteration == 3
    expected = optimizer_arrays(trainer.state.optimizer, trainer.state.groups)
    found = optimizer_arrays(resumed.state.optimizer, resumed.state.groups)
    assert set(found) == set(expected)
    assert expected
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array)
    ours = Trainer(config, tmp_path / "third", do_eval=False)
    ours.fit(tmp_path / "first" / "last")
    again = Trainer(config, tmp_path / "fourth", do_eval=False)
    again.fit(folder)
    one, other = (read_checkpoint(tmp_path / run / "last").weights for run in ("third", "fourth"))
    for name, array in one.items():
        np.testing.assert_array_equal(other[name], array)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_command_writes_into_a_run_folder_of_its_own(toy_file, theirs, tmp_path, monkeypatch, overrides, capsys):
    _, folder = theirs
    monkeypatch.chdir(tmp_path)
    words = ["train", "--config", str(toy_file), "--resume_model", str(folder), "--iters", "4", "-o", *overrides]
    assert main(words) == 0
    assert (tmp_path / "output" / "toy" / "last").is_dir()
    assert sorted(path.name for path in folder.iterdir()) == ["model.pdopt", "model.pdparams"]
    assert "is of PaddleSeg: order of samples" in capsys.readouterr().err


def test_another_optimizer_is_told(toy_config, theirs, tmp_path, overrides):
    _, folder = theirs
    other = next(texts for texts in OPTIMIZERS.values() if texts[0] not in overrides)
    trainer = Trainer(toy_config(*overrides[1:], *other), tmp_path / "other", do_eval=False)
    with pytest.raises(TrainingError, match="the saved optimizer does not fit"):
        trainer._restore(folder)


def test_without_names_or_an_iteration(toy_config, theirs, tmp_path, overrides):
    trainer, folder = theirs
    fresh = Trainer(toy_config(*overrides), tmp_path / "other", do_eval=False)
    moved = folder.rename(folder.with_name("model"))
    entries = {key: value for key, value in trainer.state.optimizer.state_dict().items() if key != "LR_Scheduler"}
    paddle.save(entries, str(moved / "model.pdopt"))
    with pytest.raises(TrainingError, match="at which iteration"):
        fresh._restore(moved)
    arrays = {name: tensor.numpy() for name, tensor in trainer.network.state_dict().items()}
    paddle.save(arrays, str(moved / "model.pdparams"))
    with pytest.raises(TrainingError, match="does not say how PaddleSeg numbered"):
        fresh._restore(moved)
