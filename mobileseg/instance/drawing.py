"""Instances drawn on images: filled masks, contours, boxes and readable names (NumPy, OpenCV, Pillow for text)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mobileseg.structures import NO_TRACK, InstanceResult
from mobileseg.viz.palette import palette as generated_palette
from mobileseg.viz.text import descent, draw_text, text_width

_SMALLEST = 7  # capitals below this height cannot be read
_SHADES = (0.0, 0.45, -0.4, 0.25, -0.2, 0.6)
"""Of the instances of a class in turn: towards white (positive) or black (negative)."""
_TRACK_COLOURS = 64  # more could not be told apart


@dataclass(frozen=True)
class _Style:
    """Sizes that follow the image, in pixels: height of capitals, width of lines."""

    cap: int
    line: int

    @classmethod
    def of(cls, height: int, width: int) -> _Style:
        side = min(height, width)
        return cls(min(22, max(_SMALLEST, round(side / 48))), max(1, round(side / 400)))


def instance_colours(classes: np.ndarray, palette: np.ndarray, track_ids: np.ndarray | None = None) -> np.ndarray:
    """A colour per instance, uint8 [n, 3] RGB.

    In an image it is a shade of the class's colour, another for each instance of the class. In a video with tracks it
    is the colour of the track, whatever else is in the frame: ids that follow each other have colours far apart. An
    object of no track is coloured as in an image.

    Args:
        classes: int [n], class indices.
        palette: uint8 [K, 3], RGB.
        track_ids: int64 [n], or None.
    """
    colours = np.zeros((len(classes), 3), np.uint8)
    seen: dict[int, int] = {}
    for index, kind in enumerate(classes.tolist()):
        turn = seen.get(kind, 0)
        seen[kind] = turn + 1
        shade = _SHADES[turn % len(_SHADES)]
        base = palette[kind].astype(np.float64)
        colours[index] = np.rint(base + shade * ((255 - base) if shade > 0 else base))
    if track_ids is not None:
        tracked = track_ids != NO_TRACK
        colours[tracked] = generated_palette(_TRACK_COLOURS)[track_ids[tracked] % _TRACK_COLOURS]
    return colours


def instance_overlay(
    image: np.ndarray,
    result: InstanceResult,
    classes: Sequence[str],
    palette: np.ndarray,
    *,
    opacity: float = 0.45,
    boxes: bool = True,
    names: bool = True,
) -> np.ndarray:
    """Instances over the image, uint8 [H, W, 3] RGB: large ones first, so that small ones stay visible.

    Args:
        image: uint8 [H, W, 3], RGB.
        result: the instances.
        classes: class names.
        palette: uint8 [K, 3] RGB, one per name.
        opacity: of the colour inside of the masks, 0..1.
        boxes: draw the boxes.
        names: write name and score of every instance, behind the id of its track if it has one.

    Raises:
        ValueError: masks of another size than the image.
    """
    if image.shape[:2] != result.masks.size:
        raise ValueError(f"the image is {list(image.shape[:2])} and the masks are {list(result.masks.size)}")
    drawn = image.copy()
    style = _Style.of(*image.shape[:2])
    shades = instance_colours(result.classes, palette, result.track_ids)
    colours = [tuple(int(value) for value in colour) for colour in shades]
    for index in np.argsort(-result.masks.areas(), kind="stable"):
        _fill(drawn, result.masks.regions[index], colours[index], opacity)
        _outline(drawn, result.masks.regions[index], colours[index], style.line)
    if boxes:
        for box, colour in zip(result.boxes, colours, strict=True):
            cv2.rectangle(drawn, *_corners(box, image.shape), colour, style.line)
    if names:
        tags = _Tags(drawn, style.cap)
        numbers = [NO_TRACK] * len(result) if result.track_ids is None else result.track_ids.tolist()
        ids = ["" if number == NO_TRACK else f"{number}: " for number in numbers]
        rows = zip(ids, result.boxes, result.classes, result.scores, colours, strict=True)
        for number, box, kind, score, colour in rows:
            tags.write(f"{number}{classes[kind]} {score:.2f}", box, colour)
    return drawn


def instance_index(result: InstanceResult) -> np.ndarray:
    """The number of the instance at every pixel, 1 for the best, 0 for none; where masks overlap, the better one.

    Returns:
        uint8 [H, W], or uint16 with more than 255 instances.
    """
    found = np.zeros(result.masks.size, np.uint8 if len(result) < 256 else np.uint16)
    for index in range(len(result) - 1, -1, -1):
        top, left, bitmap = result.masks.regions[index]
        found[top : top + bitmap.shape[0], left : left + bitmap.shape[1]][bitmap] = index + 1
    return found


def _fill(drawn: np.ndarray, region: tuple[int, int, np.ndarray], colour: tuple[int, ...], opacity: float) -> None:
    top, left, bitmap = region
    if bitmap.size == 0:
        return
    inside = drawn[top : top + bitmap.shape[0], left : left + bitmap.shape[1]]
    mixed = cv2.addWeighted(inside, 1.0 - opacity, np.full_like(inside, colour), opacity, 0.0)
    cv2.copyTo(mixed, np.ascontiguousarray(bitmap).view(np.uint8), inside)


def _outline(drawn: np.ndarray, region: tuple[int, int, np.ndarray], colour: tuple[int, ...], line: int) -> None:
    top, left, bitmap = region
    if bitmap.size == 0:
        return
    mask = np.ascontiguousarray(bitmap).view(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE, offset=(left, top))
    cv2.drawContours(drawn, contours, -1, colour, line)


def _corners(box: np.ndarray, shape: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last pixel of a box."""
    x1, y1 = min(int(box[0]), shape[1] - 1), min(int(box[1]), shape[0] - 1)
    x2, y2 = min(max(int(np.ceil(box[2])) - 1, x1), shape[1] - 1), min(max(int(np.ceil(box[3])) - 1, y1), shape[0] - 1)
    return (x1, y1), (x2, y2)


