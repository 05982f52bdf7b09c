"""The doctor of videos: every finding is planted once, and clean data give none."""

from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.annotations import AnnotationRows, AnnotationTable
from mobileseg.data.datasets import Davis, FlyingChairs, PseudoClips, Video, VideoDataset, YouTubeVIS
from mobileseg.data.doctor.checks import Finding
from mobileseg.data.doctor.scan import scan
from mobileseg.data.flow import write_flow
from mobileseg.data.formats.coco_annotations import AnnotationError
from mobileseg.data.items import Item
from mobileseg.errors import DataError
from mobileseg.video import doctor
from tests.data.instance_folder import CocoFolder
from tests.data.video_folder import VideoFolder, box_mask, moving, noise, rle_of, save


@pytest.fixture
def folder(tmp_path: Path) -> VideoFolder:
    """A video of five frames with two objects."""
    made = VideoFolder(tmp_path)
    video = made.video(range(0, 25, 5))
    made.track(video, moving(5))
    made.track(video, [None, *moving(3, 1), None], 20)
    return made


def found(dataset: object, **more: object) -> dict[str, Finding]:
    summary = scan(doctor.summary("train", dataset))
    arguments = {"batch_size": 1, "keep_empty": False} | more
    return {finding.code: finding for finding in doctor.findings(summary, **arguments)}


def test_clean_videos(folder: VideoFolder) -> None:
    data = YouTubeVIS(folder.write(), keep_empty=True)
    doctor.preflight(data)
    assert set(found(data)) <= {"class-rare", "annotation-duplicate"}
    summary = scan(doctor.summary("train", data))
    assert doctor.headline(summary) == "1 videos, 5 of 5 frames annotated, 2 tracks with 8 masks"
    numbers = doctor.statistics(summary)
    assert (numbers["videos"], numbers["annotated_frames"], numbers["tracks"]) == (1, 5, 2)
    assert any("cat" in line for line in doctor.table({"train": summary}, data.classes))
    assert doctor.class_weights(summary) is None


def test_frames_that_are_not_annotated_are_not_called_empty(folder: VideoFolder) -> None:
    folder.frame("v100/00012")
    assert "images-without-objects" not in found(YouTubeVIS(folder.write()))


def test_missing_frames(folder: VideoFolder) -> None:
    video = folder.video([0, 5, 20, 25])
    folder.track(video, moving(4))
    finding = found(YouTubeVIS(folder.write()))["frame-gap"]
    assert finding.message.endswith("v101: 2, the first between 5 and 20")
    assert finding.level == "warning"


def test_videos_without_annotations_and_of_one_frame(folder: VideoFolder) -> None:
    folder.video([3])
    codes = found(YouTubeVIS(folder.write()))
    assert codes["video-unannotated"].level == "warning"
    assert codes["video-short"].files == ("v101",)
    folder.annotations.clear()
    root = Path(folder.write())
    (root / "train.json").rename(root / "test.json")
    test = YouTubeVIS(str(root), mode="test", image_dir="train/JPEGImages")
    assert found(test)["video-unannotated"].level == "error"


def test_frames_with_the_same_pixels(tmp_path: Path) -> None:
    folder = VideoFolder(tmp_path)
    folder.track(folder.video(range(3), still=True), moving(3))
    finding = found(YouTubeVIS(folder.write()))["frame-duplicate"]
    assert finding.count == 2
    assert finding.message.endswith("00001.png equals 00000.png")


def test_frames_that_differ_in_size(folder: VideoFolder) -> None:
    save(folder.root / "train/JPEGImages/v100/00010.png", np.zeros((40, 64, 3), np.uint8))
    assert "00010.png is 64x40, others are 64x48" in found(YouTubeVIS(folder.write()))["frame-sizes"].message


def test_masks_that_jump(folder: VideoFolder) -> None:
    masks = [box_mask(2, 2, 20, 20)] * 5
    masks[2] = box_mask(40, 20, 60, 44)
    folder.track(100, masks)
    small = [box_mask(2, 40, 4, 42)] * 5
    small[2] = box_mask(50, 2, 52, 4)
    folder.track(100, small)
    finding = found(YouTubeVIS(folder.write()))["mask-jump"]
    assert finding.files == ("v100: id 3 in 00010.png",)


