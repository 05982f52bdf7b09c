"""Scenes in which objects move fast, hide each other, leave and return, under a moving camera and with cuts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mobileseg.data.synthetic.clip import ClipFrame, frames_of
from mobileseg.data.synthetic.scene import Pose, Scene, SceneObject, Split, draw_scene

_SIDE = 320
"""Pixels of the shorter side for which speeds are given; they grow with it."""


@dataclass(frozen=True)
class ClipStyle:
    """How much happens in a clip; lengths are pixels at a shorter side of 320.

    Attributes:
        speed: slowest and fastest object, pixels per frame.
        camera: largest speed of the camera, pixels per frame; it sways and takes everything with it.
        turn: largest turn of an object, radians per frame.
        zoom: largest natural logarithm of an object's growth per frame.
        entering: share of the objects that come in from outside during the first half of the clip.
        leaving: share of the other objects that go fully out of the image at its border and return; the rest turn round
            when their centre reaches it.
        crossing: share of the clips in which the frontmost object runs over another one in the middle of the clip.
        cut: share of the clips with a cut to another scene, in the middle third.
    """

    speed: tuple[float, float]
    camera: float = 0.0
    turn: float = 0.05
    zoom: float = 0.015
    entering: float = 0.0
    leaving: float = 0.0
    crossing: float = 0.0
    cut: float = 0.0


STYLES = {
    "easy": ClipStyle(speed=(1.0, 4.0), camera=1.5),
    "hard": ClipStyle(
        speed=(5.0, 10.0), camera=3.0, turn=0.08, zoom=0.02, entering=0.25, leaving=0.3, crossing=0.75, cut=0.15
    ),
}
"""'hard': the median motion of objects is above 6 pixels a frame at 320, and most clips have an occlusion."""


@dataclass(frozen=True)
class _Path:
    """Where the centre of an object is at a time, turning round at bounds; without bounds it goes straight on."""

    start: np.ndarray
    velocity: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None

    def at(self, time: float) -> np.ndarray:
        """(x, y), pixels."""
        place = self.start + self.velocity * time
        if self.low is None or self.high is None:
            return place
        span = self.high - self.low
        phase = np.mod(place - self.low, 2 * span)
        folded: np.ndarray = self.low + np.minimum(phase, 2 * span - phase)
        return folded


def draw_moving_clip(
    rng: np.random.Generator, height: int, width: int, split: Split, length: int, style: ClipStyle
) -> list[list[ClipFrame]]:
    """A clip as a list of shots, ``length`` frames together; without a cut there is one shot.

    Object k of a shot is the same object in all its frames. The last frame of every shot has no flow: what follows is
    the end or another scene.
    """
    lengths = [length]
    if length >= 6 and rng.random() < style.cut:
        first = int(rng.integers(length // 3, 2 * length // 3 + 1))
        lengths = [first, length - first]
    return [_shot(rng, height, width, split, part, style) for part in lengths]


def _shot(
    rng: np.random.Generator, height: int, width: int, split: Split, length: int, style: ClipStyle
) -> list[ClipFrame]:
    start = draw_scene(rng, height, width, split)
    paths = [_path(rng, thing, start, length, style) for thing in start.objects]
    if rng.random() < style.crossing:
        _make_cross(rng, start, paths, length)
    spins = rng.uniform(-1, 1, (len(paths), 2)) * (style.turn, style.zoom)
    sway = _camera(rng, length, style.camera * min(height, width) / _SIDE)
    scenes = []
    for time in range(length):
        things = []
        for thing, path, (turn, zoom) in zip(start.objects, paths, spins, strict=True):
            x, y = path.at(time) + sway[time]
            radius = thing.pose.radius * math.exp(zoom * time)
            things.append(replace(thing, pose=Pose(float(x), float(y), thing.pose.angle + turn * time, radius)))
        pan = (float(sway[time, 0]), float(sway[time, 1]))
        scenes.append(replace(start, objects=tuple(things), pan=pan))
    return frames_of(scenes)


def _path(rng: np.random.Generator, thing: SceneObject, scene: Scene, length: int, style: ClipStyle) -> _Path:
    scale = min(scene.height, scene.width) / _SIDE
    speed, direction = rng.uniform(*style.speed) * scale, rng.uniform(0, 2 * math.pi)
    velocity = speed * np.array([math.cos(direction), math.sin(direction)])
    centre, size = np.array([thing.pose.x, thing.pose.y]), np.array([scene.width, scene.height], np.float64)
    enters, leaves, when = rng.random() < style.entering, rng.random() < style.leaving, rng.uniform(0, length / 2)
    reach = 1.3 * thing.pose.radius
    if enters:  # walk back from a place inside until the object is outside, and then the time that it still waits
        with np.errstate(divide="ignore"):
            back = np.where(velocity > 0, centre + reach, size - centre + reach) / np.abs(velocity)
        return _Path(centre - velocity * (back.min() + when), velocity, None, None)
    margin = reach if leaves else 0.0
    return _Path(centre, velocity, np.full(2, -margin), size + margin)


def _make_cross(rng: np.random.Generator, scene: Scene, paths: list[_Path], length: int) -> None:
    """Let the frontmost object that counts run over another one in the middle of the shot."""
    counting = [index for index, thing in enumerate(scene.objects) if thing.category]
    if len(counting) < 2:
        return
    front = counting[-1]
    hidden = counting[int(rng.integers(len(counting) - 1))]
    middle, velocity = length / 2, paths[front].velocity
    place = np.clip(paths[hidden].at(middle), 0, (scene.width, scene.height))
    paths[front] = _Path(place - velocity * middle, velocity, None, None)


def _camera(rng: np.random.Generator, length: int, speed: float) -> np.ndarray:
    """float64 [length, 2], how far (columns, rows) the camera has moved everything; at most ``speed`` per frame."""
    period = rng.uniform(16, 40)
    phase, share = rng.uniform(0, 2 * math.pi, 2), rng.uniform(0.3, 1) * speed
    direction = rng.uniform(0, 2 * math.pi)
    wave = np.sin(2 * math.pi * np.arange(length)[:, None] / period + phase) - np.sin(phase)
    reach = share * period / (2 * math.pi)
    swayed: np.ndarray = wave * reach * (math.cos(direction), math.sin(direction))
    return swayed
