"""Folders of labelme that were read before: the same dataset, or the same error, as without a cache."""

import logging
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.data import annotation_cache
from mobileseg.data.datasets import LabelmeInstances
from mobileseg.data.formats import labelme_json
from mobileseg.errors import DataError
from tests.data.labelme_files import save, shape

Boxes = list[tuple[str, int, int, int, int]]
"""Label and x1, y1, x2, y2 of every rectangle of an image of 40x60."""


def draw(root: Path, name: str, boxes: Boxes, **more: object) -> Path:
    """An image and its JSON file."""
    return save(root, name, [shape(label, [box[:2], box[2:]], "rectangle") for label, *box in boxes], **more)


def assert_is(data: LabelmeInstances, expected: dict[str, Boxes], classes: tuple[str, ...]) -> None:
    """The dataset has these images in this order with these rectangles, numbered from 1 over all images."""
    assert [data.file_name(i) for i in range(len(data))] == list(expected)
    assert data.classes == classes
    number = 0
    for index, (name, boxes) in enumerate(expected.items()):
        found = data.objects(index)
        assert data.items[index].image == data.items[index].label.with_suffix(".jpg")
        assert str(data.items[index].image).endswith(name)
        assert [classes[c] for c in found.classes] == [label for label, *_ in boxes]
        assert found.boxes.tolist() == [box for _, *box in boxes]
        for mask, (_, x1, y1, x2, y2) in zip(found.masks, boxes, strict=True):
            number += 1
            full = np.zeros((40, 60), np.uint8)
            full[y1:y2, x1:x2] = 1
            np.testing.assert_array_equal(mask, full)
    assert data.annotations.ids.tolist() == list(range(1, number + 1))


FIRST: dict[str, Boxes] = {
    "train/a.jpg": [("nut", 1, 2, 30, 20), ("bolt", 5, 5, 50, 39)],
    "train/b.jpg": [("bolt", 0, 0, 9, 9)],
    "train/c.jpg": [],
}
CLASSES = ("bolt", "nut", "washer")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose entry is there."""
    monkeypatch.setenv("MOBILESEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(annotation_cache, "MIN_BYTES", 1)
    for name, boxes in FIRST.items():
        draw(tmp_path / "data", name.removesuffix(".jpg"), boxes)
    draw(tmp_path / "data", "val/d", [("washer", 1, 1, 2, 2)])
    assert_is(opened(tmp_path / "data"), FIRST, CLASSES)
    return tmp_path / "data"


def opened(root: Path) -> LabelmeInstances:
    return LabelmeInstances(str(root), keep_empty=True)


def entries(root: Path) -> list[Path]:
    return sorted((root.parent / "cache" / "annotations").iterdir())


@pytest.fixture
def parsed(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the name of every file that is parsed from now on."""
    seen: list[str] = []
    read = labelme_json._read
    monkeypatch.setattr(labelme_json, "_read", lambda path: (seen.append(path.stem), read(path))[1])
    return seen


