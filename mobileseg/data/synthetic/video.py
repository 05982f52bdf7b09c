"""Synthetic video datasets: clips with ids in YouTube-VIS layout, pairs with exact flow in FlyingChairs layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mobileseg.data.synthetic.clip import ClipFrame
from mobileseg.data.synthetic.datasets import categories
from mobileseg.data.synthetic.files import STAMP, instance_fields, write_flow, write_json, write_once, write_png
from mobileseg.data.synthetic.moving import STYLES, ClipStyle, draw_moving_clip
from mobileseg.data.synthetic.scene import CLASSES, Split
from mobileseg.errors import DataError

VERSION = 1
"""Of the drawing; a folder written by another version is drawn again."""

_SPLITS: tuple[Split, Split] = ("train", "val")
_PAIR_SPEED = (0.5, 20.0)  # pixels per frame at a shorter side of 320, the slowest and the fastest pair


def generate_clips(
    root: str | Path,
    *,
    seed: int = 0,
    train: int = 60,
    val: int = 12,
    length: int = 21,
    size: Sequence[int] = (320, 320),
    style: str = "hard",
    annotate_every: int = 1,
    flow: bool = False,
) -> bool:
    """Write clips that :class:`~mobileseg.data.formats.youtube_vis.YouTubeVIS` reads.

    Nothing is done when the folder is there already with the same parameters; it appears when it is complete::

        {train,val}/JPEGImages/000/00000.png   RGB
        {train,val}.json                       YouTube-VIS; one track per object, null where it cannot be seen
        {train,val}/flow/000/00000.flo         with flow: motion to the next frame, of the points visible in this one;
                                               none for the last frame before a cut or the end
        {train,val}/occluded/000/00000.png     with flow: 255 where the point cannot be seen in the next frame

    Args:
        root: the folder.
        seed: of all random draws.
        train: number of training clips.
        val: number of validation clips; their patterns differ from those of training.
        length: frames per clip.
        size: height and width, pixels.
        style: 'easy' or 'hard', see :data:`mobileseg.data.synthetic.moving.STYLES`.
        annotate_every: the JSON lists every n-th frame, as YouTube-VIS lists every fifth; the others are in the folder.
        flow: whether to write flow and occlusion.

    Returns:
        Whether anything was written.

    Raises:
        DataError: an impossible parameter, a folder that holds something else, or one that cannot be written.
    """
    height, width = _checked(size, train=train, val=val, seed=seed)
    if style not in STYLES or not 1 <= length <= 10_000 or annotate_every < 1:
        raise DataError(
            f"cannot draw clips of style {style!r} with {length} frames, every {annotate_every} annotated",
            remedy=f"style is one of {', '.join(STYLES)}; length and annotate_every are at least 1",
        )
    parameters = {
        "kind": "clips",
        "version": VERSION,
        "seed": seed,
        "train": train,
        "val": val,
        "length": length,
        "size": [height, width],
        "style": style,
        "annotate_every": annotate_every,
        "flow": flow,
    }
    return write_once(Path(root), parameters, _write_clips)


def generate_pairs(
    root: str | Path, *, seed: int = 0, train: int = 400, val: int = 40, size: Sequence[int] = (320, 320)
) -> bool:
    """Write pairs that :class:`~mobileseg.data.formats.flying_chairs.FlyingChairs` reads.

    ``00001_img1.ppm``, ``00001_img2.ppm``, ``00001_flow.flo`` (exact, from the first image to the second) and so on,
    and ``FlyingChairs_train_val.txt`` with 1 for training and 2 for validation. Speeds are drawn evenly in the
    logarithm.

    Args:
        root: the folder.
        seed: of all random draws.
        train: number of training pairs.
        val: number of validation pairs.
        size: height and width, pixels.

    Returns:
        Whether anything was written.

    Raises:
        DataError: an impossible parameter, a folder that holds something else, or one that cannot be written.
    """
    height, width = _checked(size, train=train, val=val, seed=seed)
    parameters = {
        "kind": "pairs", "version": VERSION, "seed": seed, "train": train, "val": val, "size": [height, width],
    }  # fmt: skip
    return write_once(Path(root), parameters, _write_pairs)


def _checked(size: Sequence[int], *, train: int, val: int, seed: int) -> tuple[int, int]:
    height, width = (int(side) for side in size)
    if min(height, width) < 32 or min(train, val, seed) < 0:
        raise DataError(
            f"cannot draw images of {height}x{width}, {train} for training and {val} for validation, seed {seed}",
            remedy="size is at least 32x32, numbers and seed are not negative",
        )
    return height, width


def _write_clips(root: Path, parameters: dict[str, Any]) -> None:
    height, width = parameters["size"]
    for number, split in enumerate(_SPLITS):
        videos: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for clip in range(parameters[split]):
            rng = np.random.default_rng([parameters["seed"], number, 2, clip])
            shots = draw_moving_clip(rng, height, width, split, parameters["length"], STYLES[parameters["style"]])
            frames = [frame for shot in shots for frame in shot]
            names = [f"{clip:03d}/{time:05d}" for time in range(len(frames))]
            for name, frame in zip(names, frames, strict=True):
                _write_frame(root / split, name, frame, rng, flow=parameters["flow"])
            listed = range(0, len(frames), parameters["annotate_every"])
            shape = {"height": height, "width": width, "length": len(listed)}
            videos.append({"id": clip + 1, "file_names": [f"{names[time]}.png" for time in listed], **shape})
            for track in _tracks(shots, listed):
                entry = {"id": len(annotations) + 1, "video_id": clip + 1, "iscrowd": 0, **shape, **track}
                annotations.append(entry)
        document = {"videos": videos, "annotations": annotations, "categories": categories()}
        write_json(root / f"{split}.json", document)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES[1:]), encoding="utf-8")
    write_json(root / STAMP, parameters)


def _write_frame(folder: Path, name: str, frame: ClipFrame, rng: np.random.Generator, *, flow: bool) -> None:
    write_png(folder / "JPEGImages" / f"{name}.png", frame.scene.image(frame.ids, rng))
    if flow and frame.flow is not None and frame.occluded is not None:
        write_flow(folder / "flow" / f"{name}.flo", frame.flow)
        write_png(folder / "occluded" / f"{name}.png", frame.occluded.astype(np.uint8) * 255)


def _tracks(shots: Sequence[Sequence[ClipFrame]], listed: Sequence[int]) -> list[dict[str, Any]]:
    """The objects of every shot that can be seen in a listed frame, with their masks there."""
    tracks = []
    first = 0
    for shot in shots:
        for number, thing in enumerate(shot[0].scene.objects, start=1):
            if not thing.category:
                continue
            fields: list[dict[str, Any] | None] = []
            for time in listed:
                inside = first <= time < first + len(shot)
                mask = shot[time - first].ids == number if inside else None
                fields.append(instance_fields(mask) if mask is not None and mask.any() else None)
            if any(fields):
                tracks.append(
                    {
                        "category_id": thing.category,
                        "segmentations": [None if part is None else part["segmentation"] for part in fields],
                        "bboxes": [None if part is None else part["bbox"] for part in fields],
                        "areas": [None if part is None else part["area"] for part in fields],
                    }
                )
        first += len(shot)
    return tracks


def _write_pairs(root: Path, parameters: dict[str, Any]) -> None:
    height, width = parameters["size"]
    lines = []
    for split, label in zip(_SPLITS, ("1", "2"), strict=True):
        for index in range(parameters[split]):
            rng = np.random.default_rng([parameters["seed"], int(label), 3, index])
            speed = float(np.exp(rng.uniform(*np.log(_PAIR_SPEED))))
            style = ClipStyle(speed=(0.3 * speed, speed), camera=0.5 * speed, turn=0.1, zoom=0.04)
            now, then = draw_moving_clip(rng, height, width, split, 2, style)[0]
            lines.append(f"{label}\n")
            stem = root / f"{len(lines):05d}"
            assert now.flow is not None  # two frames of one shot
            for name, frame in (("img1", now), ("img2", then)):
                Image.fromarray(frame.scene.image(frame.ids, rng)).save(f"{stem}_{name}.ppm")
            write_flow(Path(f"{stem}_flow.flo"), now.flow)
    (root / "FlyingChairs_train_val.txt").write_text("".join(lines), encoding="utf-8")
    write_json(root / STAMP, parameters)
