"""Small generated datasets."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Picture = np.ndarray


def smooth_image(rng: np.random.Generator, height: int, width: int) -> Picture:
    """uint8 [H, W, 3]: random colours in patches, so that JPEG keeps it recognisable."""
    coarse = rng.integers(0, 256, (height // 6 + 2, width // 6 + 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


class Folder:
    """A list-file dataset that tests fill and damage."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rng = np.random.default_rng(7)

    def add(self, name: str, label: np.ndarray | None = None, image: np.ndarray | None = None) -> tuple[Path, Path]:
        """Write one image and one label, 24x32 with classes 0..2 unless given."""
        if image is None:
            image = smooth_image(self.rng, 24, 32)
        if label is None:
            label = self.rng.integers(0, 3, (24, 32), dtype=np.uint8)
        image_path, label_path = self.root / f"{name}.png", self.root / f"{name}_label.png"
        image_path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(image_path)
        Image.fromarray(label).save(label_path)
        return image_path, label_path

    def list(self, name: str, stems: list[str], separator: str = " ") -> str:
        """Write a list file of images that were added."""
        lines = [f"{stem}.png{separator}{stem}_label.png" for stem in stems]
        (self.root / name).write_text("\n".join(lines) + "\n")
        return name

    def fill(self, name: str, count: int) -> str:
        """Add ``count`` images and list them."""
        stems = [f"{name.split('.')[0]}_{index}" for index in range(count)]
        for stem in stems:
            self.add(stem)
        return self.list(name, stems)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def picture() -> Callable[[int, int], Picture]:
    """Makes smooth random images of a given height and width."""
    rng = np.random.default_rng(3)
    return lambda height, width: smooth_image(rng, height, width)
