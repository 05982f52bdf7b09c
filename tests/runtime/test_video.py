import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobileseg.errors import DataError, DependencyError
from mobileseg.runtime.video import VideoReader, VideoWriter, Window
from tests.runtime.clips import write
from tests.runtime.mp4 import frame_ends, moov_first, set_times

pytestmark = pytest.mark.both

ROOT = Path(__file__).parents[2]


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


def noise(path: Path, count: int, fps: float = 10.0) -> None:
    """A clip whose frames take space."""
    rng = np.random.default_rng(0)
    with VideoWriter(path, fps) as writer:
        for _ in range(count):
            writer.write(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))


def read_all(path: Path) -> tuple[list[float], VideoReader]:
    with VideoReader(path) as reader:
        return [reader.seconds for _ in reader], reader


def test_a_whole_file_is_complete(tmp_path: Path) -> None:
    noise(tmp_path / "clip.mp4", 10)
    for _ in range(2):
        seconds, reader = read_all(tmp_path / "clip.mp4")
        assert (reader.frames, reader.stored) == (10, 10)
        reader.check_complete()
        assert seconds == pytest.approx([index / 10 for index in range(10)])
        moov_first(tmp_path / "clip.mp4")


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_a_file_that_is_cut_is_said_to_end_early(tmp_path: Path, share: float) -> None:
    path = tmp_path / "clip.mp4"
    noise(path, 30)
    moov_first(path)
    whole = path.read_bytes()
    cut = int(share * len(whole))
    left = sum(end <= cut for end in frame_ends(path))
    path.write_bytes(whole[:cut])
    _, reader = read_all(path)
    assert reader.frames - left in (0, 1), "the decoder shows what there is of the frame that was cut"
    with pytest.raises(DataError, match=f"ends early: {reader.frames} of 30 frames could be read"):
        reader.check_complete()


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mkv", "mp4v"), (".webm", "VP80")])
def test_other_containers_are_checked_too(tmp_path: Path, suffix: str, codec: str) -> None:
    """AVI has a count of frames, Matroska has a duration, from which OpenCV makes one."""
    path = tmp_path / f"clip{suffix}"
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (64, 48))
    assert writer.isOpened()
    for _ in range(30):
        writer.write(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    writer.release()
    _, whole = read_all(path)
    whole.check_complete()
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    _, cut = read_all(path)
    with pytest.raises(DataError, match="ends early"):
        cut.check_complete()


def test_times_are_those_of_the_container(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    noise(path, 6)
    durations = [0.1, 0.5, 0.1, 1.0, 0.2, 0.1]
    set_times(path, durations)
    seconds, reader = read_all(path)
    assert seconds == pytest.approx([0.0, *np.cumsum(durations[:-1])], abs=1e-3)
    reader.check_complete()


class Capture:
    """What OpenCV gives of a file without times, or with a rate that is none."""

    def __init__(self, count: int, fps: float, stored: int, step: float = 0.0) -> None:
        self.count, self.fps, self.stored, self.step, self.read_so_far = count, fps, stored, step, 0

    def __call__(self, where: object) -> "Capture":
        return Capture(self.count, self.fps, self.stored, self.step)

    def isOpened(self) -> bool:
        return True

    def grab(self) -> bool:
        self.read_so_far += 1
        return self.read_so_far <= self.count

    def read(self) -> tuple[bool, np.ndarray | None]:
        return (True, BLACK) if self.grab() else (False, None)

    def get(self, what: int) -> float:
        known = {cv2.CAP_PROP_FPS: self.fps, cv2.CAP_PROP_FRAME_COUNT: self.stored}
        return known.get(what, (self.read_so_far - 1) * self.step * 1000)

    def release(self) -> None:
        pass


def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capture: Capture) -> tuple[list[float], VideoReader]:
    (tmp_path / "clip.webm").touch()
    monkeypatch.setattr(cv2, "VideoCapture", capture)
    return read_all(tmp_path / "clip.webm")


def test_without_times_the_frames_are_evenly_spaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, _ = opened(tmp_path, monkeypatch, Capture(4, 20.0, 4))
    assert seconds == pytest.approx([0.0, 0.05, 0.1, 0.15])


@pytest.mark.parametrize(
    ("stored", "spacing", "expected"),
    [
        (300.0, 1 / 300, 300.0),
        (960.0, 1 / 960, 960.0),
        (1000.0, 1 / 30, 30.0),  # a browser's recording: the unit of its times, not its rate
        (90000.0, 0.0, 25.0),
        (0.0, 0.04, 25.0),
        (float("nan"), 0.04, 25.0),
        (30.0, 1 / 10, 30.0),
    ],
)
def test_a_high_rate_is_believed_when_the_frames_come_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: float, spacing: float, expected: float
) -> None:
    _, reader = opened(tmp_path, monkeypatch, Capture(5, stored, 5, spacing))
    assert reader.fps == pytest.approx(expected)


def test_a_real_file_of_300_frames_per_second(tmp_path: Path) -> None:
    noise(tmp_path / "clip.mp4", 12, fps=300.0)
    seconds, reader = read_all(tmp_path / "clip.mp4")
    assert reader.fps == pytest.approx(300, abs=0.5)
    assert seconds[-1] == pytest.approx(11 / 300, abs=1e-3)


@pytest.mark.parametrize(
    ("frames", "stored", "step", "short"),
    [
        (99, 100, 0.1, False),  # one frame may be hidden by an edit list
        (60, 100, 0.1, True),
        (1, 3, 0.1, True),
        (30, 1000, 1 / 3, False),  # the count is an estimate from a rate that is not that of the frames
        (5, 0, 0.1, False),  # the container does not say
        (5, -7, 0.1, False),
    ],
)
def test_only_missing_frames_and_missing_time_make_a_file_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: int, stored: int, step: float, short: bool
) -> None:
    fps = 100.0 if stored == 1000 else 10.0
    _, reader = opened(tmp_path, monkeypatch, Capture(frames, fps, stored, step))
    if short:
        with pytest.raises(DataError, match=f"{frames} of {stored} frames"):
            reader.check_complete()
    else:
        reader.check_complete()
