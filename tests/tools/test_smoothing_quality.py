"""Scores of smoothed labels over the videos of a list."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tools.smoothing_quality import quality, videos


class Model:
    """Finds what is bright; unsmoothed it is wrong about the left half of every second frame."""

    manifest = SimpleNamespace(classes=("dark", "bright"))

    def stream(self, smooth=None):
        self.smooth, self.count = smooth, 0
        return self

    def step(self, image):
        labels = (image[..., 0] > 127).astype(np.uint8)
        self.count += 1
        if not self.smooth and self.count % 2 == 0:
            labels[:, :32] = 1 - labels[:, :32]
        return SimpleNamespace(labels=labels)


@pytest.fixture
def listed(tmp_path):
    rng = np.random.default_rng(0)
    bright = np.kron(rng.integers(0, 2, (8, 8)), np.ones((8, 8))).astype(np.uint8)
    lines = []
    for name in ("a/0", "a/1", "a/2", "b/0", "b/1"):
        for folder, pixels in (("images", np.stack([255 * bright] * 3, axis=2)), ("labels", bright)):
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
        lines.append(f"images/{name}.png labels/{name}.png")
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n\n")
    return tmp_path


def test_frames_of_a_folder_are_a_video(listed):
    found = list(videos(listed / "list.txt", listed))
    assert [len(frames) for frames in found] == [3, 2]
    assert found[1][1] == (listed / "images/b/1.png", listed / "labels/b/1.png")


def test_scores(listed):
    clips = list(videos(listed / "list.txt", listed))
    smoothed = quality(Model(), clips, 0.5, 255)
    assert smoothed == (1.0, 0.0)
    plain = quality(Model(), clips, 0.0, 255)
    # Two of five frames are wrong in half of their pixels, which all change from each frame of a video to the next.
    right, wrong = 0.8, 0.2
    assert plain.miou == pytest.approx(right / (right + 2 * wrong), abs=0.02)
    assert plain.flicker == pytest.approx(0.5, abs=0.02)
