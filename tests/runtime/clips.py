"""Video files for tests."""

from pathlib import Path

import numpy as np

from mobileseg.runtime.video import VideoWriter


def write(path: Path, count: int, size: tuple[int, int] = (48, 64), fps: float = 10.0) -> None:
    """A clip whose frames are red, then green, then blue, and so on."""
    with VideoWriter(path, fps) as writer:
        for index in range(count):
            frame = np.zeros((*size, 3), np.uint8)
            frame[..., index % 3] = 220
            writer.write(frame)
