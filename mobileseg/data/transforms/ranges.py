"""Which range of pixel values a transform takes and gives, and whether a chain of them fits together.

A transform may declare ``takes`` and ``gives`` (:class:`PixelRange`; None: any, and the same again). One that fills
pixels has ``im_padding_value``, which must be a value of the range it stands in: 127.5 is grey before
:class:`~mobileseg.data.transforms.color.Normalize` and 50 times white behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mobileseg.errors import ConfigError

_SLACK = 1e-6


class PixelRange(NamedTuple):
    """Lowest and highest value of a pixel, over all channels."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.4g}..{self.high:.4g}"


PIXELS = PixelRange(0.0, 255.0)
"""What images are when they are read."""


class Link(NamedTuple):
    """A step of a chain: its name, and the range of its pixels before and after it."""

    name: str
    before: PixelRange
    after: PixelRange


def chain(steps: Sequence[Any]) -> Iterator[Link]:
    """The steps of a pipeline with their ranges.

    Raises:
        ConfigError: a step does not fit to what stands before it.
    """
    current = PIXELS
    before_it = "images as they are read"
    for number, step in enumerate(steps, 1):
        name = type(step).__name__
        takes: PixelRange | None = getattr(step, "takes", None)
        if takes is not None and takes != current:
            again = name in before_it
            raise ConfigError(
                f"transform number {number}, {name}, takes pixels of {takes}; behind {before_it} they are {current}",
                remedy=f"remove the second {name}" if again else f"put {name} before {before_it}",
            )
        filled = getattr(step, "im_padding_value", None)
        if filled is not None:
            values = np.ravel(np.asarray(filled, np.float64))
            if values.min() < current.low - _SLACK or values.max() > current.high + _SLACK:
                raise ConfigError(
                    f"transform number {number}, {name}, fills with im_padding_value {filled}; behind {before_it} "
                    f"pixels are {current}",
                    remedy=f"put {name} before Normalize" if current != PIXELS else "use a grey value in 0..255",
                )
        gives: PixelRange | None = getattr(step, "gives", None)
        after = current if gives is None else gives
        yield Link(name, current, after)
        if after != current:
            current, before_it = after, name


def check_chain(steps: Sequence[Any]) -> None:
    """Check that every step takes what the step before it gives.

    Raises:
        ConfigError: it does not; the message names the step by number.
    """
    for _ in chain(steps):
        pass


def check_channels(steps: Sequence[Any], channels: int) -> None:
    """Check that every step takes images of that many channels.

    Raises:
        ConfigError: one is for colours (``rgb_only``), or has values for another number of channels.
    """
    for number, step in enumerate(steps, 1):
        name = type(step).__name__
        if channels != 3 and getattr(step, "rgb_only", False):
            raise ConfigError(
                f"transform number {number}, {name}, is for images of three channels, these have {channels}",
                remedy=f"remove {name}; RandomNoise, RandomBlur and what moves pixels take any",
            )
        for key in ("mean", "std", "im_padding_value"):
            values = np.ravel(getattr(step, key, 0.0))
            if values.size != channels and len(set(values.tolist())) > 1:
                raise ConfigError(
                    f"transform number {number}, {name}, has {values.size} values of {key}, images have {channels} "
                    "channels",
                    remedy="write one for all, or one for each",
                )


def normalisation_problem(train: Sequence[Any], other: Sequence[Any], name: str = "val") -> str:
    """How two pipelines, the second called ``name``, differ in what they give to the network; '' when they do not."""
    ranges = [_normalisation(steps) for steps in (train, other)]
    if ranges[0] == ranges[1]:
        return ""
    shown = [
        "does not normalise" if not found else "; ".join(f"mean {mean}, std {std}" for mean, std in found)
        for found in ranges
    ]
    return f"train and {name} normalise differently (train: {shown[0]}; {name}: {shown[1]})"


def _normalisation(steps: Sequence[Any]) -> list[tuple[list[float], list[float]]]:
    found = []
    for step in steps:
        mean, std = getattr(step, "mean", None), getattr(step, "std", None)
        if getattr(step, "gives", None) is not None and mean is not None and std is not None:
            found.append((np.round(mean, 6).tolist(), np.round(std, 6).tolist()))
    return found
