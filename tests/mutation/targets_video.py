"""Annotations of videos, flow, maps of ids and exports of annotation tools, damaged."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from mobileseg.data.datasets import CellTracking, Mots, YouTubeVIS
from mobileseg.data.doctor.diagnose import diagnose, preflight
from mobileseg.data.doctor.table import render
from mobileseg.data.flow import read_flow, write_flow
from mobileseg.data.formats.coco_tracks import read_coco_tracks
from mobileseg.data.formats.cvat_video import read_cvat
from mobileseg.data.formats.exported_tracks import ExportedVideo, FrameCount, youtube_vis_document
from mobileseg.data.formats.label_studio_video import read_label_studio
from mobileseg.data.io import read_ids
from tests.mutation.mutate import damaged_bytes, damaged_document, damaged_text
from tests.mutation.target import MustRefuse, Target

SIZE = (20, 30)
RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
STEPS = [{"type": "RandomInstanceCrop"}, {"type": "Resize", "target_size": [16, 16]}, {"type": "Normalize"}]
CORNERS = [2, 3, 12, 3, 12, 11, 2, 11]


def square(top: int, left: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[top : top + 8, left : left + 8] = 1
    return mask


def rle(top: int, left: int) -> dict[str, Any]:
    encoded = coco_mask.encode(np.asfortranarray(square(top, left)))
    return {"size": list(SIZE), "counts": encoded["counts"].decode()}


CLIPS: dict[str, Any] = {
    "videos": [
        {"id": 1, "height": SIZE[0], "width": SIZE[1], "length": 3, "file_names": [f"{n:03d}.png" for n in (0, 5, 10)]}
    ],
    "categories": [{"id": 3, "name": "cat"}, {"id": 8, "name": "dog"}],
    "annotations": [
        {"id": 11, "video_id": 1, "category_id": 3, "iscrowd": 0,
         "segmentations": [rle(2, 3), rle(3, 6), rle(4, 9)],
         "bboxes": [[3, 2, 8, 8], [6, 3, 8, 8], [9, 4, 8, 8]], "areas": [64, 64, 64.0]},
        {"id": 12, "video_id": 1, "category_id": 8, "iscrowd": 0,
         "segmentations": [[CORNERS], None, {"size": list(SIZE), "counts": [84, 9, 507]}],
         "bboxes": [[2, 3, 10, 8], None, [4, 4, 1, 9]], "areas": [80, None, 9]},
    ],
}  # fmt: skip


def write_clips(folder: Path, rng: np.random.Generator) -> MustRefuse | None:
    for number in (0, 3, 5, 10):
        Image.fromarray(PHOTO).save(folder / f"{number:03d}.png")
    if rng.random() < 0.2:
        (folder / "train.json").write_bytes(damaged_bytes(json.dumps(CLIPS).encode(), rng))
        return None
    document, path, value = damaged_document(CLIPS, rng)
    (folder / "train.json").write_text(json.dumps(document))
    is_whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    if len(path) == 3 and path[-1] in ("id", "video_id", "category_id") and not is_whole:
        return MustRefuse(f"{path} is {value!r:.60}")
    if path[:1] == ("annotations",) and path[2:] == ("segmentations",) and not isinstance(value, list):
        return MustRefuse(f"{path} is {value!r:.60}")
    return None


def use_clips(folder: Path, expectation: Any) -> None:
    for options in ({"clip": 2}, {"reference": [2, 5]}):
        arguments = {"annotation_file": str(folder / "train.json"), "image_dir": str(folder)}
        dataset = YouTubeVIS(str(folder), copy.deepcopy(STEPS), keep_empty=True, **arguments, **options)
        preflight(dataset)
        diagnosis = diagnose({"train": dataset})
        render(diagnosis).encode()
        json.dumps(diagnosis.to_dict()).encode()
        json.dumps(dataset.video_ground_truth()).encode()
        for index in range(len(dataset)):
            item = dataset[(0, index)]
            masks = item["frame_masks" if "clip" in options else "masks"]
            assert len(masks) == len(item["classes"])
            assert (item["classes"] < dataset.num_classes).all()


def write_flow_file(folder: Path, rng: np.random.Generator) -> None:
    write_flow(folder / "x.flo", np.full((5, 7, 2), 1.5, np.float32))
    (folder / "x.flo").write_bytes(damaged_bytes((folder / "x.flo").read_bytes(), rng))


def use_flow_file(folder: Path, expectation: Any) -> None:
    flow = read_flow(folder / "x.flo")
    assert flow.dtype == np.float32
    assert np.isfinite(flow).all()
    assert flow.shape[2] == 2


def write_ids(folder: Path, rng: np.random.Generator) -> None:
    stream = io.BytesIO()
    kind = str(rng.choice(["TIFF", "PNG"]))
    Image.fromarray((square(2, 3) * 1001).astype(np.uint16)).save(stream, kind)
    (folder / "ids").write_bytes(damaged_bytes(stream.getvalue(), rng))


def use_ids(folder: Path, expectation: Any) -> None:
    values = read_ids(folder / "ids")
    assert values.dtype == np.int32
    assert values.ndim == 2
    assert values.min() >= 0


MOTS = "".join(f"{frame} 2001 2 20 30 {rle(2, 3 * frame)['counts']}\n" for frame in (1, 2))


def write_mots(folder: Path, rng: np.random.Generator) -> None:
    for part in ("img1", "gt"):
        (folder / "train/A" / part).mkdir(parents=True)
    for number in (1, 2):
        Image.fromarray(PHOTO).save(folder / f"train/A/img1/{number:06d}.png")
    (folder / "train/A/gt/gt.txt").write_bytes(damaged_text(MOTS, rng))


def use_mots(folder: Path, expectation: Any) -> None:
    dataset = Mots(str(folder), copy.deepcopy(STEPS), keep_empty=True, clip=2)
    preflight(dataset)
    render(diagnose({"train": dataset})).encode()
    for index in range(len(dataset)):
        assert len(dataset[(0, index)]["track_ids"]) <= 2


def write_cells(folder: Path, rng: np.random.Generator) -> None:
    for part in ("01", "01_GT/TRA", "01_ST/SEG"):
        (folder / part).mkdir(parents=True)
    for number in range(2):
        Image.fromarray(PHOTO[..., 0]).save(folder / f"01/t{number:03d}.tif")
        Image.fromarray(square(4, 5).astype(np.uint16)).save(folder / f"01_GT/TRA/man_track{number:03d}.tif")
        Image.fromarray(square(4, 5).astype(np.uint16) * 9).save(folder / f"01_ST/SEG/man_seg{number:03d}.tif")
    (folder / "01_GT/TRA/man_track.txt").write_bytes(damaged_text("1 0 1 0\n2 5 9 1\n", rng))


def use_cells(folder: Path, expectation: Any) -> None:
    dataset = CellTracking(str(folder), copy.deepcopy(STEPS), clip=2)
    preflight(dataset)
    assert dataset[(0, 0)]["track_ids"].tolist() == [1]


CVAT = (
    '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<meta>\n<task>\n<size>3</size>\n<original_size>\n'
    '<width>30</width>\n<height>20</height>\n</original_size>\n</task>\n</meta>\n<track id="0" label="cat">\n'
    '<polygon frame="0" outside="0" points="2.0,3.0;12.0,3.0;12.0,11.0"/>\n'
    '<mask frame="1" outside="0" rle="1,2,1,8" left="5" top="2" width="4" height="3"/>\n'
    '<box frame="2" outside="0" xtl="4" ytl="5" xbr="20" ybr="18"/>\n</track>\n</annotations>\n'
)


def write_cvat(folder: Path, rng: np.random.Generator) -> None:
    damage = damaged_text(CVAT, rng) if rng.random() < 0.6 else damaged_bytes(CVAT.encode(), rng)
    (folder / "clip.xml").write_bytes(damage)


def use_export(folder: Path, video: ExportedVideo) -> None:
    """What `mobileseg convert tracks` makes of it is read again."""
    (folder / "frames/clip").mkdir(parents=True)
    for number in range(3):
        Image.fromarray(PHOTO).save(folder / f"frames/clip/{number:06d}.png")
    document = youtube_vis_document({"clip": video}, folder / "frames")
    (folder / "train.json").write_text(json.dumps(document))
    dataset = YouTubeVIS(str(folder), annotation_file=str(folder / "train.json"), image_dir=str(folder / "frames"))
    assert len(dataset) == 3


def use_cvat(folder: Path, expectation: Any) -> None:
    use_export(folder, read_cvat(folder / "clip.xml", boxes=True))


LABEL_STUDIO: list[Any] = [
    {
        "id": 1, "data": {"video": "/data/upload/1/0a1b2c3d-clip.mp4"},
        "annotations": [
            {"result": [
                {"id": "r", "type": "videorectangle", "value": {
                    "framesCount": 3, "labels": ["cat"],
                    "sequence": [
                        {"frame": 1, "x": 10, "y": 10.5, "width": 30, "height": 40, "enabled": True, "rotation": 0},
                        {"frame": 3, "x": 30, "y": 10.5, "width": 30, "height": 40, "enabled": False, "rotation": 0},
                    ]}},
            ]},
        ],
    }
]  # fmt: skip


def write_label_studio(folder: Path, rng: np.random.Generator) -> None:
    document, _, _ = damaged_document(LABEL_STUDIO, rng)
    (folder / "export.json").write_text(json.dumps(document))


def use_label_studio(folder: Path, expectation: Any) -> None:
    frames = {"clip": FrameCount(SIZE, 3)}
    for video in read_label_studio(folder / "export.json", frames, boxes=True).values():
        use_export(folder, video)


COCO: dict[str, Any] = {
    "images": [{"id": n, "file_name": f"{n}.png", "height": SIZE[0], "width": SIZE[1]} for n in (1, 2, 3)],
    "categories": [{"id": 3, "name": "cat"}],
    "annotations": [
        {"id": 10 + n, "image_id": n, "category_id": 3, "iscrowd": 0, "bbox": [2, 3, 10, 8], "area": 80,
         "segmentation": [CORNERS], "attributes": {"track_id": 5}}
        for n in (1, 2)
    ],
}  # fmt: skip


def write_coco_tracks(folder: Path, rng: np.random.Generator) -> None:
    document, _, _ = damaged_document(COCO, rng)
    (folder / "export.json").write_text(json.dumps(document))


def use_coco_tracks(folder: Path, expectation: Any) -> None:
    use_export(folder, read_coco_tracks(folder / "export.json"))


TARGETS = [
    Target("youtube_vis", write_clips, use_clips, short=120, long=1000),
    Target("flow", write_flow_file, use_flow_file, short=300, long=3000),
    Target("ids", write_ids, use_ids, short=300, long=3000),
    Target("mots", write_mots, use_mots, short=100, long=800),
    Target("cells", write_cells, use_cells, short=60, long=500),
    Target("cvat", write_cvat, use_cvat, short=150, long=1500),
    Target("label_studio", write_label_studio, use_label_studio, short=150, long=1500),
    Target("coco_tracks", write_coco_tracks, use_coco_tracks, short=150, long=1000),
]
