import json
import logging
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mobileseg.data import annotation_cache
from mobileseg.data.formats import annotation_json
from mobileseg.data.formats.coco_json import CocoFile, _parsed, read_coco
from mobileseg.errors import DataError


def document(count: int = 40) -> dict:
    """Images with 0, 1, 2, ... polygons and run lengths, in another order than their images."""
    rng = np.random.default_rng(0)
    images = [{"id": 7 + i, "file_name": f"a/Bild {i} ä.jpg", "height": 30, "width": 40} for i in range(count)]
    annotations = []
    for number in range(3 * count):
        mask: object = [rng.uniform(0, 30, 8).round(2).tolist() for _ in range(number % 2 + 1)]
        if number % 5 == 0:
            mask = {"size": [30, 40], "counts": [number, 10, 1190 - number]}
        annotations.append(
            {
                "id": 1000 - number,
                "image_id": int(7 + rng.integers(count)),
                "category_id": 1 + number % 3,
                "bbox": [1, 2, 3, 4 + number],
                "area": 12,
                "iscrowd": int(number % 7 == 0),
                "segmentation": mask,
            }
        )
    names = [{"id": 1 + i, "name": name} for i, name in enumerate(("cat", "Hund", "鸟"))]
    return {"images": images, "annotations": annotations, "categories": names}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An annotation file that is worth keeping, and a cache folder of its own."""
    monkeypatch.setenv("MOBILESEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(annotation_cache, "MIN_BYTES", 1)
    path = tmp_path / "data" / "instances.json"
    path.parent.mkdir()
    path.write_text(json.dumps(document()), encoding="utf-8")
    return path


def entries(source: Path) -> list[Path]:
    return sorted((source.parents[1] / "cache" / "annotations").iterdir())


def assert_same(found: CocoFile, expected: CocoFile) -> None:
    assert found[:4] == expected[:4]
    one, other = found.table, expected.table
    for name in ("starts", "sizes", "ids", "classes", "crowd", "boxes", "areas"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for image in range(len(found.image_ids)):
        for row in one.rows(image):
            assert one.polygons(row) == other.polygons(row)
            assert one.rle(row, one.size(image)) == other.rle(row, other.size(image))


def parses(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Grows by every file that is parsed from now on."""
    seen: list[Path] = []
    monkeypatch.setattr(
        "mobileseg.data.formats.coco_json._parsed", lambda path, *rest: (seen.append(path), _parsed(path, *rest))[1]
    )
    return seen


@pytest.mark.parametrize("classes", [None, ["鸟", "cat"]])
def test_what_was_parsed_is_read_again_from_maps(source, monkeypatch, classes):
    expected = _parsed(source, classes, "")
    seen = parses(monkeypatch)
    assert_same(read_coco(source, classes), expected)
    again = read_coco(source, classes)
    assert_same(again, expected)
    assert seen == [source]
    assert len(entries(source)) == 1
    assert isinstance(again.table.store.numbers, np.memmap)
    read_coco(source, ["Hund"])
    assert len(entries(source)) == 2


