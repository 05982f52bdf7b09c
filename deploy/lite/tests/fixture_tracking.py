"""Clips of moving discs for the tracker of the C++ program, with what Python's tracker says after every frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from fixture_artefacts import write_artefact
from fixture_parts import instance_settings, manifest, picture, smooth

from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.postprocess import finish, nms_detections
from mobileseg.runtime.specs import ImageSpec, OutputSpec
from mobileseg.structures import InstanceMasks, InstanceResult
from mobileseg.tasks import INSTANCE
from mobileseg.tracking.assignment import assign
from mobileseg.tracking.label_filter import FilterState, seen, smoothed
from mobileseg.tracking.motion import block_motion, grey_cells
from mobileseg.tracking.options import TrackingOptions
from mobileseg.tracking.tracker import TrackerState, overlaps, track, with_ids


def disc_results(rng: np.random.Generator, size: tuple[int, int], count: int, length: int) -> list[InstanceResult]:
    """Frames with discs that cross; a tenth is missing, others are weak, small, moved, or without a pixel.

    Their visible parts are the masks; boxes have fractions of pixels.
    """
    height, width = size
    rows, columns = np.indices(size)
    radius = rng.uniform(0.02, 0.12, count) * height
    place, speed = rng.uniform(0, 1, (count, 2)) * (width, height), rng.normal(0, 0.015 * height, (count, 2))
    labels = rng.integers(0, 3, count)
    frames = []
    for _ in range(length):
        owner = np.full(size, -1)
        for index in range(count):
            near = place[index] + rng.normal(0, 1, 2) * (rng.random() < 0.2) * radius[index] / 3
            owner[(columns - near[0]) ** 2 + (rows - near[1]) ** 2 < radius[index] ** 2] = index
        there = [index for index in range(count) if rng.random() > 0.1]
        masks = InstanceMasks.from_array(np.array([owner == index for index in there]).reshape(-1, *size))
        boxes = np.array([_box(*region, place[index]) for index, region in zip(there, masks.regions, strict=True)])
        boxes = np.clip(boxes.reshape(-1, 4) + rng.uniform(-0.6, 0.6, (len(there), 4)), 0, [width, height] * 2)
        scores = np.where(rng.random(len(there)) < 0.15, rng.uniform(0, 0.3, len(there)), rng.uniform(0.3, 1))
        kinds = np.where(rng.random(len(there)) < 0.03, 2, labels[there]).astype(np.int64)
        found = InstanceResult(boxes.astype(np.float32), scores.astype(np.float32), kinds, masks)
        frames.append(found.take(np.argsort(-scores, kind="stable")))
        place += speed
        speed = np.where((place < 0) | (place > (width, height)), -speed, speed)
    return frames


def _box(top: int, left: int, bitmap: np.ndarray, place: np.ndarray) -> tuple[float, float, float, float]:
    """The box of a region; of one without pixels a small one where the disc is."""
    if bitmap.size == 0:
        return float(place[0]), float(place[1]), float(place[0]) + 3, float(place[1]) + 3
    return left, top, left + bitmap.shape[1], top + bitmap.shape[0]


def frame_arrays(result: InstanceResult) -> dict[str, np.ndarray]:
    """A result as arrays: ``regions`` are top, left, height and width of the masks, ``bytes`` their pixels in turn."""
    regions = [(top, left, *bitmap.shape) for top, left, bitmap in result.masks.regions]
    pixels = [bitmap.ravel() for _, _, bitmap in result.masks.regions]
    return {
        "boxes": result.boxes,
        "scores": result.scores,
        "classes": result.classes,
        "regions": np.array(regions, np.int64).reshape(-1, 4),
        "bytes": np.concatenate([*pixels, np.zeros(1, np.bool_)]).astype(np.uint8),  # never empty
    }


def clip_arrays(frames: list[InstanceResult], options: TrackingOptions) -> dict[str, np.ndarray]:
    """Frame k of a clip and what is known after it, as ``NAME.k``; ``options`` in the order of their definition."""
    arrays: dict[str, np.ndarray] = {
        "size": np.array(frames[0].masks.size),
        "length": np.array([len(frames)]),
        "options": np.array(list(vars(options).values()), np.float64),
    }
    state = TrackerState()
    for number, result in enumerate(frames):
        facts: Mapping[str, np.ndarray] = frame_arrays(result)
        common = overlaps(state, result, options)
        ids, state = track(state, result, options)
        rows = [
            (one.id, one.label, *one.box, *one.velocity, one.mask.count, one.hits, one.missed, one.confirmed)
            for one in state.tracks
        ]
        facts |= {"ids": ids, "overlaps": common, "tracks": np.array(rows, np.int64).reshape(-1, 12)}
        arrays |= {f"{name}.{number}": values for name, values in facts.items()}
    return arrays


def tracking_cases(root: Path) -> None:
    """``clips.txt`` names the clips; assignments.npz has matrices of costs and the column of every row, -1 for none."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(21)
    usual = TrackingOptions()
    clips = {
        "usual": (disc_results(rng, (180, 320), 12, 60), usual),
        "coarse": (disc_results(rng, (481, 853), 10, 20), usual),
        "strict": (disc_results(rng, (90, 70), 8, 40), TrackingOptions(0.5, 0.2, 0.4, 2, False, 2)),
        "forgetful": (disc_results(rng, (60, 200), 6, 30), TrackingOptions(max_age=0, low_score=0.3)),
        "crowd": (disc_results(rng, (480, 640), 30, 40), usual),
        "nothing": ([frame.take([]) for frame in disc_results(rng, (20, 30), 2, 3)], usual),
    }
    for name, (frames, options) in clips.items():
        np.savez_compressed(root / f"{name}.npz", **clip_arrays(frames, options))
    (root / "clips.txt").write_text("".join(f"{name}\n" for name in clips), encoding="ascii")
    arrays: dict[str, np.ndarray] = {}
    sizes = [(1, 1), (5, 5), (3, 8), (8, 3), (30, 30), (25, 40), (40, 25), (0, 4), (4, 0)]
    for index, (size, top) in enumerate((size, top) for size in sizes for top in (2, 1000, 1 << 40)):
        costs = rng.integers(0 if top == 2 else -top, top, size)
        rows, columns = assign(costs)
        expected = np.full(size[0], -1, np.int64)
        expected[rows] = columns
        arrays |= {f"costs.{index}": costs, f"columns.{index}": expected}
    np.savez_compressed(root / "assignments.npz", **arrays)
    np.savez_compressed(root / "motion.npz", **motion_arrays(rng))
    np.savez_compressed(root / "smooth.npz", **smooth_arrays(rng))


