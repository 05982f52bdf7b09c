"""Budgets for what files claim and hold."""

import os
import socket
from pathlib import Path

import pytest

from mobileseg import limits
from mobileseg.limits import broken_character, home_expanded, number_faults, read_regular, read_text, shown, size_fault


@pytest.mark.parametrize("size", [(1, 1), (16384, 16384), (65535, 4096), (12240, 16320)])
def test_sizes_of_images(size: tuple[int, int]) -> None:
    assert size_fault(*size) == ""


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((0, 5), "no size"),
        ((5, -1), "no size"),
        ((65536, 1), "a side of more than 65,535"),
        ((1, 2**40), "a side"),
        ((16385, 16384), "268,451,840 pixels, more than 268,435,456"),
        ((10**9, 10**9), "a side"),
    ],
)
def test_sizes_that_are_not_taken(size: tuple[int, int], reason: str) -> None:
    assert reason in size_fault(*size)


def test_a_file_is_read_up_to_its_budget(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    with pytest.raises(OSError, match="more than the 0 MB that are read"):
        read_regular(path, 4)
    path.write_bytes(b"")
    assert read_regular(path, 0) == b""


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path, monkeypatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(OSError, match="no regular file"):
            read_regular(path, 100)
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(OSError, match=r"(?i)no such device|no regular file"):
            read_regular("socket", 100)
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path, 100)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", 100)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError) as caught:
        read_regular(tmp_path / name, 100)
    assert caught.value.strerror


def test_a_file_that_lies_about_its_size_is_bounded() -> None:
    """Files of /proc claim to be empty."""
    assert len(read_regular("/proc/self/status", 1 << 20)) > 100
    with pytest.raises(OSError, match="more than"):
        read_regular("/proc/self/status", 10)


def test_text_has_no_byte_order_mark(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert read_text(path).splitlines() == ["a", "b"]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UnicodeDecodeError):
        read_text(path)
    assert limits.MAX_TEXT_BYTES < limits.MAX_JSON_BYTES


def test_characters_that_no_name_has() -> None:
    assert broken_character("Straße 道路 a\u00a0b") == ""
    assert broken_character("a\x7fb\x00") == "U+007F"
    assert broken_character("\udc80") == "U+DC80"


def test_home(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_expanded("~/data") == tmp_path / "data"
    assert home_expanded("data/~x") == Path("data/~x")
    assert home_expanded("~no such user/x") == Path("~no such user/x")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("7", "'7' (text)"),
        (7, "7"),
        (7.0, "7.0 (float)"),
        (None, "None (null)"),
        (True, "True (true or false)"),
        ([1], "[1] (list)"),
        ({}, "{} (object)"),
        pytest.param(10**5000, "a number of more than 64 bits", id="huge"),
        ("\ud800", r"'\ud800' (text)"),
    ],
)
def test_values_are_shown_with_their_type(value: object, text: str) -> None:
    assert shown(value) == text
    assert len(shown("a" * 1000)) < 80


def test_numbers_that_nothing_can_compute_with() -> None:
    arguments = {
        "type": "X", "a": [1, {"b": float("nan")}], "c": 10**400, "prob": 1.5, "x_prob": [0.5, -0.1], "on": True,
        "fine": 1e12, "name": "inf",
    }  # fmt: skip
    found = {fault.path: fault for fault in number_faults(arguments)}
    assert set(found) == {("a", 1, "b"), ("c",), ("prob",), ("x_prob", 1)}
    assert all(fault.message and fault.remedy for fault in found.values())
