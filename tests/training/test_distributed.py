"""Two processes with gloo against one process with the whole batch."""

import numpy as np
import pytest

from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.distributed import Processes
from mobileseg.training.trainer import Trainer
from mobileseg.viz.history import read_log
from tests.training.launching import FROZEN, launch
from tests.training.toy import losses_of, weights_of

pytestmark = pytest.mark.both


@pytest.mark.parametrize("accumulate", [1, pytest.param(2, marks=pytest.mark.long)])
def test_two_processes_with_half_batches_are_one_with_the_whole(toy_config, toy_file, tmp_path, accumulate):
    """Every image has another number of ignored pixels, so the halves must share their normaliser."""
    settings = [*FROZEN, f"accumulate={accumulate}"]
    single = Trainer(toy_config(*settings, "batch_size=4"), tmp_path / "single")
    single.fit()
    run = tmp_path / "double"
    words = [str(toy_file), "--save_dir", str(run), "--batch_size", "2", "--device", "cpu", "-o", *settings]
    launch(words, tmp_path / "logs")
    one, two = losses_of(tmp_path / "single"), losses_of(run)
    assert one.keys() == two.keys() == set(range(1, 9))
    np.testing.assert_allclose([one[i] for i in one], [two[i] for i in one], rtol=2e-5)
    saved = read_checkpoint(run / "last")
    for name, array in weights_of(single).items():
        np.testing.assert_allclose(saved.weights[name], array, rtol=1e-4, atol=2e-6, err_msg=name)
    assert saved.state["processes"] == 2
    scores = [[e["miou"] for e in read_log(folder) if e["event"] == "eval"] for folder in (tmp_path / "single", run)]
    np.testing.assert_allclose(*scores, atol=2e-3)  # a pixel on the edge may fall to the other side
    assert len(scores[1]) == 2  # only the main process wrote


@pytest.mark.long
def test_two_processes_resume_exactly(toy_file, tmp_path):
    """With normalisations in training: each process has statistics of its own between two saves."""
    words = [str(toy_file), "--batch_size", "2", "--device", "cpu", "--log_iters", "1", "--resume"]
    options = ["-o", "num_workers=1", "save_interval=3"]
    launch([*words, "--save_dir", str(tmp_path / "whole"), *options], tmp_path / "a")
    launch([*words, "--save_dir", str(tmp_path / "halves"), "--iters", "8", *options], tmp_path / "b")
    for folder in ("checkpoints/iter_000006", "checkpoints/iter_000008", "last"):
        for path in sorted((tmp_path / "halves" / folder).iterdir(), reverse=True):
            path.unlink()
        (tmp_path / "halves" / folder).rmdir()
    launch([*words, "--save_dir", str(tmp_path / "halves"), *options], tmp_path / "c")
    one, two = read_checkpoint(tmp_path / "whole" / "last"), read_checkpoint(tmp_path / "halves" / "last")
    for name in one.weights:
        np.testing.assert_array_equal(one.weights[name], two.weights[name], err_msg=name)
    assert losses_of(tmp_path / "whole") == losses_of(tmp_path / "halves")


def test_one_process_needs_no_group():
    processes = Processes()
    assert (processes.rank, processes.count, processes.is_main) == (0, 1, True)
    counts = np.array([[1, 2]])
    assert processes.sum_counts(counts) is counts
    assert processes.largest(7) == 7
    processes.barrier()


MESSAGES = """
import sys
import mobileseg, paddle
from pathlib import Path
from mobileseg.training.distributed import Processes

paddle.set_device("cpu")
processes = Processes()
for name, message in (("text", b"\\x00from %d" % processes.rank * (1 + 5000 * processes.rank)), ("none", b"")):
    found = processes.gather(message)
    Path(sys.argv[1], f"{name}{processes.rank}").write_bytes(b"|".join(found))
"""


def test_messages_of_two_processes(tmp_path):
    """Each gets the messages of both, of whatever length."""
    script = tmp_path / "messages.py"
    script.write_text(MESSAGES)
    launch([str(tmp_path)], tmp_path / "logs", script)
    for rank in (0, 1):
        expected = b"\x00from 0" + b"|" + b"\x00from 1" * 5001
        assert (tmp_path / f"text{rank}").read_bytes() == expected
        assert (tmp_path / f"none{rank}").read_bytes() == b"|"


def test_message_of_one_process():
    assert Processes().gather(b"alone") == [b"alone"]