def custom(tmp_path: Path, objects: list[tuple[int, int, int]]) -> VideoDataset:
    """A dataset of one video with (frame, id, class) objects, which no file format could hold."""
    rows = AnnotationRows()
    for frame, identifier, label in objects:
        rle = rle_of(box_mask(4 + 4 * label, 4, 30, 30))
        rows.add(frame, label, identifier=identifier, crowd=False, box=(4 + 4 * label, 4, 30, 30), area=500, rle=rle)
    items = []
    for frame in range(3):
        save(tmp_path / f"{frame}.png", noise(frame))
        items.append(Item(tmp_path / f"{frame}.png", tmp_path / "truth"))
    table = AnnotationTable(rows, [(48, 64)] * 3)
    videos = [Video("clip", range(3), (0, 1, 2), 1)]
    return VideoDataset(items, videos, table, mode="train", transforms=None, classes=("cat", "dog"))


def test_ids_that_change_their_class(tmp_path: Path) -> None:
    data = custom(tmp_path, [(0, 1, 0), (1, 1, 1), (2, 1, 0)])
    assert found(data)["track-class"].message.endswith("clip: id 1 is cat and dog")
    with pytest.raises(DataError, match="ids that change their class"):
        doctor.preflight(data)


def test_ids_twice_in_a_frame(tmp_path: Path) -> None:
    data = custom(tmp_path, [(0, 1, 0), (0, 1, 0), (1, 1, 0)])
    assert found(data)["id-twice"].level == "error"
    with pytest.raises(DataError, match="ids that occur twice"):
        doctor.preflight(data)


def test_files_that_were_refused(folder: VideoFolder) -> None:
    folder.annotations[0]["segmentations"].pop()
    folder.annotations[1]["video_id"] = 7
    with pytest.raises(AnnotationError) as caught:
        YouTubeVIS(folder.write())
    assert [finding.code for finding in doctor.refused("train", caught.value)] == ["track-length", "track-orphan"]
    assert doctor.refused("train", DataError("another")) == []


def test_boxes_in_another_notation_stop_training(folder: VideoFolder) -> None:
    for entry in folder.annotations:
        entry["bboxes"] = [box and [box[0], box[1], box[0] + box[2], box[1] + box[3]] for box in entry["bboxes"]]
    with pytest.raises(DataError, match="boxes do not fit their masks"):
        doctor.preflight(YouTubeVIS(folder.write()))


def test_masks_that_are_read_late(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / f"JPEGImages/a/{number:05d}.png", noise(number))
        save(tmp_path / f"Annotations/a/{number:05d}.png", box_mask(2, 2, 20, 20))
    data = Davis(str(tmp_path))
    doctor.preflight(data)
    (tmp_path / "Annotations/a/00001.png").write_bytes(b"no image")
    with pytest.raises(DataError):
        doctor.preflight(data)


def test_pairs_with_flow(tmp_path: Path) -> None:
    for number in (1, 2):
        save(tmp_path / f"0000{number}_img1.ppm", noise(number))
        save(tmp_path / f"0000{number}_img2.ppm", noise(number + 5))
        write_flow(tmp_path / f"0000{number}_flow.flo", np.zeros((48, 64, 2), np.float32))
    data = FlyingChairs(str(tmp_path))
    doctor.preflight(data)
    assert found(data) == {}
    summary = scan(doctor.summary("train", data))
    assert doctor.headline(summary) == "2 pairs with flow"
    assert doctor.statistics(summary) == {"pairs": 2}
    assert doctor.table({"train": summary}, data.classes) == []
    (tmp_path / "00002_flow.flo").write_bytes((tmp_path / "00001_flow.flo").read_bytes()[:-1])
    assert found(data)["flow-unusable"].count == 1
    with pytest.raises(DataError, match="truncated"):
        doctor.preflight(data)


def test_pseudo_clips_are_examined_as_stills(tmp_path: Path) -> None:
    folder = CocoFolder(tmp_path)
    folder.object(folder.image(), (4, 4, 40, 40))
    data = PseudoClips({"type": "CocoInstances", "dataset_root": folder.write()})
    doctor.preflight(data)
    assert "class-absent" in found(data)
    assert "1 objects" in doctor.headline(scan(doctor.summary("train", data)))
