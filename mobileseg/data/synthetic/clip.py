"""Moving scenes with exact optical flow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mobileseg.data.synthetic.scene import MIN_VISIBLE, Pose, Scene, Split, draw_scene


@dataclass(frozen=True)
class Motion:
    """What happens to an object from one frame to the next.

    Attributes:
        dx: columns.
        dy: rows.
        turn: radians.
        zoom: factor of the radius.
    """

    dx: float
    dy: float
    turn: float
    zoom: float

    def __call__(self, pose: Pose) -> Pose:
        """The pose one frame later."""
        return Pose(pose.x + self.dx, pose.y + self.dy, pose.angle + self.turn, pose.radius * self.zoom)


@dataclass(frozen=True)
class ClipFrame:
    """A moment of a clip.

    Attributes:
        scene: what is where.
        ids: int32 [H, W], 1 + index of the visible object.
        flow: float32 [H, W, 2], columns and rows by which each pixel's point moves until the next frame; None for the
            last frame.
        occluded: bool [H, W], the point cannot be seen in the next frame: hidden or out of the image.
    """

    scene: Scene
    ids: np.ndarray
    flow: np.ndarray | None
    occluded: np.ndarray | None


def draw_clip(rng: np.random.Generator, height: int, width: int, split: Split, length: int) -> list[ClipFrame]:
    """A clip of `length` frames; object k is the same object in all of them."""
    start = draw_scene(rng, height, width, split)
    motions = [
        Motion(
            float(rng.uniform(-3, 3)),
            float(rng.uniform(-3, 3)),
            float(rng.uniform(-0.05, 0.05)),
            math.exp(float(rng.uniform(-0.015, 0.015))),
        )
        for _ in start.objects
    ]
    pan = (float(rng.uniform(-1.5, 1.5)), float(rng.uniform(-1.5, 1.5)))
    return frames_of(list(_moved(start, motions, pan, length)))


def frames_of(scenes: Sequence[Scene]) -> list[ClipFrame]:
    """Frames of scenes that follow each other, with the flow between them; what is never to be seen is left out."""
    count = len(scenes[0].objects)
    seen = np.zeros(count, np.int64)
    for scene in scenes:
        seen = np.maximum(seen, np.bincount(scene.ids().ravel(), minlength=count + 1)[1:])
    kept = [index for index, pixels in enumerate(seen) if pixels >= MIN_VISIBLE]
    scenes = [scene.only(kept) for scene in scenes]
    ids = [scene.ids() for scene in scenes]
    frames = []
    for index, scene in enumerate(scenes[:-1]):
        flow = exact_flow(scene, scenes[index + 1], ids[index])
        frames.append(ClipFrame(scene, ids[index], flow, occlusion(flow, ids[index], ids[index + 1])))
    return [*frames, ClipFrame(scenes[-1], ids[-1], None, None)]


def _moved(scene: Scene, motions: list[Motion], pan: tuple[float, float], length: int) -> Iterator[Scene]:
    for _ in range(length):
        yield scene
        objects = tuple(
            replace(thing, pose=move(thing.pose)) for thing, move in zip(scene.objects, motions, strict=True)
        )
        scene = replace(scene, objects=objects, pan=(scene.pan[0] + pan[0], scene.pan[1] + pan[1]))


def exact_flow(now: Scene, then: Scene, ids: np.ndarray) -> np.ndarray:
    """Where every visible point of one scene is in the next, float32 [H, W, 2] (columns, rows), no estimate."""
    flow = np.empty((*ids.shape, 2), np.float64)
    flow[...] = (then.pan[0] - now.pan[0], then.pan[1] - now.pan[1])
    for index, (before, after) in enumerate(zip(now.objects, then.objects, strict=True), start=1):
        rows, columns = np.nonzero(ids == index)
        u, v = before.pose.to_local(columns.astype(np.float64), rows.astype(np.float64))
        x, y = after.pose.to_image(u, v)
        flow[rows, columns] = np.stack([x - columns, y - rows], axis=-1)
    return flow.astype(np.float32)


def occlusion(flow: np.ndarray, ids: np.ndarray, next_ids: np.ndarray) -> np.ndarray:
    """bool [H, W]: the point leaves the image, or its next pixel shows another object."""
    height, width = ids.shape
    rows, columns = np.indices(ids.shape)
    x = np.rint(columns + flow[..., 0]).astype(np.int64)
    y = np.rint(rows + flow[..., 1]).astype(np.int64)
    outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    seen: np.ndarray = next_ids[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] == ids
    return outside | ~seen