class _Tags:
    """Writes names, each where it covers as little as possible of the names before it.

    Args:
        drawn: image to write into.
        cap: height of capitals in pixels; names of small instances are smaller.
    """

    def __init__(self, drawn: np.ndarray, cap: int) -> None:
        self._drawn = drawn
        self._cap = cap
        self._taken: list[tuple[int, int, int, int]] = []

    def write(self, text: str, box: np.ndarray, colour: tuple[int, ...]) -> None:
        """A tag in the instance's colour at an edge of its box, inside the image."""
        (x1, y1), (x2, y2) = _corners(box, self._drawn.shape)
        small = max(x2 - x1, y2 - y1) < 8 * self._cap
        cap = max(_SMALLEST, round(self._cap * 0.75)) if small else self._cap
        pad = max(2, round(cap * 0.35))
        tall, wide = cap + descent(cap) + 2 * pad, text_width(text, cap) + 2 * pad
        places = [
            self._inside(x, y, wide, tall)
            for y in (y1 - tall, y1, y2 + 1, y2 + 1 - tall, y1 - 2 * tall, y2 + 1 + tall)
            for x in (x1, x2 + 1 - wide, x1 - wide, x2 + 1)
        ]
        place = min(places, key=self._covered)
        self._taken.append(place)
        left, top = place[:2]
        cv2.rectangle(self._drawn, (left, top), (place[2] - 1, place[3] - 1), colour, cv2.FILLED)
        ink = (0, 0, 0) if np.dot(colour, (0.299, 0.587, 0.114)) > 140 else (255, 255, 255)
        draw_text(self._drawn, text, (left + pad, top + pad + cap), cap, ink)

    def _inside(self, x: int, y: int, wide: int, tall: int) -> tuple[int, int, int, int]:
        x = max(0, min(x, self._drawn.shape[1] - wide))
        y = max(0, min(y, self._drawn.shape[0] - tall))
        return x, y, x + wide, y + tall

    def _covered(self, place: tuple[int, int, int, int]) -> int:
        """Pixels that a tag would share with those already there."""
        total = 0
        for other in self._taken:
            wide = min(place[2], other[2]) - max(place[0], other[0])
            tall = min(place[3], other[3]) - max(place[1], other[1])
            total += max(wide, 0) * max(tall, 0)
        return total
