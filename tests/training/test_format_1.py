"""A checkpoint as versions before 0.2 wrote it resumes as it did there.

``format_1/`` was written at iteration 4 of 8 with an average of the weights, clipping and accumulation; ``after.npz``
has what that version gave at iteration 8.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.run_state import pack
from mobileseg.training.trainer import Trainer
from tests.training.toy import equal, losses_of, weights_of

pytestmark = pytest.mark.both

SAVED = Path(__file__).parent / "format_1"
SETTINGS = ("ema.decay=0.5", "clip.norm=0.5", "accumulate=2", "log_iters=1")


@pytest.fixture
def run(tmp_path):
    shutil.copytree(SAVED, tmp_path / "run" / "checkpoints" / "iter_000004", ignore=shutil.ignore_patterns("after*"))
    return tmp_path / "run"


def test_everything_of_it_is_taken_over_bit_by_bit(toy_config, run):
    trainer = Trainer(toy_config(*SETTINGS, "iters=4", "lr_scheduler.decay_steps=8"), run)
    assert trainer.fit("auto").reason == "already finished"
    old = read_checkpoint(run / "checkpoints" / "iter_000004")
    new = pack(trainer.state, trainer.config, trainer.processes)
    assert equal(old.weights, new.weights)
    assert old.arrays.keys() == new.arrays.keys() == {"optimizer", "ema"}
    assert all(equal(old.arrays[group], new.arrays[group]) for group in old.arrays)
    for key in ("iteration", "sampler", "scaler", "ema", "best", "stale_evals", "evaluated"):
        assert new.state[key] == old.state[key], key


def test_it_goes_on_as_it_did(toy_config, run):
    """To the last bit on the kind of processor where it was written; elsewhere sums may be rounded otherwise."""
    trainer = Trainer(toy_config(*SETTINGS), run)
    assert trainer.fit("auto").reason == "finished"
    saved = read_checkpoint(run / "last")
    found = {"model": weights_of(trainer), **saved.arrays}
    with np.load(SAVED / "after.npz") as after:
        for group, arrays in found.items():
            for name, array in arrays.items():
                np.testing.assert_allclose(array, after[f"{group}/{name}"], rtol=1e-5, atol=1e-6, err_msg=name)
        assert len(after.files) == 1 + sum(map(len, found.values()))
        losses = losses_of(run)
        np.testing.assert_allclose([losses[i] for i in (5, 6, 7, 8)], after["losses"], rtol=1e-5)
