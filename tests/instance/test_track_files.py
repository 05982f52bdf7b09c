"""Files about tracks: read back by pycocotools and by hand."""

import csv
import json
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_utils

from mobileseg.instance.track_files import COLUMNS, YTVIS_FILE, TrackFiles, mots_lines
from mobileseg.structures import InstanceMasks, InstanceResult

SIZE = (20, 30)
CLASSES = ("cat", "dog, small")


def frame(*objects: tuple[int, int, int, int]) -> InstanceResult:
    """Squares of 5 pixels: (track id, class, x, y) each, the first the best."""
    count = len(objects)
    return InstanceResult(
        boxes=np.array([(x, y, x + 5, y + 5) for _, _, x, y in objects], np.float32).reshape(count, 4),
        scores=np.linspace(0.9, 0.5, count).astype(np.float32),
        classes=np.array([kind for _, kind, _, _ in objects], np.int64),
        masks=InstanceMasks(SIZE, [(y, x, np.ones((5, 5), np.bool_)) for _, _, x, y in objects]),
        track_ids=np.array([number for number, *_ in objects], np.int64),
    )


CLIP = [frame((3, 0, 2, 2), (0, 1, 10, 3)), frame(), frame((0, 1, 11, 3), (3, 0, 9, 5), (7, 1, 20, 10))]


def write(folder: Path, *kinds: str) -> None:
    with TrackFiles(folder, kinds, CLASSES, (4, 9)) as files:
        for name in ("a/0012", "street"):
            with files.video(name, 10.0) as video:
                for result in CLIP:
                    video.add(result)
        with files.video("empty", 10.0) as video:
            video.add(frame())


def test_statistics_of_every_track(tmp_path: Path) -> None:
    write(tmp_path, "csv")
    with open(tmp_path / "tracks" / "a" / "0012.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["track_id"] for row in rows] == ["0", "3", "7"]
    assert rows[0] == {
        "track_id": "0", "class": "dog, small", "first_frame": "0", "last_frame": "2", "frames": "2",
        "first_seconds": "0.000", "seconds_in_view": "0.200", "mean_area": "25.0", "mean_score": "0.7000",
    }  # fmt: skip
    assert rows[2]["first_seconds"] == "0.200"
    assert (tmp_path / "tracks" / "empty.csv").read_text().splitlines() == [",".join(COLUMNS)]
    assert not (tmp_path / YTVIS_FILE).exists()


def test_youtube_vis_results_have_a_mask_or_null_per_frame(tmp_path: Path) -> None:
    write(tmp_path, "ytvis")
    entries = json.loads((tmp_path / YTVIS_FILE).read_text())
    assert [(one["video_id"], one["category_id"]) for one in entries] == [
        (12, 4), (12, 9), (12, 9), ("street", 4), ("street", 9), ("street", 9),
    ]  # fmt: skip
    for entry in entries:
        assert len(entry["segmentations"]) == len(CLIP)
    first = entries[0]
    assert first["segmentations"][1] is None
    assert (mask_utils.decode(first["segmentations"][2]) == CLIP[2].masks[1]).all()
    assert first["score"] == round((0.9 + 0.7) / 2, 6)
    assert entries[2]["segmentations"][:2] == [None, None]


def test_mots_lines_share_no_pixel(tmp_path: Path) -> None:
    write(tmp_path, "mots")
    lines = [line.split(" ") for line in (tmp_path / "tracks" / "street.txt").read_text().splitlines()]
    assert [(int(line[0]), int(line[1]), int(line[2])) for line in lines] == [
        (0, 3, 4), (0, 0, 9), (2, 0, 9), (2, 3, 4), (2, 7, 9),
    ]  # fmt: skip
    total = np.zeros(SIZE, int)
    for line in lines[2:]:
        total += mask_utils.decode({"size": [int(line[3]), int(line[4])], "counts": line[5].encode()})
    assert total.max() == 1
    whole = np.zeros(SIZE, bool)
    for mask in CLIP[2].masks:
        whole |= mask
    assert (total.astype(bool) == whole).all()
    assert (tmp_path / "tracks" / "empty.txt").read_text() == ""


def test_an_object_that_a_better_one_covers_has_no_line() -> None:
    assert [line.split(" ")[1] for line in mots_lines(frame((5, 0, 3, 3), (6, 0, 3, 3)), 0, (1,))] == ["5"]


def test_a_video_that_gave_no_frame_leaves_no_file(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    try:
        with TrackFiles(tmp_path, ("csv", "mots", "ytvis"), CLASSES) as files, files.video("one", 25.0):
            raise Stopped
    except Stopped:
        pass
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_was_found_before_an_error_is_kept(tmp_path: Path) -> None:
    with TrackFiles(tmp_path, ("csv", "ytvis"), CLASSES) as files:
        try:
            with files.video("cut", 25.0) as video:
                video.add(CLIP[0])
                raise ValueError
        except ValueError:
            pass
    assert len((tmp_path / "tracks" / "cut.csv").read_text().splitlines()) == 3
    assert len(json.loads((tmp_path / YTVIS_FILE).read_text())) == 2
