"""Steps: finished ones are taken as they are, others are refused."""

import numpy as np
import pytest

from mobileseg.compress.steps import Steps, identity_of, phase_config, save_network
from mobileseg.config.build import build_network
from mobileseg.config.load import load_config
from mobileseg.config.schema_compress import Phase
from mobileseg.errors import CompressionError

KEY = {"source": "abc", "prune": {"macs": 0.4, "only": None}}


def test_a_finished_step_is_not_done_again(tmp_path):
    steps = Steps(tmp_path)
    assert steps.begin("pruned", KEY) is None
    assert steps.begin("pruned", KEY) is None  # interrupted before it finished
    assert steps.finish("pruned", KEY, {"layers": 3}) == {"layers": 3}
    assert Steps(tmp_path).begin("pruned", KEY) == {"layers": 3}


def test_other_settings_are_refused_and_named(tmp_path):
    steps = Steps(tmp_path)
    steps.begin("pruned", KEY)
    with pytest.raises(CompressionError, match="was made with other settings: source abc") as caught:
        steps.begin("pruned", {**KEY, "source": "xyz"})
    assert "remove" in str(caught.value)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "pruned").mkdir()
    (tmp_path / "pruned" / "thesis.txt").write_text("mine")
    with pytest.raises(CompressionError, match="not of this recipe"):
        Steps(tmp_path).begin("pruned", KEY)
    assert (tmp_path / "pruned" / "thesis.txt").read_text() == "mine"


def test_saved_networks_start_a_training(toy_config, tmp_path):
    config = toy_config("model.width=16")
    network = build_network(config)
    own = save_network(tmp_path / "weights", network, config, None)
    assert load_config(tmp_path / "weights" / "config.yml") == own
    again = build_network(own)
    for name, tensor in network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), again.state_dict()[name].numpy())
    assert len(identity_of(tmp_path / "weights")) == 64
    assert identity_of(tmp_path / "weights") == identity_of(tmp_path / "weights" / "model.pdparams")
    (tmp_path / "run" / "last").mkdir(parents=True)
    (tmp_path / "weights").rename(tmp_path / "run" / "best")
    assert identity_of(tmp_path / "run") == identity_of(tmp_path / "run" / "best")


def test_a_phase_changes_what_it_names(toy_config):
    config = toy_config("lr_scheduler.decay_steps=77")
    phase = phase_config(config, Phase(iters=10, learning_rate=0.5), sparsity={"strength": 0.1})
    assert (phase.iters, phase.lr_scheduler.learning_rate, phase.lr_scheduler.warmup_iters) == (10, 0.5, 1)
    assert phase.lr_scheduler.decay_steps is None
    assert phase.sparsity.strength == 0.1
    plain = phase_config(config, Phase(iters=40, warmup_iters=0), sparsity=None)
    assert (plain.lr_scheduler.learning_rate, plain.lr_scheduler.warmup_iters) == (0.05, 0)
    assert plain.sparsity is None
    assert plain.optimizer == config.optimizer
