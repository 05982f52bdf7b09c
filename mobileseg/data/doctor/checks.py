"""The checks: from what was read to findings with files and a fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mobileseg.data.doctor.scan import EXAMPLES, LabelSummary, Size, Summary
from mobileseg.data.sample import Sample
from mobileseg.errors import MobileSegError

RARE = 0.001
MOSTLY_IGNORED = 0.9
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
    "image-unreadable": ("error", "images cannot be decoded", "convert them to JPEG or PNG, or take them out"),
    "label-missing": ("error", "labels do not exist", "check dataset_root, the paths in the list and its separator"),
    "label-truncated": ("error", "labels end early", "copy or write them again, or take them out of the list"),
    "label-unreadable": ("error", "labels cannot be decoded", "write them again as 8-bit PNG"),
    "label-colour": (
        "error",
        "labels are colour pictures (RGB), not class indices",
        "write one class index per pixel as 8-bit single-channel (or palette) PNG",
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
        "rotate the labels like the pictures are displayed, or remove the EXIF tag if the stored pixels are upright",
    ),
    "exif-unsure": (
        "warning",
        "images are turned or mirrored by EXIF in a way the label's size does not show",
        "look at some of them: the label must fit the picture as it is displayed",
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


def label_findings(summary: LabelSummary) -> Iterator[Finding]:
    """What is wrong with the values of the labels."""
    if summary.wrong:
        values = ", ".join(
            f"{value}{_mapped(summary, value)} ({summary.stored[value]} pixels, files: {found.count})"
            for value, found in sorted(summary.wrong.items())[:8]
        )
        more = f" and {len(summary.wrong) - 8} more values" if len(summary.wrong) > 8 else ""
        yield Finding(
            "error",
            "label-range",
            f"labels have values outside the {summary.dataset.num_classes} classes: {values}{more}",
            tuple(summary.wrong_files.files),
            summary.wrong_files.count,
            _range_fix(summary),
            summary.name,
        )
    if is_binary_255(summary.stored, summary.dataset.lookup, summary.dataset.ignore_index, summary.dataset.num_classes):
        yield Finding(
            "error",
            "label-binary",
            "all labels consist of 0 and 255 only, and 255 is ignore_index: no pixel of a second class would count",
            tuple(str(item.label) for item in summary.dataset.items[:EXAMPLES]),
            summary.scanned,
            "did you mean class 1? write 'label_map: {0: 0, 255: 1}' into the dataset section",
            summary.name,
        )
        return
    everything = summary.ignored + int(summary.pixels.sum())
    if everything and summary.ignored > MOSTLY_IGNORED * everything:
        yield Finding(
            "warning",
            "ignore-share",
            f"{100 * summary.ignored / everything:.1f} % of all pixels are ignored ({summary.dataset.ignore_index})",
            fix="check ignore_index and label_map",
            split=summary.name,
        )
    if summary.all_ignored.count:
        yield Finding(
            "warning",
            "all-ignored",
            f"labels have no pixel that counts: {summary.all_ignored.count} of {summary.scanned}",
            tuple(summary.all_ignored.files),
            summary.all_ignored.count,
            "take these images out of the list",
            summary.name,
        )


def is_binary_255(stored: np.ndarray, lookup: np.ndarray | None, ignore_index: int, num_classes: int) -> bool:
    """Whether stored label values (int64 [256] pixel counts) are 0 and 255 alone while 255 would be ignored."""
    mapped = 255 if lookup is None else int(lookup[255])
    return bool(num_classes > 1 and mapped == ignore_index and stored[255] and not stored[1:255].any())


def _mapped(summary: LabelSummary, value: int) -> str:
    lookup = summary.dataset.lookup
    return "" if lookup is None or lookup[value] == value else f" -> {lookup[value]} by label_map"


def _range_fix(summary: LabelSummary) -> str:
    dataset = summary.dataset
    values = [int(value) for value in np.flatnonzero(summary.stored) if value != dataset.ignore_index]
    if dataset.lookup is None and len(values) <= dataset.num_classes:
        pairs = ", ".join(f"{value}: {index}" for index, value in enumerate(values))
        return f"if these are the classes in order, write 'label_map: {{{pairs}}}'"
    largest = max(summary.wrong)
    if dataset.lookup is None and largest < 254 and len(summary.wrong) == largest - dataset.num_classes + 1:
        return f"num_classes: {largest + 1}, or map the values with label_map, for example {{{largest}: 255}} to ignore"
    return f"map them with label_map, for example {{{largest}: {dataset.ignore_index}}} to ignore one"


def class_findings(summaries: Mapping[str, Summary]) -> Iterator[Finding]:
    """Classes of labels that are absent or rare."""
    for summary in summaries.values():
        if not isinstance(summary, LabelSummary):
            continue
        counted = int(summary.pixels.sum())
        names = summary.dataset.classes
        absent = [names[index] for index in np.flatnonzero(summary.pixels == 0)]
        if counted and absent:
            consequence = "cannot be learnt" if summary.name != "val" else "have no IoU"
            yield Finding(
                "warning",
                "class-absent",
                f"{len(absent)} of {len(names)} classes do not occur and {consequence}: {', '.join(absent[:20])}",
                fix="add images of these classes, or merge them with label_map",
                split=summary.name,
            )
        rare = [names[index] for index in np.flatnonzero((summary.pixels > 0) & (summary.pixels < RARE * counted))]
        if rare:
            yield Finding(
                "info",
                "class-rare",
                f"classes with less than {100 * RARE:.1f} % of the pixels: {', '.join(rare[:20])}",
                fix="use class weights or OHEM, and larger crops if they are small objects",
                split=summary.name,
            )


def _labelled(summary: Summary, size: Size) -> Sample:
    label = None if summary.dataset.evaluates else np.zeros(size, np.uint8)
    return Sample(np.full((*size, 3), 127, np.float32), label, {"geometry": []})


def size_findings(
    summary: Summary, batch_size: int, dummy: Callable[[Size], Sample] | None = None
) -> Iterator[Finding]:
    """Whether the transforms run on the sizes that occur, and give one size for a batch.

    Args:
        summary: of the images.
        batch_size: images per batch.
        dummy: makes a sample of a size; None makes one with a label.
    """
    outputs = set()
    sizes = sorted(summary.sizes, key=lambda size: size[0] * size[1])  # the smallest and the largest are tried
    tried = np.unique(np.linspace(0, len(sizes) - 1, min(len(sizes), _TRIED_SIZES)).round().astype(int))
    for size in (sizes[index] for index in tried):
        for draw in range(_DRAWS):
            sample = dummy(size) if dummy is not None else _labelled(summary, size)
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
