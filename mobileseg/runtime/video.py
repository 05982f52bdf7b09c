"""Video files and cameras frame by frame: memory does not grow with the length."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from mobileseg.errors import DataError, DependencyError

_DEFAULT_FPS = 25.0
_MAX_FPS = 240.0  # containers without a frame rate report nonsense such as 90000


class VideoReader:
    """Frames of a video file or a camera; a context manager.

    Args:
        where: path of a file, or the number of a camera.

    Attributes:
        fps: frames per second; 25 when the source does not say.
        size: (height, width) of the frames as shown (rotation in the file's metadata is applied).

    Raises:
        DataError: the source cannot be opened or decoded.
    """

    def __init__(self, where: str | os.PathLike[str] | int) -> None:
        self._what = f"camera {where}" if isinstance(where, int) else f"the video {os.fspath(where)}"
        if not isinstance(where, int) and not Path(where).is_file():
            raise DataError(f"{self._what} does not exist")
        self._capture = cv2.VideoCapture(where if isinstance(where, int) else os.fspath(where))
        self._first: np.ndarray | None = self._capture.read()[1] if self._capture.isOpened() else None
        if self._first is None:
            self._capture.release()
            raise DataError(
                f"{self._what} cannot be opened" if isinstance(where, int) else f"{self._what} cannot be decoded",
                remedy="check that no other program uses the camera and that you may read it"
                if isinstance(where, int)
                else "check that it plays elsewhere; convert it to H.264 in an .mp4 file",
            )
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps <= _MAX_FPS else _DEFAULT_FPS
        self.size: tuple[int, int] = self._first.shape[:2]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames from the present position to the end, uint8 [H, W, 3] RGB."""
        frame, self._first = self._first, None
        while True:
            if frame is None:
                read, frame = self._capture.read()
                if not read:
                    return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            frame = None

    def close(self) -> None:
        """Release the file or the camera."""
        self._capture.release()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class VideoWriter:
    """Writes an ``.mp4`` (MPEG-4) that appears under its name when it is complete; a context manager.

    Left by an error the file is removed; left by Ctrl-C it is finished, because what was recorded until then is
    what a camera user wants.

    Args:
        path: file to write.
        fps: frames per second.

    Raises:
        DataError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], fps: float) -> None:
        self.path = Path(path)
        self.fps = fps
        self.frames = 0
        self._partial = self.path.with_name(f".{self.path.stem}.partial{self.path.suffix}")
        self._writer: cv2.VideoWriter | None = None
        self._size: tuple[int, int] = (0, 0)

    def write(self, frame: np.ndarray) -> None:
        """Append a frame, uint8 [H, W, 3] RGB; all frames have the size of the first.

        An odd last row or column is left out, the codec stores pairs.
        """
        size = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
        if self._writer is None:
            self._open(size)
        if size != self._size:
            raise DataError(f"{self.path}: a frame is {frame.shape[0]}x{frame.shape[1]}, the first was another size")
        assert self._writer is not None
        self._writer.write(cv2.cvtColor(frame[: size[0], : size[1]], cv2.COLOR_RGB2BGR))
        self.frames += 1

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        # OpenCV says nothing when a write fails; on a full disk the file cannot be opened or lacks frames.
        check = cv2.VideoCapture(str(self._partial))
        stored = int(check.get(cv2.CAP_PROP_FRAME_COUNT)) if check.isOpened() else 0
        check.release()
        if stored != self.frames:
            self._partial.unlink(missing_ok=True)
            raise DataError(
                f"cannot write {self.path}: {stored} of {self.frames} frames are stored",
                remedy="check the space on the disk",
            )
        os.replace(self._partial, self.path)

    def _open(self, size: tuple[int, int]) -> None:
        if 0 in size:
            raise DataError(f"{self.path}: a frame of {size[0]}x{size[1]} pixels cannot be stored in a video")
        self._size = size
        writer = cv2.VideoWriter(str(self._partial), cv2.VideoWriter_fourcc(*"mp4v"), self.fps, (size[1], size[0]))
        if not writer.isOpened():
            raise DataError(f"cannot write {self.path}", remedy="check that the folder exists and may be written")
        self._writer = writer

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close()
        elif self._writer is not None:
            self._writer.release()
            self._writer = None
            self._partial.unlink(missing_ok=True)


class Window:
    """Shows frames on the screen; a context manager.

    Args:
        title: of the window.

    Raises:
        DependencyError: there is no screen, or OpenCV was built without windows.
    """

    def __init__(self, title: str = "mobileseg") -> None:
        self.title = title
        # OpenCV's own check ends the whole process.
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise DependencyError(
                "there is no screen to show a window on", remedy="write the times into the video with --times"
            )
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as error:
            raise DependencyError(
                "the installed OpenCV cannot show windows", remedy="pip install opencv-python==4.6.0.66"
            ) from error

    def show(self, frame: np.ndarray) -> bool:
        """Show a frame, uint8 [H, W, 3] RGB; False when the user pressed q or Escape, or closed the window."""
        cv2.imshow(self.title, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        return key not in (ord("q"), 27) and cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Take the window away."""
        cv2.destroyWindow(self.title)

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
