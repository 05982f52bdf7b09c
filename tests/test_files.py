"""Files that are there whole or not at all, and their checksums."""

import errno
from pathlib import Path

import pytest

from mobileseg.files import sha256_of, write_whole


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


def test_checksum_is_the_published_one(tmp_path) -> None:
    """FIPS 180-2, appendix B.1 and B.3: "abc" and a million times "a"; and a file of two blocks."""
    (tmp_path / "short").write_bytes(b"abc")
    (tmp_path / "long").write_bytes(b"a" * 1_000_000)
    (tmp_path / "blocks").write_bytes(b"a" * 1_000_000 + b"b" * 1_000_000)
    assert sha256_of(tmp_path / "short") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "long") == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    assert sha256_of(tmp_path / "blocks") != sha256_of(tmp_path / "long")