def motion_arrays(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Two images of pair k, ``first.k`` and ``second.k``; the grey cells of the first, and the motion of its blocks."""
    arrays: dict[str, np.ndarray] = {}
    moves = [((40, 60), (0, 0)), ((75, 131), (5, -3)), ((120, 160), (-11, 9)), ((241, 427), (20, 14)), ((7, 3), (1, 1))]
    for size, (dx, dy) in [*moves, ((330, 700), (33, -21)), ((1, 1), (0, 0))]:
        scene = picture(rng, size[0] + 80, size[1] + 80)
        first = scene[40 : 40 + size[0], 40 : 40 + size[1]]
        second = scene[40 - dy : 40 - dy + size[0], 40 - dx : 40 - dx + size[1]].copy()
        second[: size[0] // 3] = picture(rng, *size)[: size[0] // 3]  # something else comes into view
        index = len(arrays) // 4
        arrays |= {f"first.{index}": first, f"second.{index}": second, f"grey.{index}": grey_cells(first)}
        arrays[f"motion.{index}"] = block_motion(grey_cells(first), grey_cells(second))
    return arrays


def tracked_artefact(folder: Path, expected: Path) -> None:
    """A folder whose graph finds discs that cross, in frames of one grey each: frame k has the value 16 k.

    Args:
        folder: of the artefact.
        expected: JSON file that gets, for every frame, [id, class] of what Python's tracker reports, best first.
    """
    rng = np.random.default_rng(31)
    spec, grid, count = ImageSpec("x", 32, 48), (32, 48), 5
    options = DetectionOptions(score_threshold=0.05)
    rows, columns = np.indices(grid)
    place, speed = rng.uniform(0.1, 0.9, (count, 2)), rng.normal(0, 0.05, (count, 2))
    labels = np.arange(count) % 2
    items, ids, memory = [], [], dict[str, object]()
    for number in range(14):
        image = np.full((64, 96, 3), 16 * number, np.uint8)
        there = np.flatnonzero(rng.random(count) > 0.15)
        scores = np.sort(rng.uniform(0.1, 1, len(there)))[::-1]
        reach = np.array([7 / 48, 7 / 32])
        found = np.concatenate([labels[there, None], scores[:, None], place[there] - reach, place[there] + reach], 1)
        far = [np.hypot(columns - x * 48, rows - y * 32) for x, y in place]
        outputs = {
            "found": found.astype(np.float32),
            "mask": np.eye(count, dtype=np.float32)[there],
            "proto": (4 * np.clip(6 - np.array(far), -1, 1)).astype(np.float32)[None],
        }
        detections = nms_detections(outputs["found"], outputs["mask"], options)
        result = with_ids(finish(detections, outputs["proto"][0], (64, 96), options), memory, TrackingOptions())
        assert result.track_ids is not None
        ids.append([list(pair) for pair in zip(result.track_ids.tolist(), result.classes.tolist(), strict=True)])
        items.append({"image": image, **{f"whole.{name}": value for name, value in outputs.items()}})
        place += speed
        speed = np.where((place < 0) | (place > 1), -speed, speed)
    specs = (
        OutputSpec("found", "detections", "float32", (-1, 6)),
        OutputSpec("mask", "coefficients", "float32", (-1, count)),
        OutputSpec("proto", "prototypes", "float32", (1, count, *grid)),
    )
    made = manifest("tracked", spec, specs, 2, task=INSTANCE, settings=instance_settings(options))
    write_artefact(folder, made, items)
    expected.write_text(json.dumps(ids), encoding="ascii")


def smooth_arrays(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Frames that move, with a cut; ``scores.k`` go in, ``expected.k`` comes out. The input is padded on the right."""
    content, covered, weight = (60, 90), (60, 120), 0.6
    arrays = {"place": np.array([*content, *covered]), "weight": np.array([weight])}
    scenes = [picture(rng, 200, 300) for _ in range(2)]
    state: FilterState | None = None
    for frame in range(7):
        scene = scenes[frame > 4]
        image = np.ascontiguousarray(scene[20 + 3 * frame : 140 + 3 * frame, 70 - 8 * frame : 250 - 8 * frame])
        powers = np.exp(smooth(rng, (4, 30, 60)))
        scores = (powers / powers.sum(axis=0)).astype(np.float32)
        found, state = smoothed(seen(state, image), scores, weight, content=content, covered=covered)
        arrays |= {f"image.{frame}": image, f"scores.{frame}": scores, f"expected.{frame}": found}
    return arrays
