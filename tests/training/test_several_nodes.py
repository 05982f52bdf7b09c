"""Two launchers on this machine as two nodes of one training: `paddle.distributed.launch --master ... --nnodes 2`."""

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.trainer import Trainer
from tests.processes import LIMIT, kill_all_of, started
from tests.training.launching import FROZEN
from tests.training.toy import REPOSITORY, losses_of, run_mobileseg, weights_of

pytestmark = [pytest.mark.both, pytest.mark.long]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def node(rank: int, port: int, logs: Path, words: list[str]) -> dict:
    """The launcher of one node, with one process."""
    where = ["--master", f"127.0.0.1:{port}", "--nnodes", "2", "--rank", str(rank), "--nproc_per_node", "1"]
    command = [sys.executable, "-m", "paddle.distributed.launch", *where, "--log_dir", str(logs / str(rank))]
    variables = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return {"command": [*command, str(REPOSITORY / "tools" / "train.py"), *words], "env": variables, **pipes}


def test_two_nodes_with_half_batches_are_one_process_with_the_whole(toy_config, toy_file, tmp_path):
    single = Trainer(toy_config(*FROZEN, "batch_size=4"), tmp_path / "single")
    single.fit()
    run, port = tmp_path / "nodes", free_port()
    words = [str(toy_file), "--save_dir", str(run), "--batch_size", "2", "--device", "cpu", "-o", *FROZEN]
    with ExitStack() as stack:
        nodes = [stack.enter_context(started(**node(rank, port, tmp_path / "logs", words))) for rank in (0, 1)]
        for process in nodes:
            said, _ = process.communicate(timeout=LIMIT)
            assert process.returncode == 0, said
    one, two = losses_of(tmp_path / "single"), losses_of(run)
    assert one.keys() == two.keys() == set(range(1, 9))
    np.testing.assert_allclose([one[i] for i in one], [two[i] for i in one], rtol=2e-5)
    saved = read_checkpoint(run / "last")
    assert saved.state["processes"] == 2
    for name, array in weights_of(single).items():
        np.testing.assert_allclose(saved.weights[name], array, rtol=1e-4, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_node_ends_the_other_with_a_message_and_a_checkpoint(lost, toy_file, tmp_path):
    """The other finds out in backward, where Paddle aborts, or in a reduction of ours: the message is there in both."""
    run, port = tmp_path / "run", free_port()
    options = ["--batch_size", "2", "--device", "cpu", "--no_eval", "--log_iters", "1", "--save_interval", "2"]
    words = [str(toy_file), "--save_dir", str(run), *options]
    with ExitStack() as stack:
        calls = [node(rank, port, tmp_path / "logs", [*words, "--iters", "5000"]) for rank in (0, 1)]
        nodes = [stack.enter_context(started(**call)) for call in calls]
        while not (run / "last").exists():
            assert [process.poll() for process in nodes] == [None, None]
            time.sleep(0.1)
        kill_all_of(nodes[lost].pid)
        nodes[1 - lost].communicate(timeout=LIMIT)
        assert nodes[1 - lost].returncode != 0
    said = (tmp_path / "logs" / str(1 - lost) / "workerlog.0").read_text()
    assert f"process {1 - lost} of 2" in said
    assert said.count(f"start all of them again with --resume: they go on from the newest checkpoint in {run}\n") == 1
    stopped = read_checkpoint(run / "last").state["iteration"]
    again = run_mobileseg("train", *words, "--iters", str(stopped + 1), "--resume")
    assert again.returncode == 0, again.stderr
    assert read_checkpoint(run / "last").state["iteration"] == stopped + 1
