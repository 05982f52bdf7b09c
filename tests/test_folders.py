"""Folders that appear whole or not at all, and scratch folders that no death leaves for long."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mobileseg.errors import ExportError
from mobileseg.folders import put_in_place, scratch_folder, staged
from tests.processes import started

WRITER = """
import sys, time
from pathlib import Path
from mobileseg.errors import ExportError
from mobileseg.folders import scratch_folder, staged
with scratch_folder() as work, staged(Path(sys.argv[1]), ExportError) as stage:
    (stage / "part").write_text("half")
    (work / "part").write_text("half")
    print(work, flush=True)
    time.sleep(600)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(folder: Path, content: str) -> None:
    with staged(folder, ExportError) as stage:
        (stage / "a").write_text(content)
        put_in_place(stage, folder)


def test_a_folder_appears_and_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "x", "one")
    write(tmp_path / "deep" / "x", "two")
    assert (tmp_path / "deep" / "x" / "a").read_text() == "two"
    assert names(tmp_path / "deep") == ["x"]


def test_an_error_leaves_the_old_folder(tmp_path: Path) -> None:
    write(tmp_path / "x", "one")
    with pytest.raises(FileNotFoundError), staged(tmp_path / "x", ExportError) as stage:
        (stage / "none" / "a").write_text("two")
    assert (tmp_path / "x" / "a").read_text() == "one"
    assert names(tmp_path) == ["x"]


def test_what_cannot_be_renamed_leaves_the_old_folder(tmp_path: Path) -> None:
    write(tmp_path / "x", "one")
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "nothing", tmp_path / "x")
    assert (tmp_path / "x" / "a").read_text() == "one"
    assert names(tmp_path) == ["x"]


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    write(tmp_path / "real", "one")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "two"


def test_two_writers_and_what_a_killed_one_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is refused; after a SIGKILL of the first its remains go with the next one's."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    target = tmp_path / "out" / "x"
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with started([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, env=environment) as other:
        assert other.stdout is not None
        work = Path(other.stdout.readline().strip())
        with (
            pytest.raises(ExportError, match=rf"x is being written by another process \(process {other.pid} "),
            staged(target, ExportError),
        ):
            pass
        with scratch_folder():
            assert work.is_dir()  # of a living process
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert len(names(tmp_path / "out")) == 2  # its stage and its lock
        assert (work / "part").is_file()
        write(target, "whole")
        with scratch_folder() as own:
            assert names(scratch) == sorted([own.name, f"{own.name}.lock"])
    assert names(tmp_path / "out") == ["x"]
    assert names(scratch) == []


def test_a_folder_that_stepped_aside_comes_back(tmp_path: Path) -> None:
    """Killed between the two renames, the old folder has another name until the next one writes here."""
    write(tmp_path / "x", "one")
    (tmp_path / "x").rename(tmp_path / ".x.old")
    with staged(tmp_path / "x", ExportError):
        assert (tmp_path / "x" / "a").read_text() == "one"
    assert names(tmp_path) == ["x"]


def test_folders_of_similar_names_are_left_alone(tmp_path: Path) -> None:
    for name in (".x.new-1y", ".xx.new-1", "x.new-1", ".x.new-"):
        (tmp_path / name).mkdir()
    (tmp_path / ".x.new-1").mkdir()
    write(tmp_path / "x", "one")
    assert names(tmp_path) == sorted([".x.new-1y", ".xx.new-1", "x.new-1", ".x.new-", "x"])
