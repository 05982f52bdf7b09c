"""Video files and cameras frame by frame: memory does not grow with the length."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

import cv2
import numpy as np

from mobileseg.errors import DataError, DependencyError

DEFAULT_FPS = 25.0
"""Frames per second of a source that does not say."""

_USUAL_FPS = 240.0
"""Above it a stored rate is believed only when the frames come at it: containers without one report 1000 or 90000."""

_PROBED = 8  # frames whose times tell the rate


class FrameReader(Protocol):
    """Frames one after the other, whatever they are read from; a context manager."""

    fps: float
    """Frames per second."""

    seconds: float
    """Time of the frame that was read last, from the first one on."""

    def __iter__(self) -> Iterator[np.ndarray]: ...

    def check_complete(self) -> None:
        """Raise a DataError when frames that should have come did not; call it when they have ended."""

    def __enter__(self) -> FrameReader: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class VideoReader:
    """Frames of a video file or a camera; a context manager.

    Args:
        where: path of a file, or the number of a camera.

    Attributes:
        fps: frames per second, in the mean; 25 when the source does not say.
        size: (height, width) of the frames as shown (rotation in the file's metadata is applied).
        frames: frames read so far.
        stored: frames that the container says it has, 0 when it does not say.
        seconds: time of the frame that was read last, from the first one on: the container's own, which need not be
            evenly spaced; of a camera that of the clock.

    Raises:
        DataError: the source cannot be opened or decoded.
    """

    def __init__(self, where: str | os.PathLike[str] | int) -> None:
        self._camera = isinstance(where, int)
        self._what = f"camera {where}" if isinstance(where, int) else f"the video {os.fspath(where)}"
        if not isinstance(where, int) and not Path(where).is_file():
            seen = "is no regular file" if Path(where).exists() else "does not exist"
            raise DataError(f"{self._what} {seen}")
        self._capture = cv2.VideoCapture(where if isinstance(where, int) else os.fspath(where))
        self._first: np.ndarray | None = self._capture.read()[1] if self._capture.isOpened() else None
        if self._first is None:
            self._capture.release()
            raise DataError(
                f"{self._what} cannot be opened" if self._camera else f"{self._what} cannot be decoded",
                remedy="check that no other program uses the camera and that you may read it"
                if self._camera
                else "check that it plays elsewhere; convert it to H.264 in an .mp4 file",
            )
        self.fps = self._rate(where)
        self.size: tuple[int, int] = self._first.shape[:2]
        self.frames = 0
        self.stored = 0 if self._camera else max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.seconds = 0.0
        self._start = self._now()

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames from the present position to the end, uint8 [H, W, 3] RGB."""
        frame, self._first = self._first, None
        while True:
            if frame is None:
                read, frame = self._capture.read()
                if not read:
                    return
            moment = self._now() - self._start
            # A container without times gives the same one again and again.
            self.seconds = moment if moment > self.seconds or self.frames == 0 else self.seconds + 1.0 / self.fps
            self.frames += 1
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            frame = None

    def check_complete(self) -> None:
        """Compare what was read with what the container says; call it when the frames have ended.

        The count of some containers is an estimate from rate and duration, so a file counts as cut when both frames
        and time are missing, more than one frame and more than 2 %.

        Raises:
            DataError: the file ends early.
        """
        least = self.stored - max(1, round(0.02 * self.stored))
        spacing = self.seconds / (self.frames - 1) if self.frames > 1 else 1.0 / self.fps
        if self.frames < least and (self.seconds + spacing) * self.fps < 0.98 * self.stored:
            raise DataError(
                f"{self._what} ends early: {self.frames} of {self.stored} frames could be read",
                remedy="copy or download the file again",
            )

    def _now(self) -> float:
        """Seconds of the frame that was decoded last."""
        return time.monotonic() if self._camera else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0

    def _rate(self, where: str | os.PathLike[str] | int) -> float:
        stored = float(self._capture.get(cv2.CAP_PROP_FPS))
        if 0 < stored <= _USUAL_FPS:
            return stored
        if isinstance(where, int) or not np.isfinite(stored) or stored <= 0:
            return DEFAULT_FPS
        probe = cv2.VideoCapture(os.fspath(where))
        times = [probe.get(cv2.CAP_PROP_POS_MSEC) / 1000.0 for _ in range(_PROBED) if probe.grab()]
        probe.release()
        spent = times[-1] - times[0] if times else 0.0
        measured = (len(times) - 1) / spent if spent > 0 else 0.0
        if 0.5 * stored <= measured <= 2 * stored:
            return stored
        return measured if 0 < measured <= _USUAL_FPS else DEFAULT_FPS

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
