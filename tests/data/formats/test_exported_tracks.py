"""Exports of annotation tools: CVAT's XML, COCO with track ids, Label Studio's JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mobileseg.data.formats.coco_tracks import read_coco_tracks
from mobileseg.data.formats.cvat_video import read_cvat
from mobileseg.data.formats.exported_tracks import FrameCount, frame_folders, youtube_vis_document
from mobileseg.data.formats.label_studio_video import read_label_studio
from mobileseg.errors import DataError
from tests.data.instance_folder import CocoFolder
from tests.data.video_folder import box_mask, noise, save

HEAD = "<meta><task><size>3</size><original_size><width>64</width><height>48</height></original_size></task></meta>"
POLYGON = '<polygon frame="{}" outside="0" keyframe="1" points="10.00,8.00;30.00,8.00;30.00,32.00;10.00,32.00"/>'


def cvat(folder: Path, tracks: str, head: str = HEAD) -> Path:
    path = folder / "clip.xml"
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{head}{tracks}</annotations>'
    )
    return path


def drawn(rle: dict[str, Any]) -> np.ndarray:
    return coco_mask.decode(rle)


def test_cvat(tmp_path: Path) -> None:
    # 4x3 pixels at (left 5, top 2): background 1, object 2, background 1, object 8, along the rows
    mask = '<mask frame="1" outside="0" rle="1, 2, 1, 8" left="5" top="2" width="4" height="3"/>'
    tracks = (
        f'<track id="0" label="car">{POLYGON.format(0)}{POLYGON.format(1)}'
        '<polygon frame="2" outside="1" points="0,0;1,0;1,1"/></track>'
        f'<track id="1" label="cell">{mask}</track>'
        '<track id="2" label="box"><box frame="0" outside="0" xtl="4.4" ytl="5" xbr="20" ybr="70"/></track>'
        '<track id="3" label="line"><polyline frame="0" outside="0" points="0,0;5,5"/></track>'
    )
    video = read_cvat(cvat(tmp_path, tracks))
    assert [(track.label, sorted(track.masks)) for track in video.tracks] == [("car", [0, 1]), ("cell", [1])]
    assert (video.size, video.length, video.boxes) == ((48, 64), 3, 1)
    np.testing.assert_array_equal(drawn(video.tracks[0].masks[1]), box_mask(10, 8, 30, 32))
    expected = box_mask(5, 2, 9, 5)
    expected[2, [5, 8]] = 0
    np.testing.assert_array_equal(drawn(video.tracks[1].masks[1]), expected)
    with_boxes = read_cvat(cvat(tmp_path, tracks), boxes=True)
    np.testing.assert_array_equal(drawn(with_boxes.tracks[2].masks[0]), box_mask(4, 5, 20, 48))


BILLION_LAUGHS = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><annotations>&b;</annotations>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no XML"),
        ("<annotations>", "is no XML"),
        (BILLION_LAUGHS, "declares a document type"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><annotations/>', "declares a document type"),
        ("<svg/>", "begins with <svg>"),
        ("<annotations><image id='0'/></annotations>", "CVAT for images"),
        ("<annotations>" + "<a>" * 50, "nested too deeply"),
    ],
)
def test_documents_that_are_no_export_of_cvat(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.xml"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_cvat(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_cvat(tmp_path / "none.xml")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ('<polygon frame="-1" points="0,0;1,1;2,0"/>', "is no number of a frame"),
        ('<polygon frame="99999999999" points="0,0;1,1;2,0"/>', "is no number of a frame"),
        ('<polygon frame="0" points="0,0;1,1"/>', "2 points that cannot be drawn"),
        ('<polygon frame="0" points="0,0;1,1;nan,2"/>', "cannot be drawn"),
        ('<polygon frame="0" points="0,0;1,1;1e9,2"/>', "cannot be drawn"),
        ('<polygon frame="0" points="0,0;1,x;1,2"/>', "'x' in place of a number"),
        (POLYGON.format(0) * 2, "is there twice"),
        ('<box frame="0" xtl="5" ytl="5" xbr="1" ybr="9"/>', "has no box"),
        ('<box frame="0" xtl="inf" ytl="5" xbr="inf" ybr="9"/>', "has no box"),
        ('<mask frame="0" rle="1,2" left="0" top="0" width="2" height="2"/>', "a mask of 3 pixels for 2x2"),
        ('<mask frame="0" rle="4" left="63" top="0" width="2" height="2"/>', r"at \(63, 0\), in a frame of 64x48"),
        ('<mask frame="0" rle="a" left="0" top="0" width="2" height="2"/>', "is no number"),
    ],
)
def test_shapes_of_cvat_that_cannot_be_used(tmp_path: Path, shape: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_cvat(cvat(tmp_path, f'<track label="car">{shape}</track>'), boxes=True)


def test_sizes_that_cvat_does_not_give(tmp_path: Path) -> None:
    track = f'<track label="car">{POLYGON.format(0)}</track>'
    for head in ("", HEAD.replace("64", "0"), HEAD.replace("64", "999999")):
        with pytest.raises(DataError, match="does not say how large the frames are"):
            read_cvat(cvat(tmp_path, track, head))
    with pytest.raises(DataError, match="has no label"):
        read_cvat(cvat(tmp_path, "<track id='0'/>"))


def region(sequence: list[dict[str, Any]], label: str = "Car", **more: Any) -> dict[str, Any]:
    value = {"framesCount": 6, "sequence": sequence, "labels": [label]} | more
    return {"id": "r", "type": "videorectangle", "value": value}


def key(frame: int, x: float | None, enabled: bool = True, **more: Any) -> dict[str, Any]:
    return {"frame": frame, "x": x, "y": 25, "width": 25, "height": 50, "enabled": enabled, "rotation": 0} | more


def label_studio(
    folder: Path, results: list[dict[str, Any]], video: str = "/data/upload/1/0a1b2c3d-clip%20a.mp4"
) -> Path:
    path = folder / "export.json"
    tasks = [{"id": 1, "data": {"video": video}, "annotations": [{"result": results}]}]
    path.write_text(json.dumps(tasks))
    return path


FRAMES = {"clip a": FrameCount((48, 64), 6)}


def test_label_studio_interpolates_between_key_frames(tmp_path: Path) -> None:
    moving = region([key(1, 0), key(3, 50, enabled=False), key(5, 25)])
    video = read_label_studio(label_studio(tmp_path, [moving]), FRAMES, boxes=True)["clip a"]
    (track,) = video.tracks
    assert sorted(track.masks) == [0, 1, 2, 4, 5]
    assert video.length == 6
    for time, left in {0: 0, 1: 16, 2: 32, 4: 16, 5: 16}.items():
        np.testing.assert_array_equal(drawn(track.masks[time]), box_mask(left, 12, left + 16, 36))
    without = read_label_studio(label_studio(tmp_path, [moving]), FRAMES)["clip a"]
    assert (without.tracks, without.boxes) == ([], 5)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([region([key(0, 0)])], "a key frame 0 that is no box"),
        ([region([key(7, 0)])], "a key frame 7, the video has 6 frames"),
        ([region([key(1, None)])], "that is no box"),
        ([region([key(1, 0, rotation=30)])], "is turned in frame 1"),
        ([region([key(1, 0, width=-5)])], "has no box"),
        ([region([key(1, 1e300)])], "that is no box"),
        ([region([key(1, 10**400)])], "that is no box"),
        ([region("abc")], "no sequence or no label"),
        ([region([key(1, 0)], labels=[])], "no sequence or no label"),
    ],
)
def test_regions_of_label_studio_that_cannot_be_used(tmp_path: Path, results: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_label_studio(label_studio(tmp_path, results), FRAMES, boxes=True)


def test_exports_of_label_studio_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder of frames of that name"):
        read_label_studio(label_studio(tmp_path, [], "s3://bucket/other.mp4"), FRAMES)
    for tasks in ({}, [3], [{"data": {}}], [{"data": {"video": "clip a.mp4"}, "annotations": 3}]):
        (tmp_path / "x.json").write_text(json.dumps(tasks))
        with pytest.raises(DataError):
            read_label_studio(tmp_path / "x.json", FRAMES)


def test_coco_with_tracks(tmp_path: Path) -> None:
    folder = CocoFolder(tmp_path)
    first, second = folder.image(), folder.image()
    folder.object(second, (4, 6, 30, 40), attributes={"track_id": 7})
    folder.object(first, (2, 6, 28, 40), attributes={"track_id": 7})
    folder.object(first, (40, 6, 60, 40), 20, track_id=8)
    folder.write()
    path = tmp_path / "annotations/instances_train.json"
    video = read_coco_tracks(path)
    assert [(track.label, sorted(track.masks)) for track in video.tracks] == [("cat", [0, 1]), ("dog", [0])]
    assert (video.size, video.length) == ((48, 64), 2)
    np.testing.assert_array_equal(drawn(video.tracks[0].masks[1]), box_mask(4, 6, 30, 40))
    for change, message in (
        ({"track_id": None, "attributes": {}}, "has no track_id"),
        ({"track_id": 7}, "track 7 in 100.png is 'dog', before it was 'cat'"),
        ({"track_id": 7, "category_id": 10}, "is there twice"),
    ):
        before = folder.annotations[2]
        folder.annotations[2] = before | change
        folder.write()
        with pytest.raises(DataError, match=message):
            read_coco_tracks(path)
        folder.annotations[2] = before


def test_frames_must_be_those_that_were_annotated(tmp_path: Path) -> None:
    video = read_cvat(cvat(tmp_path, f'<track label="car">{POLYGON.format(1)}</track>'))
    with pytest.raises(DataError, match="there are no frames in"):
        youtube_vis_document({"clip": video}, tmp_path)
    with pytest.raises(DataError, match="has no folder with frames"):
        frame_folders(tmp_path)
    for number in range(3):
        save(tmp_path / f"clip/{number:06d}.png", noise(number))
    assert frame_folders(tmp_path) == {"clip": ((48, 64), 3)}
    document = youtube_vis_document({"clip": video}, tmp_path)
    assert document["videos"][0]["file_names"] == [f"clip/{number:06d}.png" for number in range(3)]
    assert document["annotations"][0]["bboxes"] == [None, [10, 8, 20, 24], None]
    save(tmp_path / "clip/000003.png", noise(3))
    with pytest.raises(DataError, match=r"the export of clip has 3 frames, but .* has 4 frames"):
        youtube_vis_document({"clip": video}, tmp_path)
    (tmp_path / "clip/000003.png").unlink()
    save(tmp_path / "clip/000000.png", noise(0, (24, 32)))
    with pytest.raises(DataError, match=r"annotated in 64x48 .*, its frames are 32x24"):
        youtube_vis_document({"clip": video}, tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        frame_folders(tmp_path / "none")
