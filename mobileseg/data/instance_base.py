"""What all datasets of images with annotated objects share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from mobileseg.data.annotations import AnnotationRows, AnnotationTable, coco_document
from mobileseg.data.base import ImageDataset, channels_first
from mobileseg.data.instances import Instances
from mobileseg.data.io import read_image
from mobileseg.data.items import Item
from mobileseg.data.sample import Sample, Transform
from mobileseg.errors import DataError
from mobileseg.rle import encode_region
from mobileseg.tasks import INSTANCE
from mobileseg.viz.palette import palette as generated_palette

_DRAWS = 50


class InstanceDataset(ImageDataset):
    """Images with objects: boxes, classes, masks.

    Training leaves out objects without a pixel and those whose box has no inside, and uses the images that have an
    object to learn from (neither crowd nor left out) unless ``keep_empty`` says otherwise; 'val' and 'test' use all.
    An image that augmentation leaves without such an object is replaced by another one, drawn from (seed, epoch, index)
    like everything else.

    Attributes:
        category_ids: COCO id of every class index.
        left_out: labels that are no class -> number of objects that have them and are left out.
        pad_values: arrays of :meth:`__getitem__` whose length differs from image to image, and what a batch pads
            them with; a row of class -1 is padding.

    Args:
        items: image and annotation files.
        annotations: objects of the items, in the same order; None: :meth:`objects` is overridden and reads them.
        mode: 'train' (or another training part), 'val' or 'test'.
        transforms: ``transforms:`` list of a configuration, or built transforms.
        classes: names, one per class.
        category_ids: COCO id of every class; None: 1, 2, 3, ...
        image_ids: COCO id of every image; None: 1, 2, 3, ...
        file_names: names of the images for results; None: those of the files.
        keep_empty: train on images without objects too.
        seed: start of all random choices.
        source: where the items come from, for messages.

    Raises:
        DataError: there is no image, or none to train on.
        ConfigError: an argument cannot be used.
    """

    task = INSTANCE
    left_out: Mapping[str, int] = MappingProxyType({})
    pad_values: ClassVar[dict[str, int]] = {"boxes": 0, "classes": -1, "crowd": 0, "masks": 0}

    def __init__(
        self,
        items: Sequence[Item],
        annotations: AnnotationTable | None,
        *,
        mode: str,
        transforms: Sequence[Mapping[str, Any] | Transform] | None,
        classes: Sequence[str],
        category_ids: Sequence[int] | None = None,
        image_ids: Sequence[int] | None = None,
        file_names: Sequence[str] | None = None,
        keep_empty: bool = False,
        seed: int = 0,
        source: str = "",
    ) -> None:
        colours = generated_palette(min(len(classes), 256))
        super().__init__(
            items,
            mode=mode,
            transforms=transforms,
            classes=classes,
            palette=colours[np.arange(len(classes)) % max(len(colours), 1)],
            seed=seed,
            source=source,
        )
        self.keep_empty = keep_empty
        self.category_ids = tuple(range(1, self.num_classes + 1) if category_ids is None else map(int, category_ids))
        self._table = annotations
        self._image_ids = np.arange(1, len(items) + 1) if image_ids is None else np.asarray(image_ids, np.int64)
        self._file_names = [item.image.name for item in items] if file_names is None else list(file_names)
        if annotations is not None and not self.evaluates and not keep_empty:
            self.keep_images_with_objects()

    @property
    def annotations(self) -> AnnotationTable:
        """The objects of all images; read at the first access where :meth:`objects` is overridden."""
        if self._table is None:
            self._table = self._collect()
        return self._table

    def _collect(self) -> AnnotationTable:
        rows = AnnotationRows()
        sizes = []
        for index in range(len(self)):
            instances = self.objects(index)
            sizes.append(instances.size)
            areas = instances.areas()
            for number, region in enumerate(instances.regions):
                rows.add(
                    index,
                    int(instances.classes[number]),
                    identifier=int(instances.ids[number]),
                    crowd=bool(instances.crowd[number]),
                    box=instances.boxes[number].tolist(),
                    area=float(areas[number]),
                    rle=encode_region(instances.size, *region),
                )
        return AnnotationTable(rows, sizes)

    def image_id(self, index: int) -> int:
        """Id of an image in COCO's sense."""
        return int(self._image_ids[index])

    def file_name(self, index: int) -> str:
        """Name of an image as its annotations have it."""
        return self._file_names[index]

    def load(self, index: int) -> Sample:
        """Decode an image and all its objects, crowd included, in the original size.

        Raises:
            DataError: an unreadable file, an image of another size than annotated, or a broken mask.
        """
        item = self.items[index]
        image = read_image(item.image)
        instances = self.objects(index)
        annotated = instances.size
        if image.shape[:2] != annotated:
            raise DataError(
                f"the image {item.image} is {image.shape[1]}x{image.shape[0]} (width x height) as displayed, but its "
                f"annotations in {item.label} are for {annotated[1]}x{annotated[0]}",
                remedy="annotate the image as it is displayed (EXIF rotation applied), or use the file that was "
                "annotated",
            )
        if not self.evaluates:
            instances = instances.select(learnable(instances))
        meta = {"image_path": str(item.image), "geometry": []}
        return Sample(image.astype(np.float32), None, meta, instances)

    def objects(self, index: int) -> Instances:
        """The objects of an image in its original size, without reading its pixels.

        Raises:
            DataError: a broken mask.
        """
        try:
            return self.annotations.instances(index)
        except ValueError as error:
            raise DataError(
                f"{self.items[index].label}: the mask of annotation {error} "
                f"(image {self.image_id(index)}, {self.file_name(index)})",
                remedy="write the annotation again with pycocotools, or delete it",
            ) from error

    def prepare(self, key: int | tuple[int, int]) -> Sample:
        """The transformed sample; see :meth:`ImageDataset.prepare`.

        In training, ``meta['index']`` is the image that was taken in the end.

        Raises:
            DataError: the transforms leave no object in any of many images.
        """
        epoch, index = self.position(key)
        rng = np.random.default_rng([self.seed, epoch, index])
        for _ in range(_DRAWS):
            sample = self.transformed(self.drawn(index, rng), rng)
            if self.is_usable(sample):
                return sample
            index = int(rng.integers(len(self)))
        raise DataError(
            f"after the transforms, {_DRAWS} images in a row of {self.source} had no object left",
            remedy="crop less, lower the smallest size of DiscardSmallInstances, or write keep_empty: true",
        )

    def is_usable(self, sample: Sample) -> bool:
        """Whether a transformed sample is taken as it is: in training, it needs an object to learn from."""
        if self.evaluates or self.keep_empty:
            return True
        return sample.instances is not None and not sample.instances.crowd.all()

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, np.ndarray]:
        """The arrays of one image for training.

        Args:
            key: (epoch, index), or index for epoch 0; the same key always gives the same arrays.

        Returns:
            ``image`` float32 [3, H, W], ``boxes`` float32 [n, 4] xyxy as shares (0..1) of width and height, ``classes``
            int64 [n], ``crowd`` uint8 [n], ``masks`` uint8 [n, H, W] and ``index`` int64. In the modes 'val' and
            'test' the masks keep the original size.
        """
        return self.arrays(self.prepare(key))

    def arrays(self, sample: Sample) -> dict[str, np.ndarray]:
        """What :meth:`__getitem__` gives, of a prepared sample."""
        result = channels_first(sample)
        instances = sample.instances
        assert instances is not None  # load() sets it and no transform removes it
        height, width = instances.size
        result["boxes"] = instances.boxes / np.array([width, height, width, height], np.float32)
        result["classes"] = instances.classes
        result["crowd"] = instances.crowd.astype(np.uint8)
        result["masks"] = instances.masks
        return result

    def coco_ground_truth(self) -> dict[str, Any]:
        """All images and objects of the dataset as a COCO instances document, crowd included."""
        return coco_document(
            self.annotations,
            self._file_names,
            self._image_ids.tolist(),
            dict(zip(self.category_ids, self.classes, strict=True)),
            self.category_ids,
        )

    def keep_images_with_objects(self) -> None:
        """Take the images without an object to learn from out of the dataset.

        Raises:
            DataError: no image is left.
        """
        usable = self.annotations.usable()
        chosen = [i for i in range(len(self.items)) if any(usable[row] for row in self.annotations.rows(i))]
        if not chosen:
            regions = int(self.annotations.crowd.sum())
            crowds = f" ({regions} crowd regions with iscrowd: 1 are not learnt)" if regions else ""
            raise DataError(
                f"none of the {len(self.items)} images of {self.source} has an object of the classes "
                f"{', '.join(self.classes[:8])}{', ...' if self.num_classes > 8 else ''} to train on{crowds}",
                remedy="check classes and the annotation file, or write keep_empty: true to train on background alone",
            )
        self.items = self.items.select(chosen)
        self._file_names = [self._file_names[i] for i in chosen]
        self._image_ids = self._image_ids[chosen]
        self._table = self.annotations.select_images(chosen)


def learnable(instances: Instances) -> np.ndarray:
    """bool [n]: objects with a box that has an inside and a mask that has a pixel; the losses see these alone."""
    solid = (instances.boxes[:, 2:] > instances.boxes[:, :2]).all(axis=1)
    found: np.ndarray = (solid | instances.crowd) & (instances.areas() > 0)
    return found
