"""Some images of a dataset, as a dataset."""

from __future__ import annotations

from typing import Any

from mobileseg.data.sample import Sample


class ImageSubset:
    """Evenly spaced images of a dataset of labels or objects; whatever is not said here is the dataset's.

    Args:
        dataset: any dataset of the suite.
        count: how many images; None, or more than there are, for all.
    """

    def __init__(self, dataset: Any, count: int | None) -> None:
        size = len(dataset) if count is None else min(count, len(dataset))
        self.dataset = dataset
        self.indices = [index * len(dataset) // size for index in range(size)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def items(self) -> list[Any]:
        """Image and label files."""
        return [self.dataset.items[index] for index in self.indices]

    def sequences(self) -> list[tuple[int]]:
        """Images that were taken evenly from everywhere do not follow each other."""
        return [(index,) for index in range(len(self))]

    def load(self, index: int) -> Sample:
        """The decoded sample."""
        return self.dataset.load(self.indices[index])

    def prepare(self, key: int) -> Sample:
        """The transformed sample."""
        return self.dataset.prepare(self.indices[key])

    def image_id(self, index: int) -> int:
        """Of a dataset of objects: id of an image in COCO's sense."""
        return int(self.dataset.image_id(self.indices[index]))

    def file_name(self, index: int) -> str:
        """Of a dataset of objects: name of an image as its annotations have it."""
        return str(self.dataset.file_name(self.indices[index]))

    def coco_ground_truth(self) -> dict[str, Any]:
        """Of a dataset of objects: the annotations of these images."""
        truth = self.dataset.coco_ground_truth()
        kept = {self.image_id(index) for index in range(len(self))}
        return {
            **truth,
            "images": [image for image in truth["images"] if image["id"] in kept],
            "annotations": [entry for entry in truth["annotations"] if entry["image_id"] in kept],
        }
