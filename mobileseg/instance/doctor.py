"""The doctor of datasets of objects: their images, then every annotation against its image.

See :class:`mobileseg.data.doctor.task.TaskDoctor`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mobileseg.data.doctor.checks import Finding, size_findings
from mobileseg.data.doctor.scan import Examples, Facts, Size, Summary
from mobileseg.data.formats.coco_annotations import AnnotationError
from mobileseg.data.instances import Instances, Region
from mobileseg.data.sample import Sample
from mobileseg.errors import DataError
from mobileseg.instance.doctor_findings import habit_findings, left_out_findings, object_findings, refused_findings
from mobileseg.instance.doctor_objects import ObjectSummary, examine

SAMPLE = 32  # images whose objects are looked at before a training


class InstanceSummary(Summary):
    """A split of images with annotated objects.

    Attributes:
        objects: what was found out about the annotations, after :meth:`finish`.
    """

    def __init__(self, name: str, dataset: Any) -> None:
        super().__init__(name, dataset)
        self.objects: ObjectSummary | None = None
        self._sizes: dict[str, Size] = {}

    def add(self, facts: Facts) -> None:
        """Take in one image."""
        super().add(facts)
        if facts.size is None:
            return
        self._sizes[str(facts.item.image)] = facts.size
        if facts.turn > 1 and (facts.turn < 5 or facts.size[0] == facts.size[1]):
            image = str(facts.item.image)
            detail = f"{image} has EXIF orientation {facts.turn}"
            self.problems.setdefault("exif-unsure", Examples()).add(image, detail)

    def finish(self) -> None:
        """Examine the annotations, of all images."""
        self.examine()

    def examine(self, chosen: Sequence[int] | None = None) -> None:
        """Examine the annotations of some images, None: of all."""
        seen_as = input_size(self.dataset, self.sizes.most_common(1)[0][0]) if self.sizes else None
        self.objects = examine(self.dataset, self.sizes_read(), seen_as, chosen)

    def sizes_read(self) -> dict[int, Size]:
        """Number of an image -> (height, width) of its file as it is displayed, for images that were read."""
        return {
            index: self._sizes[str(item.image)]
            for index, item in enumerate(self.dataset.items)
            if str(item.image) in self._sizes
        }

    @property
    def examined(self) -> ObjectSummary:
        """``objects`` of a summary that is complete."""
        assert self.objects is not None
        return self.objects


def dummy(dataset: Any, size: Size) -> Sample:
    """A grey image of that size with one object in its middle, to try transforms on."""
    sample = Sample(np.full((*size, 3), 127, np.float32), None, {"geometry": []})
    if not dataset.evaluates:
        height, width = max(1, size[0] // 2), max(1, size[1] // 2)
        middle = Region(size[0] // 4, size[1] // 4, np.ones((height, width), np.uint8))
        sample.instances = Instances.from_regions(size, [middle], [0])
    return sample


def input_size(dataset: Any, size: Size) -> Size | None:
    """(height, width) in which the network sees an image of ``size``; None when the transforms fail."""
    sample = dummy(dataset, size)
    rng = np.random.default_rng(0)
    try:
        for transform in dataset.transforms:
            sample = transform(sample, rng)
    except Exception:  # a plugin may raise anything; the check of the transforms reports it
        return None
    return sample.size


def preflight(dataset: Any) -> None:
    """Look at the boxes and masks of a few images for mistakes that no single annotation shows.

    Raises:
        DataError: most boxes do not fit their masks, or most masks have no pixel or lie beyond their image.
    """
    check_sample(dataset, range(len(dataset)))


def check_sample(dataset: Any, indices: Sequence[int]) -> None:
    """Look at the boxes and masks of some images out of ``indices``, evenly spaced.

    Raises:
        DataError: see :func:`preflight`.
    """
    places = np.linspace(0, len(indices) - 1, min(SAMPLE, len(indices))).round().astype(int)
    found = examine(dataset, {}, None, [indices[place] for place in np.unique(places)])
    for problem in habit_findings(dataset.mode, found):
        raise DataError(
            f"the '{dataset.mode}' dataset: {problem.message} ({found.total} annotations were looked at, for example "
            f"{problem.files[0]})",
            remedy=f"{problem.fix}; 'mobileseg doctor data CONFIG' lists them",
        )


def summary(name: str, dataset: Any) -> InstanceSummary:
    """Takes in images; the annotations are examined at the end."""
    return InstanceSummary(name, dataset)


def findings(summary: Summary, *, batch_size: int, keep_empty: bool) -> Iterator[Finding]:
    """Annotations against their images, sizes after the transforms, numbers of objects."""
    assert isinstance(summary, InstanceSummary)
    dataset = summary.dataset
    yield from object_findings(summary.name, summary.examined, dataset.classes, keep_empty=keep_empty)
    yield from left_out_findings(summary.name, dataset.left_out, dataset.classes)
    yield from size_findings(summary, batch_size, lambda size: dummy(dataset, size))


def refused(name: str, error: DataError) -> list[Finding]:
    """One finding per kind of annotation that a file was refused for."""
    return list(refused_findings(name, error)) if isinstance(error, AnnotationError) else []


def statistics(summary: Summary) -> dict[str, Any]:
    """``annotations``, ``images_without_objects`` and ``classes`` with objects, crowd regions and images."""
    assert isinstance(summary, InstanceSummary)
    objects = summary.examined
    return {
        "annotations": objects.total,
        "images_without_objects": objects.without.count,
        "classes": [
            {
                "name": name,
                "objects": int(objects.objects[index]),
                "crowd_regions": int(objects.crowds[index]),
                "images": int(objects.images_with[index]),
            }
            for index, name in enumerate(summary.dataset.classes)
        ],
    }


def headline(summary: Summary) -> str:
    """Numbers of objects, crowd regions and images without any."""
    assert isinstance(summary, InstanceSummary)
    objects = summary.examined
    found, crowds = int(objects.objects.sum()), int(objects.crowds.sum())
    return f"{found} objects, {crowds} crowd regions, {objects.without.count} images without any"


def table(splits: Mapping[str, Summary], classes: Sequence[str]) -> list[str]:
    """Objects, crowd regions and images of every class."""
    read = {name: one.examined for name, one in splits.items() if isinstance(one, InstanceSummary)}
    width = max(12, *(len(name) for name in classes))
    header = "".join(f"  {name + ' objects':>13}  {'crowds':>6}  {'images':>7}" for name in read)
    lines = [f"{'class':{width}}{header}"]
    for index, name in enumerate(classes):
        line = f"{name:{width}}"
        for objects in read.values():
            if index >= len(objects.objects):
                line += " " * 32
                continue
            line += f"  {objects.objects[index]:13d}  {objects.crowds[index]:6d}  {objects.images_with[index]:7d}"
        lines.append(line)
    return lines


def class_weights(summary: Summary) -> None:
    """Losses of objects take no weights of classes."""
