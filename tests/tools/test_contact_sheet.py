"""tools/contact_sheet.py on frames and on a video."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

_spec = importlib.util.spec_from_file_location("contact_sheet", Path(__file__).parents[2] / "tools/contact_sheet.py")
contact_sheet = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(contact_sheet)
main, sheet = contact_sheet.main, contact_sheet.sheet


def test_frames_are_evenly_spaced_in_reading_order():
    frames = [np.full((30, 40, 3), value, np.uint8) for value in range(0, 110, 10)]
    found = sheet(frames, rows=2, columns=3, width=20)
    assert found.shape == (30, 60, 3)
    assert found[::15, ::20, 0].tolist() == [[0, 20, 40], [60, 80, 100]]


def test_a_short_clip():
    found = sheet([np.zeros((3, 7, 3), np.uint8)], rows=1, columns=2, width=1)
    assert found.shape == (1, 2, 3)


def test_a_video_becomes_an_image(tmp_path, capsys):
    clip = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(clip, cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for value in (10, 90, 170, 250):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    assert main([clip, str(tmp_path / "out" / "sheet.png"), "--rows", "1", "--columns", "4", "--width", "32"]) == 0
    found = cv2.imread(str(tmp_path / "out" / "sheet.png"))
    assert found.shape == (24, 128, 3)
    np.testing.assert_allclose(found[12, 16::32, 0], [10, 90, 170, 250], atol=3)
    assert main([str(tmp_path / "none.mp4"), str(tmp_path / "x.png")]) != 0
    assert "does not exist" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([clip, "x.png", "--rows", "0"])
