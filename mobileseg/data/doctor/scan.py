"""Reading a dataset once, file by file, and keeping only what the checks need."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mobileseg.data.io import FileError, decode_label, label_colours, orientation, read_bytes
from mobileseg.data.items import Item
from mobileseg.data.pixel_format import PHOTOGRAPH, PixelFormat
from mobileseg.pixels import resize

EXAMPLES = 5
_THUMBNAIL = 16
Size = tuple[int, int]


@dataclass
class Facts:
    """What one image and its label are like.

    Attributes:
        item: the two paths.
        problems: (code, detail) of everything that is wrong with these two files.
        size: (height, width) of the image as it is displayed; None when it cannot be read.
        turn: EXIF orientation, 1 = as stored.
        stored: int64 [256], pixels per stored label value; None when there is no usable label.
        colours: colour in the label's palette of every value that occurs; {} without a palette.
        digest: hash of the bytes of the image file.
        thumbnail: float32 [256], grey, zero mean and unit length; zeros for a flat image.
    """

    item: Item
    problems: list[tuple[str, str]] = field(default_factory=list)
    size: Size | None = None
    turn: int = 1
    stored: np.ndarray | None = None
    colours: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    digest: bytes = b""
    thumbnail: np.ndarray | None = None


def examine_item(item: Item, pixels: PixelFormat = PHOTOGRAPH) -> Facts:
    """Decode an image and its label and write down what is wrong with them; never raises for bad files."""
    facts = Facts(item)
    stored_size: Size | None = None
    try:
        data = read_bytes(item.image, "image")
        facts.digest = hashlib.blake2b(data, digest_size=16).digest()
        image = pixels.decode(data, item.image)
        facts.size = (int(image.shape[0]), int(image.shape[1]))
        facts.turn = orientation(data)
        stored_size = facts.size[::-1] if facts.turn > 4 else facts.size
        facts.thumbnail = thumbnail(pixels.shown(image))
    except FileError as error:
        facts.problems.append((f"image-{error.code}", error.message))
    if item.label is None:
        return facts
    try:
        data = read_bytes(item.label, "label")
        label = decode_label(data, item.label)
    except FileError as error:
        facts.problems.append((f"label-{error.code}", error.message))
        return facts
    if data.startswith(b"\xff\xd8"):
        facts.problems.append(("label-lossy", f"{item.label} is a JPEG file"))
    facts.stored = np.bincount(label.ravel(), minlength=256)
    facts.colours = label_colours(data, np.flatnonzero(facts.stored))
    shape = (int(label.shape[0]), int(label.shape[1]))
    if facts.size is not None and shape != facts.size:
        sizes = f"label {shape[1]}x{shape[0]}, image {facts.size[1]}x{facts.size[0]}: {item.label}"
        facts.problems.append(("exif-mask" if shape == stored_size else "size-mismatch", sizes))
    elif facts.turn != 1 and stored_size == facts.size:
        facts.problems.append(("exif-unsure", f"{item.image} has EXIF orientation {facts.turn}"))
    return facts


def thumbnail(image: np.ndarray) -> np.ndarray:
    """float32 [256]: 16x16 grey means of uint8 [H, W, 3], zero mean, unit length (all zero for a flat image)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = resize(grey, (_THUMBNAIL, _THUMBNAIL), cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    length = float(np.linalg.norm(small))
    # Below two grey levels of contrast, noise decides what looks alike.
    return small / length if length > 2 * _THUMBNAIL else np.zeros_like(small)


@dataclass
class Examples:
    """How often something was found, with the first few files."""

    count: int = 0
    files: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def add(self, file: str | Path, detail: str = "") -> None:
        """Count one more file."""
        self.count += 1
        if len(self.files) < EXAMPLES:
            self.files.append(str(file))
            self.details.append(detail)


class Summary:
    """The facts about the images of a whole split, added up; memory grows by about 1.5 kB per image.

    ``reads_labels`` says whether the label of an item is an image that is read with the image.

    Attributes:
        name: 'train', 'val', ...
        dataset: what was read.
        total: images of the split.
        scanned: images read.
        sizes: number of images per (height, width).
        problems: examples per code of :class:`Facts`.
        turned: images with an EXIF rotation.
    """

    reads_labels = False

    def __init__(self, name: str, dataset: Any) -> None:
        self.name = name
        self.dataset = dataset
        self.total = len(dataset)
        self.scanned = 0
        self.sizes: Counter[Size] = Counter()
        self.problems: dict[str, Examples] = {}
        self.turned = Examples()
        self.digests: dict[bytes, list[str]] = {}
        self.thumbnails: list[np.ndarray] = []
        self.thumbnail_files: list[str] = []

    def add(self, facts: Facts) -> None:
        """Take in one image."""
        self.scanned += 1
        image = str(facts.item.image)
        for code, detail in facts.problems:
            self.problems.setdefault(code, Examples()).add(
                facts.item.label if code.startswith("label") and facts.item.label else image, detail
            )
        if facts.digest:
            self.digests.setdefault(facts.digest, []).append(image)
        if facts.size is not None:
            self.sizes[facts.size] += 1
        if facts.turn != 1:
            self.turned.add(image)
        if facts.thumbnail is not None:
            self.thumbnails.append(facts.thumbnail)
            self.thumbnail_files.append(image)

    def finish(self) -> None:
        """All images were taken in."""


def scan(
    summary: Summary,
    *,
    limit: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Read the dataset of a summary and let the summary take in what is found.

    Args:
        summary: of the split, empty; it is returned.
        limit: read only so many images, evenly spaced.
        workers: threads; decoding runs outside Python's lock.
        progress: called with (images read, images to read).
    """
    items = summary.dataset.items
    if limit is not None and 0 < limit < len(items):
        items = [items[index] for index in np.linspace(0, len(items) - 1, limit).round().astype(int)]
    if not summary.reads_labels:
        items = [Item(item.image, None) for item in items]
    for done, facts in enumerate(_examine_all(items, workers, summary.dataset.pixels), 1):
        summary.add(facts)
        if progress is not None:
            progress(done, len(items))
    summary.finish()
    return summary


def _examine_all(items: list[Item], workers: int, pixels: PixelFormat) -> Iterator[Facts]:
    examine = partial(examine_item, pixels=pixels)
    if workers <= 1:
        yield from map(examine, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(items), 64):  # bounded, so that facts do not pile up
            yield from pool.map(examine, items[start : start + 64])
