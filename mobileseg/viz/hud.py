"""Frame rate and stage times, drawn on the frames of a video."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mobileseg.viz.text import draw_text, text_width

_WHITE = (255, 255, 255)
_SHADE = 0.35


class FrameMeter:
    """Frame rate and mean stage times of the last frames.

    Args:
        window: frames that count.
        clock: seconds, for tests.
    """

    def __init__(self, window: int = 30, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._ends: deque[float] = deque(maxlen=window + 1)
        self._times: deque[dict[str, float]] = deque(maxlen=window)

    def add(self, times: Mapping[str, float]) -> None:
        """Take in the milliseconds of the stages of a frame that is done now."""
        self._ends.append(self._clock())
        self._times.append(dict(times))

    @property
    def rate(self) -> float | None:
        """Frames per second as they come, whatever is done between them; None before the second frame."""
        spent = self._ends[-1] - self._ends[0] if len(self._ends) > 1 else 0.0
        return (len(self._ends) - 1) / spent if spent > 0 else None

    def lines(self) -> list[str]:
        """The text to draw: frame rate, then a line per stage with its mean milliseconds."""
        rate = self.rate
        stages = {stage: None for times in self._times for stage in times}
        means = {stage: float(np.mean([times[stage] for times in self._times if stage in times])) for stage in stages}
        head = "- frames/s" if rate is None else f"{rate:.1f} frames/s"
        return [head, *(f"{stage} {value:.1f} ms" for stage, value in means.items())]


def draw_lines(image: np.ndarray, lines: Sequence[str]) -> np.ndarray:
    """The image with lines of text in its top left corner, on a darkened ground.

    Args:
        image: uint8 [H, W, 3] RGB; left as it is.
        lines: what does not fit the image is cut off.

    Returns:
        uint8 [H, W, 3] RGB.
    """
    drawn = image.copy()
    if not lines:
        return drawn
    cap = min(16, max(7, round(min(image.shape[:2]) / 40)))  # height of capital letters
    margin, step = cap, round(cap * 1.8)
    width = max(text_width(line, cap) for line in lines)
    ground = drawn[: margin + step * len(lines), : width + 2 * margin]
    ground[...] = (ground * _SHADE).astype(np.uint8)
    for row, line in enumerate(lines):
        draw_text(drawn, line, (margin, margin + cap + row * step), cap, _WHITE)
    return drawn
