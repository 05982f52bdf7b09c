"""YouTube-VIS files: what is read, and what is said about what cannot be."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mobileseg.data import annotation_cache
from mobileseg.data.datasets import YouTubeVIS
from mobileseg.data.formats import annotation_json
from mobileseg.data.formats.coco_annotations import AnnotationError
from mobileseg.errors import ConfigError, DataError
from tests.data.video_folder import SIZE, VideoFolder, box_mask, moving


@pytest.fixture
def folder(tmp_path: Path) -> VideoFolder:
    made = VideoFolder(tmp_path)
    made.track(made.video([0, 1, 2]), moving(3))
    return made


def test_masks_of_all_kinds(folder: VideoFolder) -> None:
    mask = box_mask(10, 10, 30, 40)
    flat = np.concatenate([[0], mask.ravel(order="F"), [0]])
    edges = np.flatnonzero(np.diff(flat))
    plain = {"size": list(SIZE), "counts": np.diff([0, *edges, mask.size]).tolist()}
    polygon = [[10.0, 10.0, 30.0, 10.0, 30.0, 40.0, 10.0, 40.0]]
    folder.track(100, [mask] * 3)
    folder.annotations[-1] |= {"segmentations": [plain, polygon, None], "bboxes": None}
    del folder.annotations[-1]["areas"]
    data = YouTubeVIS(folder.write())
    for index in range(2):
        instances = data.objects(index)
        np.testing.assert_array_equal(instances.masks[1], mask)
        assert instances.boxes[1].tolist() == [10, 10, 30, 40]
    assert len(data.objects(2)) == 1
    assert data.annotations.areas[data.annotations.ids == 2].tolist() == [600, 600]


def test_boxes_are_those_of_the_file(folder: VideoFolder) -> None:
    folder.annotations[0]["bboxes"] = [[1, 2, 30, 40]] * 3
    assert YouTubeVIS(folder.write()).objects(0).boxes.tolist() == [[1, 2, 31, 42]]


def test_an_empty_mask_is_present_and_not_learnt(folder: VideoFolder) -> None:
    folder.track(100, [box_mask(0, 0, 0, 0), *moving(2)])
    data = YouTubeVIS(folder.write())
    assert data.objects(0).ids.tolist() == [1, 2]
    assert data.load(0).instances.ids.tolist() == [1]


def test_a_choice_of_classes(folder: VideoFolder) -> None:
    folder.track(100, moving(3), 20)
    data = YouTubeVIS(folder.write(), classes=["dog"])
    assert data.objects(0).ids.tolist() == [2]
    assert data.category_ids == (20,)
    with pytest.raises(ConfigError, match="no class of"):
        YouTubeVIS(folder.write(), classes=["bird"])
    assert YouTubeVIS.count_classes({"dataset_root": folder.write()}) == 2


def test_frames_between_the_listed_ones(tmp_path: Path) -> None:
    folder = VideoFolder(tmp_path)
    folder.track(folder.video([5, 10], extra=[0, 6, 9, 11]), moving(2))
    (tmp_path / "train" / "JPEGImages" / "v100" / "00007.jpg").write_bytes(b"another suffix")
    root = folder.write()
    assert YouTubeVIS(root).videos[0].numbers == (5, 6, 9, 10)
    assert YouTubeVIS(root, all_frames=False).videos[0].numbers == (5, 10)


def test_a_part_is_held_out(tmp_path: Path) -> None:
    folder = VideoFolder(tmp_path)
    for _ in range(20):
        folder.track(folder.video([0]), moving(1))
    root = folder.write()
    train = YouTubeVIS(root, holdout=0.15)
    val = YouTubeVIS(root, holdout=0.15, mode="val", annotation_file="train.json")
    names = [{video.name for video in part.videos} for part in (train, val)]
    assert [len(part) for part in names] == [17, 3]
    assert not names[0] & names[1]
    assert {video.name for video in YouTubeVIS(root, holdout=0.15).videos} == names[0]
    with pytest.raises(ConfigError, match=r"holdout is 1.5"):
        YouTubeVIS(root, holdout=1.5)


def test_places_of_the_official_files(tmp_path: Path) -> None:
    folder = VideoFolder(tmp_path)
    folder.track(folder.video([0]), moving(1))
    folder.write()
    (tmp_path / "train" / "JPEGImages").rename(tmp_path / "JPEGImages")
    (tmp_path / "train.json").rename(tmp_path / "train" / "instances.json")
    (tmp_path / "train_all_frames").mkdir()
    (tmp_path / "JPEGImages").rename(tmp_path / "train_all_frames" / "JPEGImages")
    assert "train_all_frames" in str(YouTubeVIS(str(tmp_path)).items[0].image)


def test_a_test_file_needs_no_annotations(folder: VideoFolder) -> None:
    root = Path(folder.write())
    document = json.loads((root / "train.json").read_text()) | {"annotations": None}
    (root / "test.json").write_text(json.dumps(document))
    data = YouTubeVIS(str(root), mode="test", image_dir="train/JPEGImages")
    assert not any(data.annotated(index) for index in range(3))
    assert data.prepare(0).instances is None
    document["annotations"] = []
    (root / "val.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="none of the 1 videos has an annotation"):
        YouTubeVIS(str(root), mode="val", image_dir="train/JPEGImages")
    with pytest.raises(DataError, match="0 of them annotated"):
        YouTubeVIS(str(root), annotation_file="val.json")


def video(**changes: Any) -> Any:
    return lambda folder: folder.videos[0].update(changes)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (video(id="x"), "video 'x' .text. has no id that is a whole number"),
        (video(file_names=[]), "video 100 has no frames"),
        (video(file_names=None), "file_names that are no list"),
        (video(file_names=["a.png", 3, "b.png"]), "file_names that are no list"),
        (video(file_names=["v100/00000.png"] * 3), "lists the frame v100/00000.png twice"),
        (video(file_names=["v100/0000\x00.png"], length=1), r"character U\+0000"),
        (video(length=4), "length 4 but 3 file_names"),
        (video(height=10**9), "cannot|more than"),
        (video(width=None), "width None"),
        (lambda folder: folder.videos.append(folder.videos[0]), "two videos have the id 100"),
        (lambda folder: folder.categories.append({"id": 10, "name": "x"}), "stands there twice"),
        (lambda folder: (folder.root / "train/JPEGImages/v100/00001.png").unlink(), "1 of 3 frames .*missing"),
    ],
)  # fmt: skip
def test_videos_that_cannot_be_used(folder: VideoFolder, damage: Any, message: str) -> None:
    damage(folder)
    with pytest.raises(DataError, match=message):
        YouTubeVIS(folder.write())


def track(**changes: Any) -> dict[str, Any]:
    return changes


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (track(id=1), "id", "has the id of another one"),
        (track(id=None), "id", "no id that is a whole number"),
        (track(video_id=7), "orphan", "there is no video with that id"),
        (track(category_id="10"), "category", "there is no category '10'"),
        (track(segmentations=[None]), "length", "segmentations has 1 entries, its video 3 frames"),
        (track(segmentations=None), "length", "segmentations has None"),
        (track(bboxes=[]), "length", "bboxes has 0 entries"),
        (track(areas=[1.0] * 4), "length", "areas has 4 entries"),
        (track(iscrowd=2), "crowd", "iscrowd is 2"),
        (track(bboxes=[None, [1, 2, -3, 4], None]), "box", r"frame 1 \(v100/00001.png\): bbox .* negative"),
        (track(segmentations=[{"size": [64, 48], "counts": "0"}, None, None]), "rle", r"for the size \[64, 48\]"),
        (track(segmentations=[{"size": list(SIZE), "counts": "!"}, None, None], bboxes=None), "rle", "frame 0"),
        (track(segmentations=[[[1, 2, 3, 4]], None, None]), "polygon", "2 points"),
        (track(segmentations=[7, None, None]), "mask", "it has no mask"),
    ],
)
def test_tracks_that_cannot_be_used(folder: VideoFolder, change: dict[str, Any], code: str, message: str) -> None:
    folder.track(100, moving(3))
    folder.annotations[-1] |= change
    with pytest.raises(AnnotationError, match=message) as caught:
        YouTubeVIS(folder.write())
    assert [problem.code for problem in caught.value.problems] == [code]


@pytest.mark.parametrize("document", [[], {}, {"videos": [], "annotations": {}, "categories": []}, {"images": []}, 3])
def test_other_documents(tmp_path: Path, document: Any) -> None:
    (tmp_path / "train.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="expected a YouTube-VIS file"):
        YouTubeVIS(str(tmp_path))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\udcff"])
def test_files_that_are_no_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "train.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError):
        YouTubeVIS(str(tmp_path))


def test_an_rle_that_does_not_fill_its_frame_is_said_when_it_is_read(folder: VideoFolder) -> None:
    folder.annotations[0]["segmentations"][1] = {"size": list(SIZE), "counts": "52"}
    data = YouTubeVIS(folder.write())
    with pytest.raises(DataError, match=r"the mask of annotation 1: the RLE .* \(image 2, v100/00001.png\)"):
        data.objects(1)


def test_real_files(photos: Path) -> None:
    root = photos / "davis_multi"
    data = YouTubeVIS(str(root), annotation_file="instances_ytvis.json", reference=[2, 5])
    assert [video.name for video in data.videos] == ["horsejump-high", "soapbox"]
    document = json.loads((root / "instances_ytvis.json").read_text())
    for entry in document["annotations"]:
        first = data.videos[entry["video_id"] - 1].frames.start
        for time, rle in list(enumerate(entry["segmentations"]))[::7]:
            instances = data.objects(first + time)
            found = instances.masks[instances.ids == entry["id"]]
            assert len(found) == (rle is not None)
            if rle is not None:
                np.testing.assert_array_equal(found[0], coco_mask.decode(rle))


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Files of any size are kept; how many are there."""
    monkeypatch.setenv("MOBILESEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(annotation_cache, "MIN_BYTES", 1)
    return lambda: len(list((tmp_path / "cache").rglob("*-*")))


def no_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobileseg.data.formats.youtube_vis_json.read_document", None)


def two_videos(root: Path) -> tuple[VideoFolder, dict[str, list[list[int]]]]:
    """Frames 0, 2, 4 of two videos with unlisted ones between, and the ids of tracks in every frame of each."""
    folder = VideoFolder(root)
    first, second = (folder.video([0, 2, 4], extra=[1, 3]) for _ in range(2))
    folder.track(second, moving(3))
    folder.track(first, [None, *moving(2)], 20)
    folder.track(second, [box_mask(1, 2, 30, 40), None, None], 20)
    folder.annotations[2]["segmentations"][0] = [[1, 2, 30, 2, 30, 40, 1, 40]]
    return folder, {"v100": [[], [], [2], [], [2]], "v101": [[1, 3], [], [1], [], [1]]}


def assert_read(data: YouTubeVIS, tracks: dict[str, list[list[int]]]) -> None:
    assert [video.name for video in data.videos] == list(tracks)
    for video in data.videos:
        for index, number, ids in zip(video.frames, video.numbers, tracks[video.name], strict=True):
            found = data.objects(index)
            assert data.items[index].image.stem == f"{number:05d}"
            assert found.ids.tolist() == ids
            for track, mask in zip(ids, found.masks, strict=True):
                shift = {1: number, 2: number - 2}.get(track, 0)
                expected = box_mask(1, 2, 30, 40) if track == 3 else box_mask(4 + shift, 8, 24 + shift, 32)
                np.testing.assert_array_equal(mask, expected)
            assert data.annotated(index) == (number % 2 == 0)


def test_tracks_that_were_read_before(tmp_path: Path, kept: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, tracks = two_videos(tmp_path / "data")
    root = folder.write()
    assert_read(YouTubeVIS(root), tracks)
    assert kept() == 1
    YouTubeVIS(root, classes=["dog"])
    assert kept() == 2
    no_parsing(monkeypatch)
    data = YouTubeVIS(root)
    assert_read(data, tracks)
    assert isinstance(data.annotations.store.rle_bytes, np.memmap)
    dogs = YouTubeVIS(root, classes=["dog"])
    assert [dogs.objects(dogs.videos[1].frames[0]).ids.tolist(), dogs.category_ids] == [[3], (20,)]
    parts = [YouTubeVIS(root, holdout=0.5), YouTubeVIS(root, mode="val", holdout=0.5, annotation_file="train.json")]
    assert sorted(video.name for part in parts for video in part.videos) == list(tracks)
    for part in parts:
        assert_read(part, {part.videos[0].name: tracks[part.videos[0].name]})


def test_an_edited_file_and_a_damaged_entry(tmp_path: Path, kept: Callable[[], int]) -> None:
    folder, tracks = two_videos(tmp_path / "data")
    file = Path(folder.write()) / "train.json"
    YouTubeVIS(str(file.parent))
    (entry,) = (tmp_path / "cache").rglob("*-*")
    content = entry.read_bytes()
    entry.write_bytes(content[:-300] + bytes(200) + content[-100:])
    assert_read(YouTubeVIS(str(file.parent)), tracks)
    before = file.stat()
    sleep(0.02)  # the clock of file systems ticks every few milliseconds
    file.write_text(file.read_text().replace('"cat"', '"cow"'))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert YouTubeVIS(str(file.parent)).classes == ("cow", "dog")
    assert kept() == 2


def test_a_file_that_is_read_for_testing_is_still_refused_for_training(
    tmp_path: Path, kept: Callable[[], int], folder: VideoFolder
) -> None:
    file = Path(folder.write()) / "train.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"annotations": None}))
    assert len(YouTubeVIS(str(tmp_path), mode="test", annotation_file="train.json", image_dir="train/JPEGImages")) == 3
    assert kept() == 1
    with pytest.raises(DataError, match="'annotations' is no list of objects"):
        YouTubeVIS(str(tmp_path))


@pytest.mark.parametrize("order", [("videos", "categories", "annotations"), ("annotations", "videos", "categories")])
def test_large_files_are_read_track_by_track(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Any) -> None:
    folder, tracks = two_videos(tmp_path)
    file = Path(folder.write()) / "train.json"
    full = json.loads(file.read_text())
    file.write_text(json.dumps({key: full[key] for key in order}))
    monkeypatch.setattr(annotation_json, "_LARGE_BYTES", 1)
    if order[0] == "videos":  # in this order nothing reads the file as a whole
        monkeypatch.setattr(annotation_json, "read_json", None)
    assert_read(YouTubeVIS(str(tmp_path)), tracks)
