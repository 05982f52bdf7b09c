"""The images of a folder as the frames of a video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from mobileseg.data.formats.frame_folders import list_frames
from mobileseg.errors import DataError


class FolderReader:
    """Frames of a folder, one image each; read like a :class:`~mobileseg.runtime.video.VideoReader`.

    Args:
        folder: its images are the frames, in the order of their names.
        fps: frames per second, which images do not say.
        read: decodes an image.

    Attributes:
        fps: as given.
        seconds: time of the frame that was read last, from the first one on.

    Raises:
        DataError: the folder has no image.
    """

    def __init__(self, folder: Path, fps: float, read: Callable[[Path], np.ndarray]) -> None:
        self.fps = fps
        self.seconds = 0.0
        self._read = read
        self._images = list_frames(folder)
        if not self._images:
            raise DataError(f"the folder {folder} has no image", remedy="name the folder that holds the frames")

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames as the decoder gives them, [H, W, channels].

        Raises:
            DataError: an image cannot be read, or is of another size than the first.
        """
        size = None
        for index, path in enumerate(self._images):
            frame = self._read(path)
            size = size or frame.shape[:2]
            if frame.shape[:2] != size:
                height, width = frame.shape[:2]
                raise DataError(
                    f"{path} is {height}x{width} (height x width), the frames before it are {size[0]}x{size[1]}",
                    remedy="keep the frames of one video in a folder of their own",
                )
            self.seconds = index / self.fps
            yield frame

    def check_complete(self) -> None:
        """A folder does not say how many frames belong to it, so none is missing."""

    def __enter__(self) -> FolderReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to close: an image is open while it is read."""