def test_another_process_gets_the_places_of_the_arrays(source, tmp_path):
    table = read_coco(source).table
    large = pickle.dumps(_parsed(source, None, "").table)
    small = pickle.dumps(table.select_images(range(20, 30)))
    assert len(small) < 0.4 * len(large)
    (tmp_path / "table").write_bytes(small)
    code = (
        "import pickle, sys; t = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(type(t.store.numbers).__name__, t.ids.tolist(), t.instances(3).areas().tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "table")], capture_output=True, text=True)
    chosen = table.select_images(range(20, 30))
    assert done.stdout.split(" ", 1)[0] == "memmap", done.stderr
    assert done.stdout == f"memmap {chosen.ids.tolist()} {chosen.instances(3).areas().tolist()}\n"


def test_an_edit_that_keeps_size_and_time_is_seen(source):
    read_coco(source)
    before = source.stat()
    text = source.read_text(encoding="utf-8")
    time.sleep(0.02)  # the clock of file systems ticks every few milliseconds
    source.write_text(text.replace('"Hund"', '"Hand"'), encoding="utf-8")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.stat().st_size == before.st_size
    assert read_coco(source).classes == ("cat", "Hand", "鸟")


def test_a_touched_file_is_not_parsed_again(source, monkeypatch):
    expected = read_coco(source)
    seen = parses(monkeypatch)
    os.utime(source, ns=(1, 1))
    assert_same(read_coco(source), expected)
    assert seen == []
    source.write_text(json.dumps(document(41)), encoding="utf-8")
    assert len(read_coco(source).image_ids) == 41
    assert seen == [source]


@pytest.mark.parametrize("damage", ["empty", "short", "long", "head", "array", "foreign", "folder"])
def test_damaged_entries_are_built_anew(source, monkeypatch, damage):
    expected = read_coco(source)
    (entry,) = entries(source)
    data = bytearray(entry.read_bytes())
    entry.unlink()
    if damage == "folder":
        entry.mkdir()
        assert_same(read_coco(source), expected)  # works without
        return
    if damage in ("head", "array"):
        data[60 if damage == "head" else -200] ^= 4
    content = {"empty": b"", "short": data[:-64], "long": data + b"x", "foreign": b"\x93NUMPY" + data}
    entry.write_bytes(content.get(damage, bytes(data)))
    seen = parses(monkeypatch)
    assert_same(read_coco(source), expected)
    assert seen == [source]
    assert_same(read_coco(source), expected)
    assert seen == [source]


def test_a_cache_that_cannot_be_written_is_done_without(source, monkeypatch, caplog):
    (source.parent / "file").write_text("")
    monkeypatch.setenv("MOBILESEG_CACHE", str(source.parent / "file"))
    with caplog.at_level(logging.WARNING):
        assert_same(read_coco(source), _parsed(source, None, ""))
    (record,) = caplog.records
    assert "cannot be kept in" in record.getMessage()
    assert "MOBILESEG_CACHE names another folder" in record.getMessage()


def test_nothing_is_written_into_the_dataset(source):
    source.chmod(0o444)
    source.parent.chmod(0o555)
    try:
        read_coco(source)
        assert list(source.parent.iterdir()) == [source]
        assert len(entries(source)) == 1
    finally:
        source.parent.chmod(0o755)


def test_two_processes_build_the_same_entry(source):
    code = "import sys; from mobileseg.data import annotation_cache as c; c.MIN_BYTES = 1\n"
    code += "from pathlib import Path; from mobileseg.data.formats.coco_json import read_coco\n"
    code += "print(read_coco(Path(sys.argv[1])).table.ids.tolist())"
    commands = [subprocess.Popen([sys.executable, "-c", code, str(source)], stdout=-1, stderr=-1) for _ in range(2)]
    answers = [command.communicate() for command in commands]
    assert answers[0] == answers[1] == (f"{read_coco(source).table.ids.tolist()}\n".encode(), b"")
    assert len(entries(source)) == 1


def test_a_worker_that_is_killed_while_it_reads_harms_nothing(source, monkeypatch):
    expected = read_coco(source)
    (entry,) = entries(source)
    before = entry.read_bytes()
    code = "import sys; from mobileseg.data import annotation_cache as c; c.MIN_BYTES = 1\n"
    code += "from pathlib import Path; from mobileseg.data.formats.coco_json import read_coco\n"
    code += "table = read_coco(Path(sys.argv[1])).table\n"
    code += "while True: print(type(table.store.numbers), sum(len(table.instances(i)) for i in range(40)), flush=True)"
    with subprocess.Popen([sys.executable, "-c", code, str(source)], stdout=-1) as worker:
        line = worker.stdout.readline()
        worker.kill()
    assert b"memmap" in line
    assert b" 120" in line
    seen = parses(monkeypatch)
    assert_same(read_coco(source), expected)
    assert (seen, entry.read_bytes()) == ([], before)


def test_entries_of_earlier_states_go_after_a_day(source):
    read_coco(source)
    (first,) = entries(source)
    source.write_text(json.dumps(document(41)), encoding="utf-8")
    read_coco(source)
    assert len(entries(source)) == 2  # workers of a training may not have mapped it yet
    os.utime(first, (1, 1))
    source.write_text(json.dumps(document(42)), encoding="utf-8")
    read_coco(source)
    assert first not in entries(source)
    assert len(entries(source)) == 2


def test_what_cannot_be_used_is_not_kept(source):
    broken = document()
    broken["annotations"][3]["bbox"] = [1, 2]
    source.write_text(json.dumps(broken), encoding="utf-8")
    for _ in range(2):
        with pytest.raises(DataError, match="bbox is"):
            read_coco(source)
    assert not (source.parents[1] / "cache").exists()


def test_small_files_are_parsed_every_time(source, monkeypatch):
    monkeypatch.setattr(annotation_cache, "MIN_BYTES", 1 << 30)
    read_coco(source)
    assert not (source.parents[1] / "cache").exists()


@pytest.mark.parametrize(
    ("order", "streamed"),
    [
        (("info", "images", "annotations", "categories"), True),
        (("categories", "images", "annotations"), True),
        (("annotations", "images", "categories"), False),
        (("images", "annotations", "categories", "other"), False),
    ],
)
def test_large_files_are_read_annotation_by_annotation(source, monkeypatch, order, streamed):
    full = document() | {"info": {"categories": []}, "other": {"categories": [{"id": 1, "name": "x"}]}}
    source.write_text(json.dumps({key: full[key] for key in order}, indent=1, ensure_ascii=False), encoding="utf-8")
    expected = _parsed(source, ["cat", "Hund"], "")
    whole = []
    read_json = annotation_json.read_json
    monkeypatch.setattr(annotation_json, "read_json", lambda *given: (whole.append(given), read_json(*given))[1])
    monkeypatch.setattr(annotation_json, "_LARGE_BYTES", 1)
    assert_same(_parsed(source, ["cat", "Hund"], ""), expected)
    assert (not whole) is streamed


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"images": [], "annotations": [{}], "categories": []}', '{"images": 1, "annotations": [', "{}x"],
)
def test_faults_of_large_files_are_those_of_small_ones(source, monkeypatch, text):
    messages = []
    for content in (text, json.dumps(document()).replace('"iscrowd": 0', '"iscrowd": 9', 1)):
        source.write_text(content, encoding="utf-8")
        for size in (1 << 30, 1):
            monkeypatch.setattr(annotation_json, "_LARGE_BYTES", size)
            with pytest.raises(DataError) as caught:
                _parsed(source, None, "hint")
            messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert messages[2] == messages[3]
