"""List files and class names."""

import os
from pathlib import Path

import pytest

from mobileseg.data.formats.listfile import Dataset, class_names, read_class_names, read_list
from mobileseg.errors import ConfigError, DataError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_become_items(tmp_path: Path) -> None:
    items = read_list(write(tmp_path / "l.txt", "\ufeffa/1.jpg b/1.png\r\n\n  a/2.jpg b/2.png  \n"), tmp_path)
    assert [(i.image, i.label) for i in items] == [
        (tmp_path / "a/1.jpg", tmp_path / "b/1.png"),
        (tmp_path / "a/2.jpg", tmp_path / "b/2.png"),
    ]
    spaces = read_list(write(tmp_path / "l.txt", "my image.jpg,my label.png\n"), tmp_path, ",")
    assert spaces[0].image.name == "my image.jpg"
    single = read_list(write(tmp_path / "l.txt", "1.jpg\n2.jpg 2.png\n"), tmp_path, labels_needed=False)
    assert [item.label for item in single] == [None, tmp_path / "2.png"]


@pytest.mark.parametrize(
    ("line", "separator", "hint"),
    [
        ("1.jpg\t1.png", " ", r'separator: "\t"'),
        ("1.jpg,1.png", " ", 'separator: ","'),
        ("1.jpg 1.png", ",", 'separator: " "'),
        ("my image.jpg my label.png", " ", "must not contain the separator"),
        ("1.jpg", " ", "image and label"),
    ],
)
def test_wrong_separator_is_explained(tmp_path: Path, line: str, separator: str, hint: str) -> None:
    path = write(tmp_path / "l.txt", f"0.jpg{separator}0.png\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_list(path, tmp_path, separator)
    assert f"{path}:2" in caught.value.message
    assert hint in caught.value.remedy


def test_missing_and_empty_lists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_list(tmp_path / "no.txt", tmp_path)
    with pytest.raises(DataError, match="empty"):
        read_list(write(tmp_path / "l.txt", "\n \n"), tmp_path)
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(DataError, match="cannot be read"):
        read_list(tmp_path / "bytes.txt", tmp_path)


def test_class_names(tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    assert class_names(None, 2, lists / "train.txt", tmp_path) == ("class 0", "class 1")
    write(lists / "classes.txt", "sky\ntraffic sign\n\n")
    assert read_class_names(lists / "classes.txt") == ("sky", "traffic sign")
    assert class_names(None, None, lists / "train.txt", tmp_path) == ("sky", "traffic sign")
    assert class_names(["a", "b", "c"], 3, lists / "train.txt", tmp_path) == ("a", "b", "c")
    write(tmp_path / "names.txt", "x\ny\nz\n")
    assert class_names("names.txt", None, lists / "train.txt", tmp_path) == ("x", "y", "z")
    with pytest.raises(ConfigError, match=r"num_classes is 5 but .*classes\.txt has 2"):
        class_names(None, 5, lists / "train.txt", tmp_path)
    with pytest.raises(ConfigError, match="neither num_classes nor classes"):
        class_names(None, None, tmp_path / "train.txt", tmp_path)
    with pytest.raises(DataError, match=r"gone\.txt"):
        class_names("gone.txt", None, lists / "train.txt", tmp_path)


def test_list_beside_or_inside_the_root(folder, monkeypatch) -> None:
    folder.fill("train.txt", 2)
    inside = Dataset(str(folder.root), train_path="train.txt", num_classes=3)
    beside = Dataset(str(folder.root), train_path=str(folder.root / "train.txt"), num_classes=3)
    assert inside.items == beside.items
    monkeypatch.chdir(folder.root)
    assert len(Dataset(".", train_path="train.txt", num_classes=3)) == 2


def test_test_mode_needs_no_labels(folder) -> None:
    folder.add("one")
    (folder.root / "test.txt").write_text("one.png\n")
    item = Dataset(str(folder.root), mode="test", test_path="test.txt", num_classes=3)[0]
    assert set(item) == {"image", "index"}


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"dataset_root": "no/such/folder"}, DataError, "does not exist"),
        ({"dataset_root": None}, DataError, "no dataset_root"),
        ({"mode": "training"}, ConfigError, "no mode"),
        ({"mode": "val"}, ConfigError, "val_path is not given"),
        ({"img_channels": 5}, ConfigError, "img_channels"),
        ({"separator": ""}, ConfigError, "separator is empty"),
        ({"train_path": "gone.txt"}, DataError, r"gone\.txt does not exist"),
    ],
)
def test_impossible_arguments(folder, arguments, error, text: str) -> None:
    folder.fill("train.txt", 1)
    usual = {"dataset_root": str(folder.root), "train_path": "train.txt", "num_classes": 3}
    with pytest.raises(error, match=text) as caught:
        Dataset(**(usual | arguments))
    assert caught.value.remedy


