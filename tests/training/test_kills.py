"""SIGKILL at seeded random moments, in iterations, checkpoints and evaluations: every run ends with the same bits."""

import os
import random
import signal
import time

import pytest
import yaml

from mobileseg.training.checkpoint import read_checkpoint
from tests.training.toy import equal, losses_of, run_mobileseg, start_mobileseg
from tests.video.toy_video import toy_queries_section, toy_video_data, toy_video_section

pytestmark = pytest.mark.both

OPTIONS = ["--iters", "12", "--save_interval", "2", "--log_iters", "1", "--num_workers", "0", "--use_ema"]
OPTIONS += ["--keep_checkpoint_max", "2", "-o", "eval_interval=3", "clip.norm=1.0"]


def killed_at_random(words, run, rng):
    """One process that goes on in the run folder and is killed at a random moment; whether it was killed in time."""
    with start_mobileseg(*words, "--save_dir", str(run), "--resume", "auto", *OPTIONS) as process:
        lines = rng.randint(1, 6)  # of the log: iterations, evaluations, what was resumed
        for line in process.stderr:
            lines -= "[train]" in line or "[eval]" in line or "resumed" in line
            if lines <= 0:
                time.sleep(rng.uniform(0.0, 0.1))
                break
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode != 0


def compare(whole, killed):
    for place in ("last", "best"):
        one, other = read_checkpoint(whole / place), read_checkpoint(killed / place)
        assert equal(one.weights, other.weights)
        assert one.arrays.keys() == other.arrays.keys()
        assert all(equal(one.arrays[group], other.arrays[group]) for group in one.arrays)
        assert one.state["best"] == other.state["best"]
        assert one.state["stale_evals"] == other.state["stale_evals"]
    assert losses_of(whole) == losses_of(killed)
    left = [path for path in killed.rglob(".*") if path.name.startswith((".tmp-", ".old-")) or ".partial" in path.name]
    assert not left


def check(file, folder, kills, seed):
    """So many kills in as many runs as it takes."""
    words = ["train", str(file), "--device", "cpu"]
    assert run_mobileseg(*words, "--save_dir", str(folder / "whole"), *OPTIONS).returncode == 0
    rng, done, number = random.Random(seed), 0, 0
    while done < kills:
        run = folder / f"killed_{number}"
        number += 1
        while done < kills and killed_at_random(words, run, rng):
            done += 1
        finished = run_mobileseg(*words, "--save_dir", str(run), "--resume", "auto", *OPTIONS)
        assert finished.returncode == 0, finished.stderr
        compare(folder / "whole", run)


def test_labels_survive_a_kill(toy_file, tmp_path):
    check(toy_file, tmp_path, kills=2, seed=1)


def test_objects_survive_a_kill(instance_file, tmp_path):
    check(instance_file, tmp_path, kills=1, seed=2)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_labels_survive_a_hundred_kills(toy_file, tmp_path):
    check(toy_file, tmp_path, kills=100, seed=3)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_objects_survive_a_hundred_kills(instance_file, tmp_path):
    check(instance_file, tmp_path, kills=100, seed=4)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_frames_with_flow_survive_fifty_kills(tmp_path):
    """Three optimizer steps per iteration: still images, frames, and frames whose features are moved."""
    file = tmp_path / "toy.yml"
    file.write_text(yaml.safe_dump(toy_video_section(toy_video_data(tmp_path / "data"), "joint")))
    check(file, tmp_path, kills=50, seed=5)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_frames_with_queries_survive_fifty_kills(tmp_path):
    file = tmp_path / "toy.yml"
    file.write_text(yaml.safe_dump(toy_queries_section(toy_video_data(tmp_path / "data"), clip=2)))
    check(file, tmp_path, kills=50, seed=6)
