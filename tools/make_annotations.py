"""A COCO instances file of any size, drawn from a seed: ``python tools/make_annotations.py FILE --share 0.1``.

With ``--share 1`` it has the size of COCO's train2017: 118,287 images, 860,001 objects, polygons of the same lengths
(median 20 points, some of several hundred), one crowd region in a hundred objects. There are no images: it is for
measuring how long annotations take to open (docs/benchmarks.md).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TextIO

import numpy as np

IMAGES, OBJECTS, CATEGORIES = 118_287, 860_001, 80
_WIDTH, _HEIGHT = 640, 480


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--share", type=float, default=0.1, help="part of train2017's size, above 0 (default: 0.1)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.share <= 0:
        parser.error("--share must be above 0")
    images, objects = max(1, round(IMAGES * args.share)), max(1, round(OBJECTS * args.share))
    with args.file.open("w", encoding="utf-8") as file:
        write(file, images, objects, np.random.default_rng(args.seed))
    print(f"{args.file}: {images:,} images, {objects:,} objects, {args.file.stat().st_size / 1e6:,.0f} MB")


def write(file: TextIO, images: int, objects: int, rng: np.random.Generator) -> None:
    """Write the document object by object, so that its size is limited by the disk alone."""
    file.write('{"info": {}, "licenses": [], "images": [')
    for index in range(images):
        entry = {
            "license": 3,
            "file_name": f"{index + 1:012d}.jpg",
            "coco_url": f"http://images.cocodataset.org/train2017/{index + 1:012d}.jpg",
            "height": _HEIGHT,
            "width": _WIDTH,
            "date_captured": "2013-11-14 11:18:45",
            "flickr_url": f"http://farm9.staticflickr.com/8186/{index + 1:010d}_cbe2.jpg",
            "id": index + 1,
        }
        file.write((", " if index else "") + json.dumps(entry))
    file.write('], "annotations": [')
    for number in range(objects):
        file.write((", " if number else "") + json.dumps(_annotation(number, images, rng)))
    categories = [{"supercategory": "thing", "id": i + 1, "name": f"thing {i + 1}"} for i in range(CATEGORIES)]
    file.write(f'], "categories": {json.dumps(categories)}}}\n')


def _annotation(number: int, images: int, rng: np.random.Generator) -> dict[str, object]:
    crowd = number % 100 == 0
    width, height = rng.integers(8, _WIDTH // 2), rng.integers(8, _HEIGHT // 2)
    left, top = rng.integers(0, _WIDTH - width), rng.integers(0, _HEIGHT - height)
    if crowd:
        counts = rng.integers(1, 40, 401)
        counts[0] += _WIDTH * _HEIGHT - counts.sum()
        mask: object = {"counts": counts.tolist(), "size": [_HEIGHT, _WIDTH]}
    else:
        parts = 1 + int(rng.random() < 0.1)
        points = np.minimum(rng.lognormal(3.0, 0.8, parts).astype(int) + 3, 600)
        mask = [(rng.random((count, 2)) * (width, height) + (left, top)).round(2).ravel().tolist() for count in points]
    return {
        "segmentation": mask,
        "area": round(float(width * height) * 0.6, 4),
        "iscrowd": int(crowd),
        "image_id": int(rng.integers(images)) + 1,
        "bbox": [int(left), int(top), int(width), int(height)],
        "category_id": int(rng.integers(CATEGORIES)) + 1,
        "id": number + 1,
    }


if __name__ == "__main__":
    main()
