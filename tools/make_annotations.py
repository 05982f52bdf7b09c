"""Annotations of any number, drawn from a seed: ``python tools/make_annotations.py FILE --share 0.1``.

``--format`` says what, and with ``--share 1`` they have the size of a known dataset:

- ``coco``: train2017 with 118,287 images and 860,001 objects; polygons of the same lengths (median 20 points, some of
  several hundred), one crowd region in a hundred objects.
- ``youtube_vis``: the training part of YouTube-VIS 2021 with 2,985 videos, 89,550 frames of 1280x720 and 230,000 masks
  as lists of run lengths; one in ten is a polygon.
- ``labelme``: a folder ``FILE/train`` of 20,000 files with 120,000 polygons, without ``imageData``.

There are no images (beside the files of labelme, which need one to be there, lie empty ones): it is for measuring how
long annotations take to open (docs/benchmarks.md).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

IMAGES, OBJECTS, CATEGORIES = 118_287, 860_001, 80
VIDEOS, FRAMES, TRACKS, VIDEO_CATEGORIES = 2_985, 30, 8_000, 40
FILES, SHAPES = 20_000, 6
_WIDTH, _HEIGHT = 640, 480
_VIDEO_WIDTH, _VIDEO_HEIGHT = 1280, 720
_UNSEEN = 0.04  # share of the frames of a track

Entries = Iterator[dict[str, Any]]


def main() -> None:
    """Write the file, or the folder of files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--format", choices=_WRITERS, default="coco", help="(default: coco)")
    parser.add_argument("--share", type=float, default=0.1, help="part of the known size, above 0 (default: 0.1)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.share <= 0:
        parser.error("--share must be above 0")
    said = _WRITERS[args.format](args.file, args.share, np.random.default_rng(args.seed))
    print(f"{args.file}: {said}, {sum(map(_size, [args.file, *args.file.rglob('*.json')])) / 1e6:,.0f} MB")


def write_coco(path: Path, share: float, rng: np.random.Generator) -> str:
    """Write a COCO instances file; returns what is in it."""
    images, objects = _scaled(IMAGES, share), _scaled(OBJECTS, share)
    annotations = (_object(number, images, rng) for number in range(objects))
    _write(path, "images", map(_image, range(images)), annotations, CATEGORIES)
    return f"{images:,} images, {objects:,} objects"


def write_youtube_vis(path: Path, share: float, rng: np.random.Generator) -> str:
    """Write a YouTube-VIS file; returns what is in it."""
    videos, tracks = _scaled(VIDEOS, share), _scaled(TRACKS, share)
    annotations = (_track(number, videos, rng) for number in range(tracks))
    _write(path, "videos", map(_video, range(videos)), annotations, VIDEO_CATEGORIES)
    return f"{videos:,} videos, {videos * FRAMES:,} frames, {tracks:,} tracks"


def write_labelme(folder: Path, share: float, rng: np.random.Generator) -> str:
    """Write a folder of files as labelme saves them; returns what is in it."""
    (folder / "train").mkdir(parents=True, exist_ok=True)
    files = _scaled(FILES, share)
    for number in range(files):
        path = folder / "train" / f"{number:06d}.json"
        shapes = [
            {"label": f"thing {rng.integers(CATEGORIES)}", "points": polygon.reshape(-1, 2).tolist(), "group_id": None,
             "description": "", "shape_type": "polygon", "flags": {}, "mask": None}
            for polygon in (_polygon(_box(_WIDTH, _HEIGHT, rng), rng) for _ in range(SHAPES))
        ]  # fmt: skip
        document: dict[str, Any] = {
            "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{path.stem}.jpg", "imageData": None,
            "imageHeight": _HEIGHT, "imageWidth": _WIDTH,
        }  # fmt: skip
        path.write_text(json.dumps(document, indent=2), encoding="utf-8")
        path.with_suffix(".jpg").touch()
    return f"{files:,} files, {files * SHAPES:,} shapes"


_WRITERS: dict[str, Callable[[Path, float, np.random.Generator], str]] = {
    "coco": write_coco,
    "youtube_vis": write_youtube_vis,
    "labelme": write_labelme,
}


def _write(path: Path, first: str, entries: Entries, annotations: Entries, categories: int) -> None:
    """Write a document entry by entry, so that its size is limited by the disk alone."""
    names = [{"supercategory": "thing", "id": i + 1, "name": f"thing {i + 1}"} for i in range(categories)]
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": {}, "licenses": []')
        for key, values in ((first, entries), ("annotations", annotations)):
            file.write(f', "{key}": [')
            for number, value in enumerate(values):
                file.write((", " if number else "") + json.dumps(value))
            file.write("]")
        file.write(f', "categories": {json.dumps(names)}}}\n')


def _image(index: int) -> dict[str, Any]:
    return {
        "license": 3,
        "file_name": f"{index + 1:012d}.jpg",
        "coco_url": f"http://images.cocodataset.org/train2017/{index + 1:012d}.jpg",
        "height": _HEIGHT,
        "width": _WIDTH,
        "date_captured": "2013-11-14 11:18:45",
        "flickr_url": f"http://farm9.staticflickr.com/8186/{index + 1:010d}_cbe2.jpg",
        "id": index + 1,
    }


def _object(number: int, images: int, rng: np.random.Generator) -> dict[str, Any]:
    crowd = number % 100 == 0
    left, top, width, height = box = _box(_WIDTH, _HEIGHT, rng)
    if crowd:
        counts = rng.integers(1, 40, 401)
        counts[0] += _WIDTH * _HEIGHT - counts.sum()
        mask: object = {"counts": counts.tolist(), "size": [_HEIGHT, _WIDTH]}
    else:
        mask = [_polygon(box, rng).tolist() for _ in range(1 + int(rng.random() < 0.1))]
    return {
        "segmentation": mask,
        "area": round(float(width * height) * 0.6, 4),
        "iscrowd": int(crowd),
        "image_id": int(rng.integers(images)) + 1,
        "bbox": [left, top, width, height],
        "category_id": int(rng.integers(CATEGORIES)) + 1,
        "id": number + 1,
    }


def _video(index: int) -> dict[str, Any]:
    return {
        "license": 1,
        "coco_url": "",
        "height": _VIDEO_HEIGHT,
        "width": _VIDEO_WIDTH,
        "length": FRAMES,
        "date_captured": "2019-04-11 00:55:41.903902",
        "file_names": [f"{index:010x}/{5 * time:05d}.jpg" for time in range(FRAMES)],
        "flickr_url": "",
        "id": index + 1,
    }


def _track(number: int, videos: int, rng: np.random.Generator) -> dict[str, Any]:
    boxes = [None if rng.random() < _UNSEEN else _box(_VIDEO_WIDTH, _VIDEO_HEIGHT, rng) for _ in range(FRAMES)]
    return {
        "video_id": int(rng.integers(videos)) + 1,
        "iscrowd": 0,
        "height": _VIDEO_HEIGHT,
        "width": _VIDEO_WIDTH,
        "length": 1,
        "segmentations": [None if box is None else _video_mask(box, rng) for box in boxes],
        "bboxes": [None if box is None else [float(value) for value in box] for box in boxes],
        "category_id": int(rng.integers(VIDEO_CATEGORIES)) + 1,
        "id": number + 1,
        "areas": [None if box is None else int(box[2] * box[3] * 0.6) for box in boxes],
    }


def _video_mask(box: tuple[int, ...], rng: np.random.Generator) -> object:
    if rng.random() < 0.1:
        return [_polygon(box, rng).tolist()]
    left, top, width, height = box
    seen = rng.integers(1, height, width)  # pixels of every column, which begin at the top of the box
    counts = np.stack([_VIDEO_HEIGHT - np.roll(seen, 1), seen], axis=1).ravel()  # from the end of one to the next
    counts[0] = left * _VIDEO_HEIGHT + top
    rest = _VIDEO_HEIGHT * _VIDEO_WIDTH - counts.sum()
    return {"counts": [*counts.tolist(), int(rest)], "size": [_VIDEO_HEIGHT, _VIDEO_WIDTH]}


def _box(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """(left, top, width, height) within an image."""
    size = int(rng.integers(8, width // 2)), int(rng.integers(8, height // 2))
    return int(rng.integers(0, width - size[0])), int(rng.integers(0, height - size[1])), *size


def _polygon(box: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """float64 [2 n], x and y in turns."""
    count = min(int(rng.lognormal(3.0, 0.8)) + 3, 600)
    return (rng.random((count, 2)) * box[2:] + box[:2]).round(2).ravel()


def _scaled(count: int, share: float) -> int:
    return max(1, round(count * share))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


if __name__ == "__main__":
    main()
