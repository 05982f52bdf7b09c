"""Trainings over several processes."""

import os
import sys
from pathlib import Path

from tests.processes import run_alone
from tests.training.toy import REPOSITORY

FROZEN = ["freeze=['norm.*']", "model.dropout=0.0", "log_iters=1"]


def launch(words: list[str], logs: Path, script: Path = REPOSITORY / "tools" / "train.py") -> None:
    """`python -m paddle.distributed.launch --nproc_per_node 2 tools/train.py ...`."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", str(logs)]
    result = run_alone([*command, str(script), *words], env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
