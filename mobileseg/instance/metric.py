"""COCO AP of instance segmentation, from results that come one image at a time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from mobileseg.errors import DataError
from mobileseg.instance.metric_coco import choose_backend, measure
from mobileseg.instance.metric_table import render
from mobileseg.scores import Scores
from mobileseg.structures import NO_TRACK, InstanceResult


class InstanceTruth(Protocol):
    """What scoring needs of a dataset of instances."""

    classes: tuple[str, ...]
    category_ids: tuple[int, ...]

    def image_id(self, index: int) -> int: ...

    def file_name(self, index: int) -> str: ...

    def coco_ground_truth(self) -> dict[str, Any]: ...


class Gather(Protocol):
    """What :meth:`CocoScorer.reduce` needs of a group of processes."""

    def gather(self, message: bytes) -> list[bytes]: ...


def coco_entries(result: InstanceResult, image_id: int | str, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """A result in COCO's results format, numbers not rounded.

    Args:
        result: of one image.
        image_id: its id in the annotations.
        category_ids: COCO id of every class index.

    Returns:
        One dict per object: ``image_id``, ``category_id``, ``bbox`` [x, y, width, height] in pixels, ``score``,
        ``segmentation`` (compressed RLE, ``counts`` as text); of the frame of a stream also ``track_id``.
    """
    entries = []
    for box, score, label, mask in zip(
        result.boxes.tolist(), result.scores.tolist(), result.classes.tolist(), result.masks.to_rle(), strict=True
    ):
        left, top, right, bottom = box
        entries.append(
            {
                "image_id": image_id,
                "category_id": int(category_ids[label]),
                "bbox": [left, top, right - left, bottom - top],
                "score": score,
                "segmentation": mask,
            }
        )
    if result.track_ids is not None:
        for entry, track_id in zip(entries, result.track_ids.tolist(), strict=True):
            if track_id != NO_TRACK:
                entry["track_id"] = track_id
    return entries


class CocoScorer:
    """Collects results as run lengths (about 300 bytes an object) and scores them at the end.

    Args:
        dataset: gives the annotations.
        backend: 'auto', 'pycocotools' or 'faster-coco-eval'.

    Raises:
        DependencyError: the backend is not installed.
    """

    def __init__(self, dataset: InstanceTruth, *, backend: str = "auto") -> None:
        self.dataset = dataset
        self.backend = choose_backend(backend)
        self.truth = dataset.coco_ground_truth()
        self._sizes = {int(image["id"]): (int(image["height"]), int(image["width"])) for image in self.truth["images"]}
        self._found: dict[int, list[dict[str, Any]]] = {}

    def update(self, index: int, sample: Any, result: InstanceResult) -> None:
        """Take in the result of image ``index`` of the dataset; the sample is not needed.

        Raises:
            DataError: the masks have another size than the annotations say, or a class that the dataset has not.
        """
        image_id = self.dataset.image_id(index)
        size = result.masks.size
        expected = self._sizes.get(image_id, size)  # an image that was not annotated may have any size
        if size != expected:
            raise DataError(
                f"{self.dataset.file_name(index)} (image id {image_id}) is {size[1]}x{size[0]}, but it was annotated "
                f"as {expected[1]}x{expected[0]} (width x height): masks of different sizes cannot be compared",
                remedy="correct width and height in the annotations, or use the image that was annotated "
                "(mobileseg doctor data lists all of them)",
            )
        if len(result) and int(result.classes.max()) >= len(self.dataset.classes):
            raise DataError(
                f"class {int(result.classes.max())} was found in {self.dataset.file_name(index)}, the dataset has "
                f"{len(self.dataset.classes)} classes",
                remedy="evaluate with the classes that the network was trained on",
            )
        self._found[index] = coco_entries(result, image_id, self.dataset.category_ids)

    def reduce(self, processes: Gather) -> None:
        """Take in what all processes found; it travels as JSON."""
        message = json.dumps(list(self._found.items()), separators=(",", ":")).encode()
        for part in processes.gather(message):
            self._found.update({int(index): entries for index, entries in json.loads(part)})

    def results(self) -> list[dict[str, Any]]:
        """Everything found in COCO's results format, in the order of the dataset."""
        return [entry for index in sorted(self._found) for entry in self._found[index]]

    def scores(self) -> Scores:
        """The scores of everything taken in so far.

        Returns:
            Mask AP decides. Values:

            ``mask`` and ``box``: ``ap`` (mean over IoU .50:.05:.95), ``ap50``, ``ap75``, ``ap_small``, ``ap_medium``,
            ``ap_large`` (objects below 32^2, 96^2 pixels, above), ``ar1``, ``ar10``, ``ar100``, ``ar_small``,
            ``ar_medium``, ``ar_large``; None where there is no object to find. ``class_ap``: class name -> ``mask_ap``,
            ``mask_ap50``, ``box_ap``; ``class_objects``: objects per class without crowd regions; ``classes``;
            ``detections``: objects found; ``backend``.
        """
        found = self.results()
        mask, box = (measure(self.truth, found, kind, self.backend) for kind in ("segm", "bbox"))
        order = sorted(self.dataset.category_ids)  # of the class axis
        ids = dict(zip(self.dataset.classes, self.dataset.category_ids, strict=True))
        objects = Counter(one["category_id"] for one in self.truth["annotations"] if not one.get("iscrowd"))
        masks, boxes = mask.numbers(), box.numbers()
        values = {
            "mask": masks,
            "box": boxes,
            "class_ap": {
                name: {
                    "mask_ap": mask.class_ap(order.index(number)),
                    "mask_ap50": mask.class_ap(order.index(number), 0),
                    "box_ap": box.class_ap(order.index(number)),
                }
                for name, number in ids.items()
            },
            "class_objects": [objects[number] for number in ids.values()],
            "classes": list(self.dataset.classes),
            "detections": len(found),
            "backend": self.backend,
        }
        return Scores(
            metric="mask AP",
            score=masks["ap"] or 0.0,
            further={"mask AP50": masks["ap50"], "box AP": boxes["ap"]},
            details=values,
            logged=("mask", "box", "class_ap"),
            table=render(values),
        )
