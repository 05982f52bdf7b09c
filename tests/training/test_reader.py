"""Training does not depend on who reads what it shows."""

import logging

import numpy as np
import pytest

from mobileseg.semantic.training import require
from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.logs import RunLog
from mobileseg.viz.history import read_log
from tests.training.toy import start_mobileseg

pytestmark = pytest.mark.both


class Gone:
    """A stream whose reader went away after some lines."""

    def __init__(self, lines, error):
        self.lines, self.error, self.seen = lines, error, []

    def write(self, text):
        if len(self.seen) >= self.lines:
            raise self.error
        self.seen.append(text)

    def flush(self):
        pass

    def isatty(self):
        return False


def test_lines_that_cannot_be_shown_are_still_logged(tmp_path):
    for error in (BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device")):
        folder = tmp_path / str(error.errno)
        folder.mkdir()
        log = RunLog(folder, 4, stream=Gone(2, error))
        for number in range(4):
            log.train({"iter": number, "loss": 1.0, "lr": 0.1, "images_per_s": 1.0, "data_wait": 0.0, "eta": 0.0})
        log.close()
        assert [event["iter"] for event in read_log(folder)] == [0, 1, 2, 3]


def test_a_training_whose_reader_goes_away_ends_as_any_other(toy_file, tmp_path):
    run = tmp_path / "run"
    words = ["train", str(toy_file), "--save_dir", str(run), "--iters", "8", "--log_iters", "1", "--no_eval"]
    with start_mobileseg(*words) as process:
        process.stderr.readline()
        process.stderr.close()  # as `2>&1 | head -1` does
        process.wait(timeout=600)
    assert process.returncode == 0
    saved = read_checkpoint(run / "last")
    assert saved.state["iteration"] == 8
    assert all(np.isfinite(array).all() for array in saved.weights.values())


def test_one_class_is_a_warning(caplog):
    class Alone:
        num_classes, items = 1, ()

    with caplog.at_level(logging.WARNING):
        require(Alone(), "train_dataset")
    assert "train_dataset has one class" in caplog.text
