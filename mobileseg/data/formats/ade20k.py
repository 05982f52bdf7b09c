"""ADE20K scene parsing (Zhou et al., CVPR 2017, http://sceneparsing.csail.mit.edu)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mobileseg.data.base import SegmentationDataset, checked_mode, existing_folder
from mobileseg.data.items import Item
from mobileseg.registry import DATASETS

_HINT = (
    "download ADEChallengeData2016.zip from http://sceneparsing.csail.mit.edu and unpack it; dataset_root is the "
    "folder ADEChallengeData2016 with images/ and annotations/ inside"
)
# The order of objectInfo150.txt of the download, first name of each line.
_CLASSES = (
    "wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, earth, door, "
    "table, mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, mirror, rug, field, "
    "armchair, seat, fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, signboard, "
    "chest of drawers, counter, sand, sink, skyscraper, fireplace, refrigerator, grandstand, path, stairs, runway, "
    "case, pool table, pillow, screen door, stairway, river, bridge, bookcase, blind, coffee table, toilet, flower, "
    "book, hill, bench, countertop, stove, palm, kitchen island, computer, swivel chair, boat, bar, arcade machine, "
    "hovel, bus, towel, light, truck, tower, chandelier, awning, streetlight, booth, television receiver, airplane, "
    "dirt track, apparel, pole, land, bannister, escalator, ottoman, bottle, buffet, poster, stage, van, ship, "
    "fountain, conveyer belt, canopy, washer, plaything, swimming pool, stool, barrel, basket, waterfall, tent, bag, "
    "minibike, cradle, oven, ball, food, step, tank, trade name, microwave, pot, animal, bicycle, lake, dishwasher, "
    "screen, blanket, sculpture, hood, sconce, vase, traffic light, tray, ashcan, fan, pier, crt screen, plate, "
    "monitor, bulletin board, shower, radiator, glass, clock, flag"
)


@DATASETS.add_component
class ADE20K(SegmentationDataset):
    """150 classes of indoor and outdoor scenes; stored 0 ('other') becomes 255, stored n becomes class n - 1.

    Args:
        dataset_root: the folder ADEChallengeData2016.
        transforms: steps of the pipeline.
        mode: 'train' or 'val'.
        edge: accepted for PaddleSeg's configs; edge losses here derive edges from the label.
        label_map: stored value -> class index, in place of the shift by one.
        seed: start of all random choices.

    Raises:
        DataError: folders are missing.
    """

    CLASSES = tuple(_CLASSES.split(", "))

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        edge: bool = False,
        label_map: Mapping[Any, Any] | None = None,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "ADE20K", ("train", "val"))
        root = existing_folder(dataset_root, "ADE20K", _HINT)
        part = {"train": "training", "val": "validation"}[mode]
        images = existing_folder(root / "images" / part, "ADE20K", _HINT)
        labels = existing_folder(root / "annotations" / part, "ADE20K", _HINT)
        super().__init__(
            [Item(image, labels / f"{image.stem}.png") for image in sorted(images.glob("*.jpg"))],
            mode=mode,
            transforms=transforms,
            classes=self.CLASSES,
            label_map={stored: (stored - 1) % 256 for stored in range(256)} if label_map is None else label_map,
            seed=seed,
            source=str(images),
        )
