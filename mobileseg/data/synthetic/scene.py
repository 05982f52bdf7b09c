"""Scenes of textured objects: what is drawn, where, and how a pixel gets its value (NumPy and OpenCV).

Everything is a function of real-valued coordinates, so that a moved object is rendered exactly where it moved to.
Colours are drawn per object and say nothing about the class; the pattern does, and the outline hints at it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np

CLASSES = ("background", "stripes", "checks", "dots", "rings")
"""Class names; the index is the value in the label masks and the COCO category id."""

Split = Literal["train", "val"]

OUTLINES = ("ellipse", "box", "triangle", "star", "blob")
USUAL_OUTLINE = {1: "ellipse", 2: "box", 3: "triangle", 4: "star"}

RADIUS = (0.055, 0.48)
"""Smallest and largest object radius as a share of the shorter image side: more than eightfold."""

PERIOD = (7.0, 10.0)
"""Limits of the period of a pattern, pixels."""

REPEAT = {1: 0.8, 2: 3.0, 3: 1.15, 4: 1.9}
"""Periods after which the pattern of a class repeats: stripes are finest, then dots, rings and checks."""

MIN_VISIBLE = 16
"""Objects of which fewer pixels can be seen are left out of a scene."""


@dataclass(frozen=True)
class Pose:
    """Where an object is.

    Attributes:
        x: centre column, pixels; pixel centres are at integers.
        y: centre row, pixels.
        angle: rotation in radians, from x towards y.
        radius: size of the unit outline, pixels.
    """

    x: float
    y: float
    angle: float
    radius: float

    def to_local(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image coordinates to object coordinates, in radii."""
        cos, sin = math.cos(self.angle) / self.radius, math.sin(self.angle) / self.radius
        dx, dy = x - self.x, y - self.y
        return cos * dx + sin * dy, cos * dy - sin * dx

    def to_image(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Object coordinates, in radii, to image coordinates."""
        cos, sin = math.cos(self.angle) * self.radius, math.sin(self.angle) * self.radius
        return self.x + cos * u - sin * v, self.y + sin * u + cos * v


@dataclass(frozen=True)
class Waves:
    """Smooth noise: a sum of plane waves of random direction and phase.

    Attributes:
        kx: radians per pixel, float64 [n].
        ky: radians per pixel, float64 [n].
        phase: radians, float64 [n].
    """

    kx: np.ndarray
    ky: np.ndarray
    phase: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, shortest: float, longest: float, count: int = 5) -> Waves:
        """Waves with lengths between `shortest` and `longest` pixels."""
        length = np.exp(rng.uniform(math.log(shortest), math.log(longest), count))
        direction = rng.uniform(0, 2 * math.pi, count)
        k = 2 * math.pi / length
        return cls(k * np.cos(direction), k * np.sin(direction), rng.uniform(0, 2 * math.pi, count))

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Values in 0..1, float32, at coordinates in pixels."""
        total = np.zeros(np.broadcast(x, y).shape, np.float32)
        for kx, ky, phase in zip(self.kx, self.ky, self.phase, strict=True):
            total += np.cos((kx * x + (ky * y + phase)).astype(np.float32))
        return np.clip(0.5 + total / (2.0 * math.sqrt(len(self.kx))), 0.0, 1.0)


@dataclass(frozen=True)
class Texture:
    """The surface of an object or of the background.

    Attributes:
        kind: class index; 0 is smooth noise.
        period: pixels per repetition.
        angle: direction of the pattern in object coordinates, radians.
        colours: float32 [2, 3], RGB 0..255, between which the pattern swings.
        waves: the smooth noise of kind 0.
    """

    kind: int
    period: float
    angle: float
    colours: np.ndarray
    waves: Waves

    def mix(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Share of the second colour, float32 0..1, at coordinates in pixels from the object's centre."""
        if self.kind == 0:
            return self.waves(x, y)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        repeat = REPEAT[self.kind] * self.period
        u = ((cos * x + sin * y) / repeat).astype(np.float32)
        v = ((cos * y - sin * x) / repeat).astype(np.float32)
        turn = np.float32(2 * math.pi)
        if self.kind == 1:
            return _edge(np.sin(turn * u), 1.5)
        if self.kind == 2:
            return _edge(np.sin(turn * u) * np.sin(turn * v), 2.5)
        distance = np.hypot(u - np.rint(u), v - np.rint(v))
        if self.kind == 3:
            return _edge(0.3 - distance, 6.0)
        return _edge(0.13 - np.abs(distance - 0.31), 8.0)

    def paint(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """RGB float32 [..., 3] at coordinates in pixels from the object's centre."""
        mix = self.mix(x, y)[..., None]
        result: np.ndarray = self.colours[0] + mix * (self.colours[1] - self.colours[0])
        return result


def _edge(values: np.ndarray, slope: float) -> np.ndarray:
    """0 below, 1 above zero, with a soft edge."""
    return np.clip(0.5 + slope * values, 0.0, 1.0, dtype=np.float32)


@dataclass(frozen=True)
class SceneObject:
    """An object: class, outline, surface and place.

    Attributes:
        category: class index; 0 is a plain thing of the background that only hides others.
        outline: one of `OUTLINES`.
        aspect: height over width of the outline.
        lobes: amplitudes (together at most 0.32) and phases of the 'blob' outline, float64 [2, n].
        texture: the surface.
        pose: where it is.
    """

    category: int
    outline: str
    aspect: float
    lobes: np.ndarray
    texture: Texture
    pose: Pose

    def covers(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Whether object coordinates (in radii) lie inside of the outline, bool; the outline fits the unit circle."""
        v = v / self.aspect
        if self.outline == "ellipse":
            return u * u + v * v <= 1.0
        if self.outline == "box":
            return (np.abs(u) <= 0.71) & (np.abs(v) <= 0.71)
        angle = np.arctan2(v, u)
        if self.outline == "triangle":
            third = 2 * math.pi / 3
            limit = 0.5 / np.cos(np.mod(angle, third) - third / 2)
        elif self.outline == "star":
            limit = 0.74 + 0.26 * np.cos(5 * angle)
        else:
            limit = np.full(angle.shape, 0.68)
            for order, (size, phase) in enumerate(self.lobes.T, start=2):
                limit += size * np.cos(order * angle + phase)
        return np.hypot(u, v) <= limit

    def window(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the image that the object can reach."""
        reach = self.pose.radius * max(1.0, self.aspect) + 1
        top, bottom = math.floor(self.pose.y - reach), math.ceil(self.pose.y + reach) + 1
        left, right = math.floor(self.pose.x - reach), math.ceil(self.pose.x + reach) + 1
        return slice(max(0, top), max(0, min(height, bottom))), slice(max(0, left), max(0, min(width, right)))


@dataclass(frozen=True)
class Scene:
    """A background and the objects on it, back to front.

    Attributes:
        height: rows.
        width: columns.
        background: its surface.
        objects: later ones hide earlier ones.
        pan: columns and rows by which the background has moved.
        light: direction (radians) and strength of the brightness ramp over the image.
        reference_radius: radius of each object at which its pattern has its period; a zoomed object zooms its pattern.
    """

    height: int
    width: int
    background: Texture
    objects: tuple[SceneObject, ...]
    pan: tuple[float, float] = (0.0, 0.0)
    light: tuple[float, float] = (0.0, 0.0)
    reference_radius: tuple[float, ...] = field(default=())

    def ids(self) -> np.ndarray:
        """int32 [H, W]: 1 + index of the visible object, 0 for the background."""
        result = np.zeros((self.height, self.width), np.int32)
        for index, thing in enumerate(self.objects, start=1):
            rows, columns = thing.window(self.height, self.width)
            u, v = thing.pose.to_local(*_grid(rows, columns))
            result[rows, columns][thing.covers(u, v)] = index
        return result

    def labels(self, ids: np.ndarray) -> np.ndarray:
        """uint8 [H, W] class indices of an id map."""
        table = np.array([0, *(thing.category for thing in self.objects)], np.uint8)
        return table[ids]

    def image(self, ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """uint8 [H, W, 3] RGB: surfaces, brightness ramp, a slight blur and sensor noise."""
        x, y = _grid(slice(0, self.height), slice(0, self.width))
        canvas = self.background.paint(x - self.pan[0], y - self.pan[1])
        for index, thing in enumerate(self.objects, start=1):
            rows, columns = np.nonzero(ids == index)
            u, v = thing.pose.to_local(columns.astype(np.float64), rows.astype(np.float64))
            size = self.reference_radius[index - 1]
            canvas[rows, columns] = thing.texture.paint(u * size, v * size)
        direction, strength = self.light
        ramp = math.cos(direction) * (x / self.width - 0.5) + math.sin(direction) * (y / self.height - 0.5)
        canvas *= (1.0 + strength * ramp).astype(np.float32)[..., None]
        canvas = cv2.GaussianBlur(canvas, (3, 3), 0.5)
        canvas += 4.0 * rng.standard_normal(canvas.shape, dtype=np.float32)
        return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)

    def without_hidden(self) -> Scene:
        """The scene without objects of which fewer than `MIN_VISIBLE` pixels can be seen."""
        scene = self
        while True:
            seen = np.bincount(scene.ids().ravel(), minlength=len(scene.objects) + 1)[1:]
            kept = [i for i, count in enumerate(seen) if count >= MIN_VISIBLE]
            if len(kept) == len(scene.objects):
                return scene
            scene = scene.only(kept)

    def only(self, kept: list[int]) -> Scene:
        """The scene with some of the objects, given by index."""
        return replace(
            self,
            objects=tuple(self.objects[i] for i in kept),
            reference_radius=tuple(self.reference_radius[i] for i in kept),
        )


def _grid(rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of pixel centres: x [1, w] and y [h, 1], float64, that broadcast."""
    return np.arange(columns.start, columns.stop, dtype=np.float64)[None, :], np.arange(
        rows.start, rows.stop, dtype=np.float64
    )[:, None]


def _banded(rng: np.random.Generator, low: float, high: float, split: Split, bands: int = 12) -> float:
    """A number between two limits, from the even bands for training and the odd ones for validation."""
    band = 2 * int(rng.integers(bands // 2)) + (split == "val")
    return low + (high - low) * (band + float(rng.uniform(0.05, 0.95))) / bands


def _colours(rng: np.random.Generator) -> np.ndarray:
    """Two RGB colours of different brightness, float32 [2, 3]."""
    while True:
        pair = rng.uniform(20, 235, (2, 3)).astype(np.float32)
        brightness = pair @ np.array([0.299, 0.587, 0.114], np.float32)
        if abs(brightness[0] - brightness[1]) >= 70:
            return pair


def draw_texture(rng: np.random.Generator, kind: int, split: Split) -> Texture:
    """A surface of a kind; training and validation never share a period or an angle."""
    period = _banded(rng, *PERIOD, split)
    angle = _banded(rng, 0.0, math.pi, split)
    return Texture(kind, period, angle, _colours(rng), Waves.draw(rng, 30.0, 150.0))


def draw_object(rng: np.random.Generator, category: int, height: int, width: int, split: Split) -> SceneObject:
    """An object anywhere in the image, its centre inside, its outline perhaps not."""
    short = min(height, width)
    radius = short * math.exp(rng.uniform(math.log(RADIUS[0]), math.log(RADIUS[1])))
    usual = category in USUAL_OUTLINE and rng.random() < 0.85
    outline = USUAL_OUTLINE[category] if usual else OUTLINES[int(rng.integers(len(OUTLINES)))]
    lobes = np.stack([rng.uniform(0.0, 0.08, 4), rng.uniform(0, 2 * math.pi, 4)])
    pose = Pose(rng.uniform(0, width), rng.uniform(0, height), rng.uniform(-math.pi, math.pi), radius)
    texture = draw_texture(rng, category, split)
    # The pattern's angle is drawn for the image; the object's own rotation is taken out of it.
    texture = replace(texture, angle=texture.angle - pose.angle)
    return SceneObject(category, outline, rng.uniform(0.7, 1.0), lobes, texture, pose)


def draw_scene(rng: np.random.Generator, height: int, width: int, split: Split) -> Scene:
    """Objects of all classes, plain things among them, larger ones mostly behind smaller ones."""
    categories = rng.integers(1, len(CLASSES), int(rng.integers(4, 10)))
    plain = np.zeros(int(rng.integers(0, 3)), np.int64)
    objects = [draw_object(rng, int(c), height, width, split) for c in np.concatenate([categories, plain])]
    order = sorted(objects, key=lambda thing: -thing.pose.radius * rng.uniform(0.6, 1.6))
    scene = Scene(
        height,
        width,
        draw_texture(rng, 0, split),
        tuple(order),
        light=(float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(0.0, 0.4))),
        reference_radius=tuple(thing.pose.radius for thing in order),
    )
    return scene.without_hidden()
