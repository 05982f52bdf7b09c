"""The suite's synthetic dataset: textured scenes with masks, instances and moving clips with exact flow.

Colour does not tell the class; pattern and outline do. Training and validation differ in seed and in the periods and
angles of their patterns. The same parameters give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.data.synthetic.clip import draw_clip
from mobileseg.data.synthetic.files import STAMP, instance_fields, write_flow, write_json, write_once, write_png
from mobileseg.data.synthetic.scene import CLASSES, Scene, Split, draw_scene
from mobileseg.errors import DataError

VERSION = 1
"""Of the drawing; a folder written by another version is drawn again."""

_SPLITS: tuple[Split, Split] = ("train", "val")


def generate(
    root: str | Path,
    *,
    seed: int = 0,
    train: int = 400,
    val: int = 80,
    size: Sequence[int] = (192, 192),
    clips: int = 4,
    val_clips: int = 2,
    clip_length: int = 8,
) -> bool:
    """Write the dataset to a folder; nothing is done when it is there already with the same parameters.

    The folder appears under its name only when it is complete::

        images/{train,val}/00000.png            RGB
        labels/{train,val}/00000.png            class index of every pixel, 8 bits
        train.txt val.txt                       'image label' per line, relative to the folder
        classes.txt                             one name per line, in the order of the indices
        annotations/instances_{train,val}.json  COCO instances, masks as run lengths of what can be seen
        annotations/clips_{train,val}.json      YouTube-VIS
        clips/{train,val}/{frames,labels,flow,occluded}/000/00000.{png,png,flo,png}

    `flow` holds Middlebury .flo files: motion in pixels from the frame to the next, of the points visible in the
    frame; `occluded` is 255 where the point cannot be seen in the next frame.

    Args:
        root: the folder.
        seed: of all random draws.
        train: number of training images.
        val: number of validation images.
        size: height and width, pixels.
        clips: number of training clips.
        val_clips: number of validation clips.
        clip_length: frames per clip.

    Returns:
        Whether anything was written.

    Raises:
        DataError: an impossible parameter, a folder that holds something else, or one that cannot be written.
    """
    root = Path(root)
    height, width = (int(side) for side in size)
    counts = {"train": train, "val": val, "clips": clips, "val_clips": val_clips}
    if min(height, width) < 32 or min(counts.values()) < 0 or clip_length < 2 or seed < 0:
        raise DataError(
            f"cannot draw images of {height}x{width} with {counts}, clip_length {clip_length}, seed {seed}",
            remedy="size is at least 32x32, numbers and seed are not negative, clip_length is at least 2",
        )
    parameters = {
        "version": VERSION,
        "seed": seed,
        "size": [height, width],
        "clip_length": clip_length,
        **counts,
    }
    return write_once(root, parameters, _write)


def _write(root: Path, parameters: dict[str, Any]) -> None:
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES), encoding="utf-8")
    for number, split in enumerate(_SPLITS):
        seeds = (parameters["seed"], number)
        _write_images(root, split, parameters[split], parameters["size"], seeds)
        count = parameters["clips" if split == "train" else "val_clips"]
        _write_clips(root, split, count, parameters["clip_length"], parameters["size"], seeds)
    write_json(root / STAMP, parameters)


def _write_images(root: Path, split: Split, count: int, size: list[int], seeds: tuple[int, int]) -> None:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    lines = []
    for index in range(count):
        rng = np.random.default_rng([*seeds, 0, index])
        scene = draw_scene(rng, size[0], size[1], split)
        ids = scene.ids()
        name = f"{index:05d}.png"
        write_png(root / "images" / split / name, scene.image(ids, rng))
        write_png(root / "labels" / split / name, scene.labels(ids))
        lines.append(f"images/{split}/{name} labels/{split}/{name}\n")
        images.append({"id": index + 1, "file_name": name, "height": size[0], "width": size[1]})
        for number, thing in enumerate(scene.objects, start=1):
            if thing.category:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": index + 1,
                        "category_id": thing.category,
                        "iscrowd": 0,
                        **instance_fields(ids == number),
                        "drawn": _drawn(scene, number - 1),
                    }
                )
    (root / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
    write_json(
        root / "annotations" / f"instances_{split}.json",
        {"images": images, "annotations": annotations, "categories": categories()},
    )


def _write_clips(root: Path, split: Split, count: int, length: int, size: list[int], seeds: tuple[int, int]) -> None:
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    folder = root / "clips" / split
    for clip in range(count):
        rng = np.random.default_rng([*seeds, 1, clip])
        frames = draw_clip(rng, size[0], size[1], split, length)
        names = [f"{clip:03d}/{index:05d}" for index in range(length)]
        for name, frame in zip(names, frames, strict=True):
            write_png(folder / "frames" / f"{name}.png", frame.scene.image(frame.ids, rng))
            write_png(folder / "labels" / f"{name}.png", frame.scene.labels(frame.ids))
            if frame.flow is not None and frame.occluded is not None:
                write_flow(folder / "flow" / f"{name}.flo", frame.flow)
                write_png(folder / "occluded" / f"{name}.png", frame.occluded.astype(np.uint8) * 255)
        shape = {"height": size[0], "width": size[1], "length": length}
        videos.append({"id": clip + 1, "file_names": [f"{name}.png" for name in names], **shape})
        for number, thing in enumerate(frames[0].scene.objects, start=1):
            if thing.category:
                seen = [instance_fields(frame.ids == number) for frame in frames]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "video_id": clip + 1,
                        "category_id": thing.category,
                        "iscrowd": 0,
                        **shape,
                        "segmentations": [part["segmentation"] if part["area"] else None for part in seen],
                        "bboxes": [part["bbox"] if part["area"] else None for part in seen],
                        "areas": [part["area"] or None for part in seen],
                    }
                )
    write_json(
        root / "annotations" / f"clips_{split}.json",
        {"videos": videos, "annotations": annotations, "categories": categories()},
    )


def categories() -> list[dict[str, Any]]:
    """The four classes of objects, as COCO has them."""
    return [{"id": index, "name": name} for index, name in enumerate(CLASSES) if index]


def _drawn(scene: Scene, index: int) -> dict[str, Any]:
    """What the generator knows of an object: pattern period (pixels), pattern angle in the image (degrees), size."""
    thing = scene.objects[index]
    return {
        "outline": thing.outline,
        "period": round(thing.texture.period, 4),
        "angle": round(float(np.degrees(thing.texture.angle + thing.pose.angle)), 4),
        "radius": round(thing.pose.radius, 4),
    }
