"""A dataset of made-up videos, and the answers of a made-up network, for scorers."""

from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.data.instances import Instances
from mobileseg.data.sample import Sample
from mobileseg.structures import InstanceMasks, InstanceResult
from tests.video.moving import SIZE, bitmaps, rle, video

CATEGORY_IDS = (9, 4)


class Clip(NamedTuple):
    name: str
    frames: range
    numbers: tuple
    identifier: int


class Clips:
    """What evaluation needs of a dataset of videos: `video(seed)` of tests/video/moving.py each.

    Args:
        seeds: of the videos.
        first: number of the first frame's file.
        annotated: every how many frames are annotated.
    """

    task = "video"
    classes = ("cat", "dog")
    num_classes = 2
    category_ids = CATEGORY_IDS

    def __init__(self, seeds=(1, 2), first=0, annotated=1):
        self.videos, self.found, self.true = [], [], []
        begin = 0
        for number, seed in enumerate(seeds):
            identifier, length = 50 - 10 * number, 6 + number
            found, true = video(seed, identifier, frames=length)
            frames = range(begin, begin + length)
            self.videos.append(Clip(f"v{seed}", frames, tuple(range(first, first + length)), identifier))
            self.found.append([(track, bitmaps(track)) for track in found])
            self.true.append([(track, bitmaps(track)) for track in true])
            begin += length
        self.step = annotated

    def __len__(self):
        return self.videos[-1].frames.stop

    def sequences(self):
        return [one.frames for one in self.videos]

    def place(self, index):
        """Number of the video, frame in it."""
        number = next(i for i, one in enumerate(self.videos) if index in one.frames)
        return number, index - self.videos[number].frames.start

    def annotated(self, index):
        return self.place(index)[1] % self.step == 0

    def image_id(self, index):
        return 2 * index + 3

    def file_name(self, index):
        number, frame = self.place(index)
        return f"{self.videos[number].name}/{self.videos[number].numbers[frame]:05d}.jpg"

    def load(self, index):
        return Sample(np.zeros((*SIZE, 3), np.float32), None, {"number": index})

    prepare = load

    def objects(self, index):
        number, frame = self.place(index)
        seen = [(i, one, masks[frame]) for i, (one, masks) in enumerate(self.true[number]) if masks[frame].any()]
        return Instances.from_masks(
            np.array([mask for _, _, mask in seen]).reshape(len(seen), *SIZE),
            [one.label for _, one, _ in seen],
            ids=[i for i, _, _ in seen],
        )

    def result(self, index, **more):
        """What the network finds in a frame."""
        number, frame = self.place(index)
        seen = [(i, one, masks[frame]) for i, (one, masks) in enumerate(self.found[number]) if masks[frame].any()]
        seen.sort(key=lambda one: -one[1].score)
        masks = InstanceMasks.from_array(np.array([mask for _, _, mask in seen]).reshape(len(seen), *SIZE))
        boxes = [(left, top, left + bits.shape[1], top + bits.shape[0]) for top, left, bits in masks.regions]
        given = {"track_ids": np.array([i for i, _, _ in seen], np.int64), **more}
        return InstanceResult(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array([one.score for _, one, _ in seen], np.float32),
            np.array([one.label for _, one, _ in seen], np.int64),
            masks,
            **given,
        )

    def network(self, sample):
        return self.result(sample.meta["number"])

    def coco_ground_truth(self):
        images, objects = [], []
        for index in filter(self.annotated, range(len(self))):
            names = {"id": self.image_id(index), "file_name": self.file_name(index)}
            images.append({**names, "height": SIZE[0], "width": SIZE[1]})
            found = self.objects(index)
            for box, mask, label in zip(found.boxes.tolist(), found.masks, found.classes, strict=True):
                encoded = rle(mask)
                objects.append(
                    {
                        "id": len(objects) + 1,
                        "image_id": self.image_id(index),
                        "category_id": CATEGORY_IDS[label],
                        "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                        "area": float(coco_mask.area(encoded)),
                        "iscrowd": 0,
                        "segmentation": encoded,
                    }
                )
        categories = [{"id": number, "name": name} for number, name in zip(CATEGORY_IDS, self.classes, strict=True)]
        return {"images": images, "annotations": objects, "categories": categories}

    def video_ground_truth(self):
        tracks = []
        for one, true in zip(self.videos, self.true, strict=True):
            kept = [index - one.frames.start for index in one.frames if self.annotated(index)]
            for track, _ in true:
                masks = [track.masks[frame] for frame in kept]
                if not any(masks):
                    continue
                areas = [None if mask is None else int(coco_mask.area(mask)) for mask in masks]
                tracks.append(
                    {
                        "id": len(tracks) + 1,
                        "video_id": one.identifier,
                        "category_id": CATEGORY_IDS[track.label],
                        "iscrowd": 0,
                        "segmentations": masks,
                        "areas": areas,
                    }
                )
        return {"videos": [{"id": one.identifier} for one in self.videos], "annotations": tracks, "categories": []}