def rewrite(path: Path, old: str, new: str) -> None:
    """Edit a file so that size and modification time stay."""
    before = path.stat()
    time.sleep(0.02)  # the clock of file systems ticks every few milliseconds
    path.write_text(path.read_text().replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def test_the_second_start_parses_nothing(root: Path, parsed: list[str]) -> None:
    data = opened(root)
    assert_is(data, FIRST, CLASSES)
    assert LabelmeInstances.count_classes({"dataset_root": str(root)}) == 3
    assert isinstance(data.annotations.store.rle_bytes, np.memmap)
    assert len(pickle.dumps(data.annotations.store)) < data.annotations.store.boxes.nbytes + 4000
    assert parsed == []
    assert len(entries(root)) == 1


def test_parts_and_classes_have_entries_of_their_own(root: Path, parsed: list[str], caplog) -> None:
    for _ in range(2):
        assert_is(LabelmeInstances(str(root), mode="val"), {"val/d.jpg": [("washer", 1, 1, 2, 2)]}, CLASSES)
        with caplog.at_level(logging.WARNING):
            data = LabelmeInstances(str(root), classes=["nut"], keep_empty=True)
        assert_is(data, FIRST | {"train/a.jpg": FIRST["train/a.jpg"][:1], "train/b.jpg": []}, ("nut",))
        assert data.left_out == {"bolt": 2}
    assert parsed == ["d", "a", "b", "c", "a", "b", "c"]
    assert [record.getMessage().count("bolt (2)") for record in caplog.records] == [1, 1]
    (root / "classes.txt").write_text("nut\nbolt\n")
    assert_is(opened(root), FIRST, ("nut", "bolt"))


def test_a_class_that_yaml_takes_for_a_number(root: Path) -> None:
    draw(root, "train/b", [("7", 0, 0, 9, 9)])
    for _ in range(2):
        data = LabelmeInstances(str(root), classes=[7])
        assert_is(data, {"train/b.jpg": [("7", 0, 0, 9, 9)]}, ("7",))


def test_an_edit_that_keeps_size_and_time_is_seen(root: Path, parsed: list[str]) -> None:
    rewrite(root / "train/b.json", '"bolt"', '"boot"')
    assert_is(opened(root), FIRST | {"train/b.jpg": [("boot", 0, 0, 9, 9)]}, ("bolt", "boot", "nut", "washer"))
    assert parsed == ["a", "b", "c", "d"]


def test_files_that_come_and_go(root: Path) -> None:
    draw(root, "train/bb", [("nut", 3, 3, 8, 8)])
    more = dict(sorted((FIRST | {"train/bb.jpg": [("nut", 3, 3, 8, 8)]}).items()))
    assert_is(opened(root), more, CLASSES)
    (root / "train/bb.json").rename(root / "train/b0.json")
    rewrite(root / "train/b0.json", "bb.jpg", "b0.jpg")
    (root / "train/bb.jpg").rename(root / "train/b0.jpg")
    renamed = dict(sorted((FIRST | {"train/b0.jpg": [("nut", 3, 3, 8, 8)]}).items()))
    assert_is(opened(root), renamed, CLASSES)
    (root / "train/b0.json").unlink()
    assert_is(opened(root), FIRST, CLASSES)
    (root / "val/d.json").unlink()  # its label was a class of all parts
    assert_is(opened(root), FIRST, CLASSES[:2])


def test_a_list_in_another_order(root: Path) -> None:
    for names in (["b", "a"], ["a", "b"], ["a", "b", "a"], ["c", "a"]):
        (root / "some.txt").write_text("\n".join(f"train/{name}.json" for name in names))
        data = LabelmeInstances(str(root), train_path="some.txt", classes=["bolt", "nut"], keep_empty=True)
        assert [item.image.stem for item in data.items] == names
        assert len(data.annotations) == sum(len(FIRST[f"train/{name}.jpg"]) for name in names)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "train/b.jpg").unlink(), "b.json: its image .*b.jpg does not exist"),
        (lambda root: (root / "train/b.json").write_text("{"), "b.json is no JSON"),
        (lambda root: draw(root, "train/b", [], imageHeight=0), "imageWidth and imageHeight cannot be"),
        (lambda root: rewrite(root / "train/a.json", '"rectangle"', '"trapezoid"'), "type that is not"),
        (lambda root: rewrite(root / "val/d.json", '"shapes"', '"shaped"'), "d.json has no list 'shapes'"),
    ],
)
def test_what_is_wrong_afterwards(root: Path, monkeypatch, damage: Callable[[Path], object], message: str) -> None:
    damage(root)
    said = []
    for smallest in (1, 1, 1 << 40):  # with the cache, twice, and without
        monkeypatch.setattr(annotation_cache, "MIN_BYTES", smallest)
        with pytest.raises(DataError, match=message) as caught:
            opened(root)
        said.append(str(caught.value))
    assert len(set(said)) == 1
    assert len(entries(root)) == 1


def test_sizes_that_are_read_from_images_are_not_kept(root: Path) -> None:
    draw(root, "train/b", FIRST["train/b.jpg"], imageHeight=None)
    assert_is(opened(root), FIRST, CLASSES)
    assert len(entries(root)) == 1
    Image.new("RGB", (20, 10)).save(root / "train/b.jpg")
    assert opened(root).objects(1).size == (10, 20)


@pytest.mark.parametrize("damage", ["empty", "short", "long", "head", "array"])
def test_damaged_entries_are_built_anew(root: Path, parsed: list[str], damage: str) -> None:
    (entry,) = entries(root)
    data = bytearray(entry.read_bytes())
    entry.unlink()
    if damage in ("head", "array"):
        data[60 if damage == "head" else -70] ^= 4
    entry.write_bytes({"empty": b"", "short": data[:-64], "long": data + b"x"}.get(damage, bytes(data)))
    for _ in range(2):
        assert_is(opened(root), FIRST, CLASSES)
        assert parsed == ["a", "b", "c", "d"]


def test_a_cache_that_cannot_be_written_is_done_without(root: Path, monkeypatch, caplog) -> None:
    (root.parent / "file").write_text("")
    monkeypatch.setenv("MOBILESEG_CACHE", str(root.parent / "file"))
    with caplog.at_level(logging.WARNING):
        assert_is(opened(root), FIRST, CLASSES)
    (record,) = caplog.records
    assert f"every start parses {root}" in record.getMessage()


def test_two_processes_build_the_same_entry(root: Path) -> None:
    (entry,) = entries(root)
    entry.unlink()
    code = "import sys; from mobileseg.data import annotation_cache as c; c.MIN_BYTES = 1\n"
    code += "from mobileseg.data.datasets import LabelmeInstances\n"
    code += "data = LabelmeInstances(sys.argv[1]); print(data.classes, data.annotations.boxes.tolist())"
    commands = [subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=-1, stderr=-1) for _ in range(2)]
    answers = [command.communicate() for command in commands]
    boxes = [[float(value) for value in box] for part in FIRST.values() for _, *box in part]
    assert answers == [(f"{CLASSES} {boxes}\n".encode(), b"")] * 2
    assert entries(root) == [entry]
