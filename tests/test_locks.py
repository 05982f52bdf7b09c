"""Locks between processes: held by one, released by any death."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mobileseg.errors import TrainingError
from mobileseg.locks import locked, remove_partial_files
from tests.processes import started

BUSY = TrainingError("the folder is busy", remedy="try another")
HOLDER = """
import sys, time
from mobileseg.errors import TrainingError
from mobileseg.locks import locked, remove_partial_files
with locked(sys.argv[1], TrainingError("the folder is busy")):
    print("held", flush=True)
    time.sleep(600)
"""


def test_one_at_a_time_and_the_loser_is_told_who_has_it(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with started([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(TrainingError, match=rf"the folder is busy \(process {other.pid} on "):
            locked(lock, BUSY).__enter__()
    with locked(lock, BUSY) as real:  # it was killed: nothing is in the way
        assert real
    assert not list(tmp_path.iterdir())


def test_a_killed_holder_is_waited_for(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with started([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        threading.Timer(0.3, os.kill, (other.pid, signal.SIGKILL)).start()
        begun = time.monotonic()
        with locked(lock, BUSY, waiting=lambda: None):
            assert time.monotonic() - begun > 0.2


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with locked(tmp_path / ".lock", BUSY, waiting=lambda: None):
                with guard:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.001)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert not list(tmp_path.iterdir())


def test_a_forked_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    with locked(tmp_path / ".lock", BUSY):
        child = os.fork()
        if child == 0:
            time.sleep(600)
            os._exit(0)
    try:
        with locked(tmp_path / ".lock", BUSY):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_an_error_inside_releases(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / ".lock", BUSY):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("content")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"), locked(tmp_path / ".lock", BUSY):
        pass
    assert (tmp_path / "precious").read_text() == "content"


def test_partial_files_of_killed_writers_are_removed(tmp_path: Path) -> None:
    for name in (".a.77.partial", ".b.part", ".clip.partial.mp4", "c.part", ".d", "partial", "x.partial.mp4"):
        (tmp_path / name).write_text("")
    remove_partial_files(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".d", "c.part", "partial", "x.partial.mp4"]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/.a.part").touch()
    remove_partial_files(tmp_path)
    assert (tmp_path / "sub/.a.part").exists()
    remove_partial_files(tmp_path, below=True)
    assert not (tmp_path / "sub/.a.part").exists()
    remove_partial_files(tmp_path / "absent")
