"""Two processes and one run folder or one download: one works, the other is told or waits; nothing is mixed."""

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from mobileseg.errors import TrainingError
from mobileseg.files import sha256_of
from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.store import CheckpointStore
from mobileseg.training.trainer import Trainer
from tests.processes import LIMIT, started
from tests.training.toy import REPOSITORY, start_mobileseg

pytestmark = pytest.mark.both

HOLD = """
import sys, time
from pathlib import Path
import mobileseg
from mobileseg.training.store import CheckpointStore
with CheckpointStore(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_training_is_told_and_the_first_goes_on(toy_file, tmp_path):
    run = tmp_path / "run"
    words = ["train", str(toy_file), "--save_dir", str(run), "--iters", "40", "--log_iters", "1", "--no_eval"]
    with start_mobileseg(*words) as first:
        for line in first.stderr:
            if "[train] 1/" in line:
                break
        with start_mobileseg(*words, "--resume", "auto") as second:
            _, told = second.communicate(timeout=LIMIT)
        _, rest = first.communicate(timeout=LIMIT)
    assert second.returncode in (0, TrainingError.exit_code)
    if second.returncode:  # the first was still at work
        assert "another process is training in" in told
        assert "--save_dir" in told
    assert first.returncode == 0, rest
    assert read_checkpoint(run / "last").state["iteration"] == 40


def test_a_lock_ends_with_its_holder_and_what_it_left_is_removed(toy_config, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with started([sys.executable, "-c", HOLD, str(run)], cwd=REPOSITORY, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TrainingError, match="another process is training"):
            Trainer(toy_config("iters=2", "lr_scheduler.warmup_iters=1"), run, do_eval=False).fit()
        assert not (run / "config.yml").exists()  # the loser changed nothing
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(timeout=LIMIT)
    left = [run / ".config.yml.123.partial", run / "checkpoints" / ".tmp-iter_000002-123"]
    left[1].mkdir(parents=True)
    left[0].touch()
    Trainer(toy_config("iters=2", "lr_scheduler.warmup_iters=1"), run, do_eval=False).fit()
    assert not any(path.exists() for path in left)
    assert CheckpointStore(run).newest(pytest.fail).name == "iter_000002"


class Slow(BaseHTTPRequestHandler):
    """Sends a file in two halves, the second one when both clients have asked, or the one that may ask has."""

    def __init__(self, content, asked, *args):
        self.content, self.asked = content, asked
        super().__init__(*args)

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        half = len(self.content) // 2
        self.wfile.write(self.content[:half])
        threading.Event().wait(1.0)
        self.wfile.write(self.content[half:])

    def log_message(self, *args):
        pass


FETCH = "import sys; from mobileseg.weights.download import fetch; print(fetch(sys.argv[1]))"


def test_two_downloads_of_one_address_give_the_whole_file_once(tmp_path):
    content = np.random.default_rng(0).integers(1, 256, 4 << 20, dtype=np.uint8).tobytes()
    asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Slow, content, asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        command = [sys.executable, "-c", FETCH, f"http://127.0.0.1:{server.server_port}/w.pdparams"]
        options = {"cwd": REPOSITORY, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        options["env"] = {**os.environ, "MOBILESEG_CACHE": str(tmp_path)}
        with started(command, **options) as one, started(command, **options) as two:
            results = [process.communicate(timeout=LIMIT) for process in (one, two)]
    finally:
        server.shutdown()
        server.server_close()
    assert (one.returncode, two.returncode) == (0, 0), results
    path = results[0][0].strip()
    assert path == results[1][0].strip()
    (tmp_path / "expected").write_bytes(content)
    assert sha256_of(path) == sha256_of(tmp_path / "expected")
    assert asked == ["/w.pdparams"]
    assert not list(tmp_path.rglob("*.part"))
