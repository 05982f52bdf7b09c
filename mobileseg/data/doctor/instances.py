"""The examination of a dataset of objects: its images, then every annotation against its image."""

from __future__ import annotations

from typing import Any

import numpy as np

from mobileseg.data.doctor.objects import ObjectSummary, examine
from mobileseg.data.doctor.scan import Facts, Size, Summary
from mobileseg.data.instances import Instances, Region
from mobileseg.data.sample import Sample
from mobileseg.errors import DataError

_FEW = 32  # images whose objects are looked at before a training


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
        if facts.size is not None:
            self._sizes[str(facts.item.image)] = facts.size

    def finish(self) -> None:
        """Examine the annotations, of all images."""
        sizes = {
            index: self._sizes[str(item.image)]
            for index, item in enumerate(self.dataset.items)
            if str(item.image) in self._sizes
        }
        seen_as = input_size(self.dataset, self.sizes.most_common(1)[0][0]) if self.sizes else None
        self.objects = examine(self.dataset, sizes, seen_as)


def dummy(dataset: Any, size: Size) -> Sample:
    """A grey picture of that size with one object in its middle, to try transforms on."""
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


def preflight_instances(dataset: Any) -> None:
    """Look at the boxes of a few images for the mistake that no single annotation shows.

    Raises:
        DataError: most boxes do not fit their masks.
    """
    chosen = np.linspace(0, len(dataset) - 1, min(_FEW, len(dataset))).round().astype(int)
    found = examine(dataset, {}, None, np.unique(chosen).tolist())
    wrong = found.problems.get("box-mismatch")
    if wrong is not None and wrong.count > found.total / 2:
        corners = "; they fit as x1, y1, x2, y2, but bbox is x, y, width, height" if found.corners else ""
        raise DataError(
            f"{wrong.count} of {found.total} boxes that were looked at do not fit their masks, for example "
            f"{wrong.files[0]}: {wrong.details[0]}",
            remedy=f"write bbox as x, y, width, height of the mask{corners}; mobileseg doctor data lists them",
        )
