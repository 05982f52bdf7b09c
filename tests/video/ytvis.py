"""The YouTube-VIS case of reference/golden/video/ytvis_eval as tracks, and the numbers of the benchmark's own code."""

import json
from pathlib import Path

from pycocotools import mask as coco_mask

from mobileseg.video.metric_tracks import MaskTrack

FOLDER = Path(__file__).parents[1] / "reference" / "golden" / "video" / "ytvis_eval"
CATEGORY_IDS = (1, 3, 7, 9)
RANGES = {"s": "_small", "m": "_medium", "l": "_large"}
NAMES = {f"{kind}{end}": f"{kind.lower()}{mine}" for kind in ("AP", "AR") for end, mine in RANGES.items()}
NAMES |= {name: name.lower() for name in ("AP", "AP50", "AP75", "AR1", "AR10", "AR100")}


def read(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def compressed(mask, height, width):
    """Polygons and uncompressed run lengths as compressed ones."""
    if isinstance(mask, list):
        return coco_mask.merge(coco_mask.frPyObjects(mask, height, width))
    if isinstance(mask, dict) and isinstance(mask["counts"], list):
        return coco_mask.frPyObjects(mask, height, width)
    return mask


def true_tracks():
    return [
        MaskTrack(
            one["video_id"],
            CATEGORY_IDS.index(one["category_id"]),
            [compressed(mask, one["height"], one["width"]) for mask in one["segmentations"]],
            crowd=bool(one["iscrowd"]),
            stated_areas=one["areas"],
        )
        for one in read("gt")["annotations"]
    ]


def found_tracks():
    return [
        MaskTrack(one["video_id"], CATEGORY_IDS.index(one["category_id"]), one["segmentations"], one["score"])
        for one in read("predictions")
    ]
