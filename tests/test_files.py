"""Files that are there whole or not at all."""

import errno
from pathlib import Path

import pytest

from mobileseg.files import write_whole


@pytest.mark.parametrize(("content", "stored"), [("größer\n", "größer\n".encode()), (b"\x00\xff", b"\x00\xff")])
def test_texts_and_bytes(tmp_path, content, stored) -> None:
    (tmp_path / "a").write_text("older and longer than the new content")
    write_whole(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == stored
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_names_the_file_and_keeps_the_old_one(tmp_path, monkeypatch) -> None:
    (tmp_path / "a").write_text("old")
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        write(path, content[:1])
        raise OSError(errno.ENOSPC, "No space left on device")  # as write() raises it: without a name

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_whole(tmp_path / "a", "new")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "a"))
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_no_such_folder_names_the_file(tmp_path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "none" / "a", "x")
    assert caught.value.filename == str(tmp_path / "none" / "a")


def test_ctrl_c_leaves_nothing_behind(tmp_path, monkeypatch) -> None:
    def interrupted(path: Path, content: bytes) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a", "x")
    assert not list(tmp_path.iterdir())
