"""The checks: from what was read to findings with files and a fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mobileseg.data.doctor.scan import Size, Summary
from mobileseg.data.sample import Sample
from mobileseg.errors import MobileSegError

_DRAWS = 4
_TRIED_SIZES = 6


@dataclass(frozen=True)
class Finding:
    """One thing the doctor noticed.

    Attributes:
        level: 'error' (training must not start), 'warning' or 'info'.
        code: short stable name, listed in docs/doctor.md.
        message: what was found.
        files: up to five examples.
        count: number of files concerned, 0 when it is not about files.
        fix: the smallest remedy.
        split: 'train', 'val', ... or '' when it is about several.
    """

    level: str
    code: str
    message: str
    files: tuple[str, ...] = ()
    count: int = 0
    fix: str = ""
    split: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "files": list(self.files)}


# code: (level, what it means for the files, fix)
_FILE_PROBLEMS: dict[str, tuple[str, str, str]] = {
    "image-missing": ("error", "images do not exist", "check dataset_root and the paths in the list"),
    "image-truncated": ("error", "images end early", "copy or download them again, or take them out of the list"),
    "image-size": ("error", "images are too large", "cut them into tiles, or take them out"),
    "image-depth": (
        "error",
        "images have values of 32 bits, of which neither black nor white is known, or values beyond img_range",
        "scale them to 8 or 16 bits and store them as PNG, or write the range that all of them lie in",
    ),
    "image-channels": ("error", "images have other channels than img_channels", "write how many all of them have"),
    "label-size": ("error", "labels are too large", "cut images and labels into tiles, or take them out"),
    "image-unreadable": ("error", "images cannot be decoded", "convert them to JPEG or PNG, or take them out"),
    "label-missing": ("error", "labels do not exist", "check dataset_root, the paths in the list and its separator"),
    "label-truncated": ("error", "labels end early", "copy or write them again, or take them out of the list"),
    "label-unreadable": ("error", "labels cannot be decoded", "write them again as 8-bit PNG"),
    "label-colour": (
        "error",
        "labels are colour images (RGB), not class indices",
        "`mobileseg convert masks` makes index masks of them",
    ),
    "label-depth": ("error", "labels have values that do not fit 8 bits", "write class indices 0..254, 255 = ignore"),
    "label-lossy": (
        "warning",
        "labels are JPEG files; compression changes the values at the borders",
        "make them again as PNG from the annotation",
    ),
    "size-mismatch": (
        "error",
        "labels have another size than their image",
        "export the labels in the size of the images (nearest neighbour, if they must be resized)",
    ),
    "exif-mask": (
        "error",
        "images are rotated by EXIF but their labels are not",
        "rotate the labels like the images are displayed, or remove the EXIF tag if the stored pixels are upright",
    ),
    "exif-unsure": (
        "warning",
        "images are turned or mirrored by EXIF in a way that the size of what is annotated does not show",
        "look at some of them: label or masks must fit the image as it is displayed",
    ),
}


def file_findings(summary: Summary) -> Iterator[Finding]:
    """What is wrong with single files."""
    for code, (level, text, fix) in _FILE_PROBLEMS.items():
        found = summary.problems.get(code)
        if found is not None:
            message = f"{text}: {found.count} of {summary.scanned}; for example: {found.details[0]}"
            yield Finding(level, code, message, tuple(found.files), found.count, fix, summary.name)
    if summary.turned.count:
        yield Finding(
            "info",
            "exif-turned",
            f"images carry an EXIF orientation and are turned when they are read: {summary.turned.count} of "
            f"{summary.scanned}",
            tuple(summary.turned.files),
            summary.turned.count,
            "nothing to do here; other programs may ignore the tag",
            summary.name,
        )


def size_findings(summary: Summary, batch_size: int, dummy: Callable[[Size], Sample]) -> Iterator[Finding]:
    """Whether the transforms run on the sizes that occur, and give one size for a batch.

    Args:
        summary: of the images.
        batch_size: images per batch.
        dummy: makes a sample of a size, with a truth for the transforms to move.
    """
    outputs = set()
    sizes = sorted(summary.sizes, key=lambda size: size[0] * size[1])  # the smallest and the largest are tried
    tried = np.unique(np.linspace(0, len(sizes) - 1, min(len(sizes), _TRIED_SIZES)).round().astype(int))
    for size in (sizes[index] for index in tried):
        for draw in range(_DRAWS):
            sample = dummy(size)
            try:
                rng = np.random.default_rng([draw, *size])
                for transform in summary.dataset.transforms:
                    sample = transform(sample, rng)
            except Exception as error:  # a plugin may raise anything; training would die of it
                reason = error.message if isinstance(error, MobileSegError) else f"{type(error).__name__}: {error}"
                fix = (error.remedy or "") if isinstance(error, MobileSegError) else "change the transform's arguments"
                message = f"the transforms fail for images of {size[1]}x{size[0]} (width x height): {reason}"
                yield Finding("error", "transform-fails", message, fix=fix, split=summary.name)
                return
            outputs.add(sample.size)
    if summary.dataset.evaluates or len(outputs) < 2 or batch_size < 2:
        return
    shown = ", ".join(f"{width}x{height}" for height, width in sorted(outputs)[:4])
    yield Finding(
        "error",
        "sizes-differ",
        f"the transforms give images of different sizes (width x height: {shown}, ...), "
        f"which cannot form a batch of {batch_size}",
        fix="end the transforms with RandomPaddingCrop or Resize, or use batch_size: 1",
        split=summary.name,
    )
