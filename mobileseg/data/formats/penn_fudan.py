"""Penn-Fudan pedestrians (Wang, Shi, Song and Shen, ACCV 2007)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mobileseg.data.base import checked_mode, existing_folder
from mobileseg.data.formats.listfile import find_file, read_lines
from mobileseg.data.instance_base import InstanceDataset
from mobileseg.data.instances import Instances, Region
from mobileseg.data.io import MissingFileError, read_label
from mobileseg.data.items import Item
from mobileseg.errors import DataError
from mobileseg.registry import DATASETS

_HINT = (
    "dataset_root is the folder PennFudanPed with PNGImages/ and PedMasks/, "
    "https://www.cis.upenn.edu/~jshi/ped_html/; it comes without a division: write train.txt and val.txt into it, one "
    "name such as FudanPed00001 per line"
)
_SUFFIXES = (".png", ".jpg", ".jpeg")
_ID_STEP = 256  # ids of the people of one image follow each other; an 8-bit mask has at most 255


@DATASETS.add_component
class PennFudan(InstanceDataset):
    """170 photographs of streets with their pedestrians, of the one class ``person``.

    ``PedMasks/NAME_mask.png`` has the number of a person in every pixel, 0 where there is none, for the image
    ``PNGImages/NAME.png`` (or ``.jpg``, where somebody has made it smaller).

    Args:
        dataset_root: folder PennFudanPed.
        transforms: steps of the pipeline.
        mode: 'train', 'val' or 'test'; picks the list.
        list_file: names of the images, one per line (relative to the working folder or else to ``dataset_root``);
            None: ``{mode}.txt``.
        keep_empty: train on images without people too.
        seed: start of all random choices.

    Raises:
        DataError: folders, the list or files are missing.
    """

    CLASSES = ("person",)

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        list_file: str | None = None,
        keep_empty: bool = False,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "PennFudan", ("train", "val", "test"))
        root = existing_folder(dataset_root, "PennFudan", _HINT)
        folders = [existing_folder(root / name, "PennFudan", _HINT) for name in ("PNGImages", "PedMasks")]
        path = root / f"{mode}.txt" if list_file is None else find_file(list_file, root)
        if not path.is_file():
            raise DataError(f"the list file {path} does not exist", remedy=_HINT)
        images, masks = ({file.name: file for file in folder.iterdir()} for folder in folders)
        items = []
        for _, line in read_lines(path, _HINT):
            for name in line.split():
                image = next((images[name + end] for end in _SUFFIXES if name + end in images), None)
                mask = masks.get(f"{name}_mask.png")
                if image is None or mask is None:
                    lacking = folders[0] / f"{name}.png" if image is None else folders[1] / f"{name}_mask.png"
                    raise MissingFileError(
                        f"{lacking} of the list {path} does not exist",
                        remedy="unpack the whole archive, or take the name out of the list",
                    )
                items.append(Item(image, mask))
        super().__init__(
            items,
            None,
            mode=mode,
            transforms=transforms,
            classes=self.CLASSES,
            keep_empty=keep_empty,
            seed=seed,
            source=str(path),
        )

    def objects(self, index: int) -> Instances:
        """The people of an image in its original size, without reading its pixels.

        Raises:
            DataError: a mask that is missing or damaged.
        """
        path = self.items[index].label
        assert path is not None  # set for every item above
        numbers = read_label(path)
        found = [int(number) for number in np.unique(numbers) if number]
        regions = [Region(0, 0, (numbers == number).view(np.uint8)).trimmed() for number in found]
        ids = [self.image_id(index) * _ID_STEP + number for number in found]
        return Instances.from_regions((numbers.shape[0], numbers.shape[1]), regions, [0] * len(found), ids=ids)
