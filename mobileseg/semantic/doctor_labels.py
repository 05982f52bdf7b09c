"""What is added up about index masks, and the findings that follow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mobileseg.data.base import SegmentationDataset
from mobileseg.data.doctor.checks import Finding
from mobileseg.data.doctor.scan import EXAMPLES, Examples, Facts, Summary
from mobileseg.data.label_values import IGNORED, is_binary_255, range_remedy

RARE = 0.001
MOSTLY_IGNORED = 0.9
_MOST_COLOURS = 4096  # colours of palettes that are remembered

Colour = tuple[int, int, int]


class LabelSummary(Summary):
    """A split of images with index masks.

    Attributes:
        stored: int64 [256], pixels per stored label value.
        pixels: int64 [K], pixels per class.
        images_with: int64 [K], images in which the class occurs.
        counted_with: int64 [K], pixels that count (not ignored) of those images.
        ignored: pixels with ignore_index.
        labels: labels read.
        wrong: stored value outside the classes -> examples.
        wrong_files: labels with such values.
        all_ignored: labels without any pixel that counts.
        binary: labels of 0 and 255 alone while 255 is ignored.
        bordered: labels with a class above 0 and with 255.
        recoloured: colours that stand for several values, in palettes of different order.
    """

    reads_labels = True

    def __init__(self, name: str, dataset: SegmentationDataset) -> None:
        super().__init__(name, dataset)
        classes = dataset.num_classes
        self.stored = np.zeros(256, np.int64)
        self.pixels = np.zeros(classes, np.int64)
        self.images_with = np.zeros(classes, np.int64)
        self.counted_with = np.zeros(classes, np.int64)
        self.ignored = 0
        self.labels = 0
        self.wrong: dict[int, Examples] = {}
        self.wrong_files = Examples()
        self.all_ignored = Examples()
        self.binary = Examples()
        self.bordered = 0
        self.recoloured = Examples()
        self._value_of: dict[Colour, tuple[int, str]] = {}

    def add(self, facts: Facts) -> None:
        """Take in one image and its label."""
        super().add(facts)
        if facts.stored is not None and facts.item.label is not None:
            self.add_label(str(facts.item.label), facts.stored, facts.colours)

    def add_label(self, label: str, stored: np.ndarray, colours: dict[int, Colour]) -> None:
        """Take in a label alone: int64 [256] pixels per stored value, and the palette's colours of these values."""
        self.labels += 1
        self.stored += stored
        dataset = self.dataset
        table = np.arange(256) if dataset.lookup is None else dataset.lookup.astype(np.int64)
        mapped = np.bincount(table, weights=stored, minlength=256).astype(np.int64)
        ignored = int(mapped[dataset.ignore_index])
        mapped[dataset.ignore_index] = 0  # also when ignore_index is the number of a class
        per_class = mapped[: dataset.num_classes]
        self.ignored += ignored
        self.pixels += per_class
        self.images_with += per_class > 0
        self.counted_with += np.where(per_class > 0, per_class.sum(), 0)
        if not mapped.any():
            self.all_ignored.add(label)
        if is_binary_255(stored, dataset.lookup, dataset.ignore_index, dataset.num_classes):
            self.binary.add(label)
        self.bordered += bool(stored[IGNORED] and stored[1:IGNORED].any())
        outside = [
            value
            for value in np.flatnonzero(stored)
            if table[value] >= dataset.num_classes and table[value] != dataset.ignore_index
        ]
        for value in outside:
            self.wrong.setdefault(int(value), Examples()).add(label)
        if outside:
            self.wrong_files.add(label, ", ".join(f"{value}: {stored[value]} pixels" for value in outside[:8]))
        self._compare_colours(label, colours)

    def _compare_colours(self, label: str, colours: dict[int, Colour]) -> None:
        """A colour that has had another value in another file means that the palettes are in different order."""
        seen = list(colours.values())
        for value, colour in colours.items():
            if seen.count(colour) > 1:  # the palette is for decoration
                continue
            earlier, file = self._value_of.get(colour, (value, label))
            if earlier != value:
                self.recoloured.add(label, f"the colour {colour} is {earlier} in {file} and {value} in {label}")
                return
            if len(self._value_of) < _MOST_COLOURS:
                self._value_of.setdefault(colour, (value, label))


