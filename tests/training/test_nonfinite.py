"""A loss that is not finite ends the run and leaves its batch behind."""

from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import TrainingError
from mobileseg.training.nonfinite import FiniteWatch
from mobileseg.training.trainer import Trainer

pytestmark = pytest.mark.both


def test_loss_that_is_not_finite_stops_and_keeps_the_batch(toy_config, tmp_path):
    trainer = Trainer(toy_config(), tmp_path)
    criterion = trainer.state.steps[0].step.objective.criterion
    real = criterion.forward

    def broken(outputs, targets):
        losses = real(outputs, targets)
        if trainer.iteration == 5:
            losses["logits"] = losses["logits"] * float("nan")
        return {name: value.reshape([1]) for name, value in losses.items()}  # no scalars, as older criteria give them

    criterion.forward = broken
    with pytest.raises(TrainingError, match="loss of iteration 6 is not finite") as caught:
        trainer.fit()
    assert "learning rate" in caught.value.remedy
    with np.load(tmp_path / "nonfinite_iter_000006.npz") as saved:
        keys = trainer.state.steps[0].order.batch(5)
        assert saved["epoch_index"].tolist() == [list(key) for key in keys]
        assert [Path(image) for image, _ in saved["files"]] == [trainer.train_dataset.items[i].image for _, i in keys]
        np.testing.assert_array_equal(saved["image"][1], trainer.train_dataset[keys[1]]["image"])
        assert np.isnan(saved["loss.logits"])
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["iter_000004"]


def test_where_looking_is_expensive_it_is_done_before_log_lines_and_saves(toy_config, tmp_path, monkeypatch):
    """As on a GPU: the loss of iteration 3 is found at the log line of iteration 6, and its own batch is kept."""
    monkeypatch.setattr(FiniteWatch, "add", _note_only)
    several = "multi_scale.sizes=[[24, 40], [16, 16]]"
    trainer = Trainer(toy_config("accumulate=2", "log_iters=6", "save_interval=8", several), tmp_path, do_eval=False)
    criterion = trainer.state.steps[0].step.objective.criterion
    real = criterion.forward

    def broken(outputs, targets):
        losses = real(outputs, targets)
        if trainer.iteration >= 2:
            losses["logits"] = losses["logits"] * float("inf")
        return losses

    criterion.forward = broken
    with pytest.raises(TrainingError, match="loss of iteration 3 is not finite"):
        trainer.fit()
    assert trainer.iteration == 6
    with np.load(tmp_path / "nonfinite_iter_000003.npz") as saved:
        expected = [list(key) for position in (4, 5) for key in trainer.state.steps[0].order.batch(position)]
        assert saved["epoch_index"].tolist() == expected
        assert saved["label"].shape == (8, 32, 32)  # as before it was resized
        sizes = [trainer.state.steps[0].order.image_size(position) for position in (4, 5)]
        np.testing.assert_array_equal(saved["multi_scale"], sizes)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def _note_only(self, iteration, losses):
    self._recent.append((iteration, [running.position for running in self.steps], losses))
