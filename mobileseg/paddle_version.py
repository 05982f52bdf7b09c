"""Which Paddle is installed, and what each tested one can do; read from the packages' metadata, nothing is imported.

What differs between them in a call is in :mod:`mobileseg.nn.compat`, and nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CONVERTER = "2.6.2"
"""Trains as well, and is the last that writes programs which Paddle Lite, paddle2onnx 1.3 and PaddleSlim read."""

TRAINING = "3.3.1"
"""Trains, evaluates and predicts on Python 3.11 to 3.13 and on recent GPUs."""

TESTED = (CONVERTER, TRAINING)

PYTHONS = {CONVERTER: ((3, 10), (3, 11), (3, 12)), TRAINING: ((3, 10), (3, 11), (3, 12), (3, 13))}
"""Versions of Python for which each has wheels, and on which the suite runs with it."""

LITE_PYTHON = (3, 10)
"""The last for which there is a wheel of Paddle Lite."""

BUILDS = ("paddlepaddle-gpu", "paddlepaddle")
"""Distributions that install the package `paddle`."""


@dataclass(frozen=True)
class Paddle:
    """An installed Paddle.

    Attributes:
        build: its distribution, one of :data:`BUILDS`.
        version: as the distribution says, for example '2.6.2.post117'.
    """

    build: str
    version: str

    @property
    def tested(self) -> bool:
        """Whether the suite is tested with its minor version."""
        return minor(self.version) in map(minor, TESTED)

    @property
    def converts(self) -> bool:
        """Whether graphs are exported and networks compressed with it."""
        return minor(self.version) == minor(CONVERTER)

    def __str__(self) -> str:
        return f"{self.build} {self.version}"


def installed() -> Paddle | None:
    """The Paddle of this environment, None without one."""
    from importlib.metadata import PackageNotFoundError, version  # the command line lists its verbs without it

    for build in BUILDS:
        try:
            return Paddle(build, version(build))
        except PackageNotFoundError:
            continue
    return None


def minor(text: str) -> tuple[int, ...]:
    """The first two numbers of a version: '3.3.1' -> (3, 3)."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])