def label_findings(summary: LabelSummary) -> Iterator[Finding]:
    """What is wrong with the values of the labels."""
    dataset, name = summary.dataset, summary.name
    if summary.wrong:
        values = ", ".join(
            f"{value}{_mapped(summary, value)} ({summary.stored[value]} pixels, files: {found.count})"
            for value, found in sorted(summary.wrong.items())[:8]
        )
        more = f" and {len(summary.wrong) - 8} more values" if len(summary.wrong) > 8 else ""
        yield Finding(
            "error",
            "label-range",
            f"labels have values outside the {dataset.num_classes} classes: {values}{more}",
            tuple(summary.wrong_files.files),
            summary.wrong_files.count,
            range_remedy(
                np.flatnonzero(summary.stored).tolist(),
                dataset.num_classes,
                dataset.ignore_index,
                mapped=dataset.lookup is not None,
            ),
            name,
        )
    if summary.recoloured.count:
        yield Finding(
            "error",
            "palette-order",
            f"palettes differ in order from file to file, so one value has several meanings: "
            f"{summary.recoloured.details[0]}",
            tuple(summary.recoloured.files),
            summary.recoloured.count,
            "write all labels with one palette: an index, not a colour, is what is read",
            name,
        )
    if is_binary_255(summary.stored, dataset.lookup, dataset.ignore_index, dataset.num_classes):
        yield Finding(
            "error",
            "label-binary",
            "all labels consist of 0 and 255 only, and 255 is ignore_index: no pixel of a second class would count",
            tuple(str(item.label) for item in dataset.items[:EXAMPLES]),
            summary.scanned,
            "did you mean class 1? write 'label_map: {0: 0, 255: 1}' into the dataset section",
            name,
        )
        return
    if summary.binary.count and not summary.bordered and summary.stored[1:IGNORED].any():
        yield Finding(
            "warning",
            "label-mixed",
            f"labels consist of 0 and 255 only, and 255 is ignored, while the others have classes and no 255: "
            f"{summary.binary.count} of {summary.labels}",
            tuple(summary.binary.files),
            summary.binary.count,
            "write these labels again with class indices; if 255 is class 1 in them, it counts nowhere now",
            name,
        )
    yield from _ignored(summary)


def _ignored(summary: LabelSummary) -> Iterator[Finding]:
    everything = summary.ignored + int(summary.pixels.sum())
    index = summary.dataset.ignore_index
    if everything and summary.ignored > MOSTLY_IGNORED * everything:
        yield Finding(
            "warning",
            "ignore-share",
            f"{100 * summary.ignored / everything:.1f} % of all pixels are ignored ({index})",
            fix="check ignore_index and label_map",
            split=summary.name,
        )
    if summary.all_ignored.count:
        none_counts = summary.all_ignored.count == summary.labels
        yield Finding(
            "error" if none_counts else "warning",
            "all-ignored",
            f"labels have no pixel that counts ({index} is ignored): {summary.all_ignored.count} of {summary.labels}",
            tuple(summary.all_ignored.files),
            summary.all_ignored.count,
            "check ignore_index and label_map" if none_counts else "take these images out of the list",
            summary.name,
        )


def class_findings(summary: LabelSummary) -> Iterator[Finding]:
    """Classes of labels that are absent or rare."""
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


def _mapped(summary: LabelSummary, value: int) -> str:
    lookup = summary.dataset.lookup
    return "" if lookup is None or lookup[value] == value else f" -> {lookup[value]} by label_map"
