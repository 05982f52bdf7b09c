"""What stops a process from outside: SIGKILL while saving, SIGTERM and Ctrl-C, a full disk."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.store import CheckpointStore
from tests.processes import LIMIT, run_alone, started
from tests.training.toy import REPOSITORY, equal, losses_of, run_mobileseg, start_mobileseg

pytestmark = pytest.mark.both

SAVE_FOREVER = """
import sys
from pathlib import Path
import numpy as np
from mobileseg.training.checkpoint import Checkpoint
from mobileseg.training.store import CheckpointStore
store = CheckpointStore(Path(sys.argv[1]), keep=2)
store.prepare()
number = int(sys.argv[2])
while True:
    number += 1
    weights = {f"layer{i}": np.full((64, 1024), number, np.float32) for i in range(8)}
    arrays = {"optimizer": {"layer0/velocity": np.full(1000, number, np.float32)}}
    store.save(number, Checkpoint(weights, arrays, {"iteration": number}), numbered=number % 3 > 0, best=number % 2 > 0)
    print(number, flush=True)
"""


def test_killed_at_any_moment_a_whole_checkpoint_is_left(tmp_path):
    rng = random.Random(0)
    done = 0
    for _ in range(12):
        command = [sys.executable, "-c", SAVE_FOREVER, str(tmp_path), str(done)]
        with started(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
            reported = int(process.stdout.readline())
            time.sleep(rng.uniform(0.0, 0.08))
            process.kill()
            reported = max([reported, *map(int, process.stdout.read().split())])
        store = CheckpointStore(tmp_path, keep=2)
        folder = store.newest(lambda text: pytest.fail(text))
        checkpoint = read_checkpoint(folder)
        done = checkpoint.state["iteration"]
        assert done in (reported, reported + 1)  # nothing that was reported as saved is lost
        assert all((array == done).all() for array in checkpoint.weights.values())
        assert (checkpoint.arrays["optimizer"]["layer0/velocity"] == done).all()
        store.prepare()
        for name in ("last", "best"):
            read_checkpoint(tmp_path / name)
        assert not [path for path in tmp_path.rglob(".*") if path.is_dir()]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_and_says_how_to_continue(toy_file, tmp_path, number, code):
    run = tmp_path / "run"
    words = [
        "train",
        str(toy_file),
        "--save_dir",
        str(run),
        "--iters",
        "4000",
        "--log_iters",
        "1",
        "--num_workers",
        "1",
    ]
    with start_mobileseg(*words, "--no_eval") as process:
        for line in process.stderr:
            if "[train] 3/" in line:
                os.killpg(process.pid, number)  # the whole group, as a terminal does
                break
        out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == code, err
    assert "to continue:" in out
    stopped = read_checkpoint(run / "last").state["iteration"]
    assert 3 <= stopped < 4000
    command = out.split("to continue:\n")[1].split()
    assert command[:3] == ["python", "-m", "mobileseg"]
    again = run_mobileseg(*command[3:], "-o", f"iters={stopped + 2}")
    assert again.returncode == 0, again.stderr
    assert f"at iteration {stopped}" in again.stderr
    assert read_checkpoint(run / "last").state["iteration"] == stopped + 2


def test_full_disk_is_one_message_and_loses_nothing(toy_file, tmp_path):
    run = tmp_path / "run"
    words = ["train", str(toy_file), "--save_dir", str(run), "--no_eval", "-o", "model.width=64"]
    assert run_mobileseg(*words, "iters=4").returncode == 0
    # A limit on the size of files fails the same call as a full disk does.
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from mobileseg.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, *words, "iters=6", "--resume"]
    result = run_alone(command, env=environment)
    assert result.returncode == 5, result.stderr
    assert "cannot save the checkpoint" in result.stderr
    assert "Traceback" not in result.stderr
    assert read_checkpoint(run / "last").state["iteration"] == 4
    shutil.rmtree(run / "last")
    assert np.isfinite(read_checkpoint(run / "checkpoints" / "iter_000004").weights["stem.weight"]).all()


@pytest.mark.long
def test_a_run_killed_again_and_again_ends_with_the_same_bits(toy_file, tmp_path):
    words = ["train", str(toy_file), "--iters", "60", "--save_interval", "3", "--log_iters", "1", "--num_workers", "1"]
    options = ["--keep_checkpoint_max", "2", "--use_ema", "-o", "eval_interval=20"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run_mobileseg(*words, "--save_dir", str(whole), *options).returncode == 0
    rng = random.Random(1)
    for stop in (7, 16, 23, 41):
        with start_mobileseg(*words, "--save_dir", str(killed), "--resume", "auto", *options) as process:
            for line in process.stderr:
                if f"[train] {stop}/" in line:
                    time.sleep(rng.uniform(0.0, 0.05))
                    os.killpg(process.pid, signal.SIGKILL)
                    break
        assert process.returncode == -signal.SIGKILL
    assert run_mobileseg(*words, "--save_dir", str(killed), "--resume", *options).returncode == 0
    one, other = read_checkpoint(whole / "last"), read_checkpoint(killed / "last")
    assert equal(one.weights, other.weights)
    for group in ("ema", "optimizer"):
        assert equal(one.arrays[group], other.arrays[group])
    assert losses_of(whole) == losses_of(killed)
    assert one.state["best"] == other.state["best"]
