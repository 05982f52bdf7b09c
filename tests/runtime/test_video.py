import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobileseg.errors import DataError, DependencyError
from mobileseg.runtime.video import VideoReader, VideoWriter, Window

ROOT = Path(__file__).parents[2]


def write(path: Path, count: int, size: tuple[int, int] = (48, 64), fps: float = 10.0) -> None:
    """A clip whose frames are red, then green, then blue, and so on."""
    with VideoWriter(path, fps) as writer:
        for index in range(count):
            frame = np.zeros((*size, 3), np.uint8)
            frame[..., index % 3] = 220
            writer.write(frame)


def record(path: Path, *frames: np.ndarray | BaseException) -> None:
    """Write frames; an exception among them is raised at its place."""
    with VideoWriter(path, 10) as writer:
        for frame in frames:
            if isinstance(frame, BaseException):
                raise frame
            writer.write(frame)


BLACK = np.zeros((32, 32, 3), np.uint8)


def test_frames_come_back_in_order_and_in_rgb(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4", 7)
    with VideoReader(tmp_path / "clip.mp4") as reader:
        assert reader.size == (48, 64)
        assert reader.fps == pytest.approx(10, abs=0.1)
        frames = list(reader)
    assert [int(frame.reshape(-1, 3).mean(0).argmax()) for frame in frames] == [0, 1, 2, 0, 1, 2, 0]
    assert all(frame.dtype == np.uint8 and frame.shape == (48, 64, 3) for frame in frames)


def test_odd_sizes_lose_a_row_and_a_column(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4", 2, size=(49, 65))
    with VideoReader(tmp_path / "clip.mp4") as reader:
        assert reader.size == (48, 64)


def test_a_file_appears_under_its_name_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, 10) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
        assert not path.exists()
    assert path.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_no_remains(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="in the middle"):
        record(path, BLACK, RuntimeError("in the middle"))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_ctrl_c_finishes_the_recording(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        record(tmp_path / "clip.mp4", BLACK, BLACK, BLACK, KeyboardInterrupt())
    with VideoReader(tmp_path / "clip.mp4") as reader:
        assert len(list(reader)) == 3


def test_frames_must_have_one_size(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="frame is 16x16"):
        record(tmp_path / "clip.mp4", BLACK, BLACK[:16, :16])


def test_unreadable_sources_and_targets_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.mp4 does not exist"):
        VideoReader(tmp_path / "nothing.mp4")
    (tmp_path / "text.mp4").write_text("this is no video")
    with pytest.raises(DataError, match=r"text\.mp4 cannot be decoded"):
        VideoReader(tmp_path / "text.mp4")
    with pytest.raises(DataError, match="camera 77 cannot be opened"):
        VideoReader(77)
    with pytest.raises(DataError, match="cannot write"):
        record(tmp_path / "no" / "folder" / "clip.mp4", BLACK)


FULL_DISK = """
import resource, signal, sys
import numpy as np
from mobileseg.errors import DataError
from mobileseg.runtime.video import VideoWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
rng = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1], 10) as writer:
        for _ in range(20):
            writer.write(rng.integers(0, 256, (128, 128, 3), dtype=np.uint8))
except DataError as error:
    print(error)
"""


def test_a_disk_that_fills_up_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files acts like a full disk."""
    path = tmp_path / "clip.mp4"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert f"cannot write {path}" in done.stdout
    assert "space on the disk" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_real_clips_are_read(photos: Path) -> None:
    clip = next((photos / "video").glob("*.mp4"))
    with VideoReader(clip) as reader:
        frame = next(iter(reader))
        assert frame.shape[:2] == reader.size
        assert frame.std() > 5


def test_without_a_screen_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(DependencyError, match="no screen") as caught:
        Window()
    assert "--times" in caught.value.remedy


@pytest.mark.parametrize(("key", "visible", "goes_on"), [(255, 1.0, True), (ord("q"), 1.0, False), (255, 0.0, False)])
def test_a_window_ends_at_q_or_when_it_is_closed(monkeypatch, key: int, visible: float, goes_on: bool) -> None:
    shown = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "namedWindow", lambda *arguments: None)
    monkeypatch.setattr(cv2, "imshow", lambda title, frame: shown.append(frame))
    monkeypatch.setattr(cv2, "waitKey", lambda delay: key)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *arguments: visible)
    monkeypatch.setattr(cv2, "destroyWindow", lambda title: shown.append("closed"))
    red = np.zeros((4, 6, 3), np.uint8)
    red[..., 0] = 255
    with Window() as window:
        assert window.show(red) is goes_on
    assert shown[0][0, 0].tolist() == [0, 0, 255], "OpenCV shows BGR"
    assert shown[1] == "closed"