@pytest.mark.parametrize("separator", ["\t", "\\t"])
def test_the_separator_of_the_hint_works_when_it_is_pasted(tmp_path: Path, separator: str) -> None:
    """In single quotes YAML makes a backslash and a t of it."""
    write(tmp_path / "l.txt", "1.jpg\t1.png\n")
    data = Dataset(str(tmp_path), train_path="l.txt", num_classes=2, separator=separator)
    assert data.items[0].label == tmp_path / "1.png"


def test_two_blanks_are_one(tmp_path: Path) -> None:
    (item,) = read_list(write(tmp_path / "l.txt", "1.jpg   1.png\n"), tmp_path)
    assert item == (tmp_path / "1.jpg", tmp_path / "1.png")


def test_backslashes_are_slashes(tmp_path: Path) -> None:
    (item,) = read_list(write(tmp_path / "l.txt", "a\\1.jpg b\\1.png\n"), tmp_path)
    assert item == (tmp_path / "a/1.jpg", tmp_path / "b/1.png")


@pytest.mark.parametrize("mark", ["\0", "\x07"])
def test_characters_that_no_file_name_has(tmp_path: Path, mark: str) -> None:
    path = write(tmp_path / "l.txt", f"0.jpg 0.png\n1{mark}.jpg 1.png\n")
    with pytest.raises(DataError, match=rf"l\.txt:2: the line has the character U\+{ord(mark):04X}"):
        read_list(path, tmp_path)


def test_devices_and_pipes_are_no_lists(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_list(path, tmp_path)


def test_an_empty_line_between_class_names(tmp_path: Path) -> None:
    """It would move the names of all classes behind it."""
    path = write(tmp_path / "classes.txt", "sky\n\nroad\n")
    with pytest.raises(DataError, match=r"classes\.txt:2: the line is empty"):
        read_class_names(path)
    with pytest.raises(DataError, match=r"classes\.txt:2"):
        class_names(None, None, tmp_path / "train.txt", tmp_path)


def test_home_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "l.txt", "1.jpg 1.png\n")
    for name in ("l.txt", "~/l.txt"):
        assert Dataset("~", train_path=name, num_classes=2).items[0].image == tmp_path / "1.jpg"


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "\ud800"])
def test_names_that_no_file_has(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError):
        Dataset(str(tmp_path), train_path=name, num_classes=2)
    with pytest.raises(DataError, match="does not exist"):
        Dataset(name, train_path="l.txt", num_classes=2)


@pytest.mark.parametrize("count", [0, -1, 256, 10**9, 10**400, 2.0, "2", True, [2]])
def test_numbers_of_classes_that_labels_cannot_have(tmp_path: Path, count: object) -> None:
    """A thousand million names would be made before they are counted."""
    write(tmp_path / "l.txt", "1.jpg 1.png\n")
    with pytest.raises(ConfigError, match=r"num_classes is .*; expected 1 to 255"):
        Dataset(str(tmp_path), train_path="l.txt", num_classes=count)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True, 10**400])
def test_seeds_that_no_generator_takes(tmp_path: Path, seed: object) -> None:
    write(tmp_path / "l.txt", "1.jpg 1.png\n")
    with pytest.raises(ConfigError, match="seed is"):
        Dataset(str(tmp_path), train_path="l.txt", num_classes=2, seed=seed)
