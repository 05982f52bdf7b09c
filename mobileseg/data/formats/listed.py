"""Datasets that are a folder with a list file per part, in the layouts that PaddleSeg prepared them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mobileseg.data.base import SegmentationDataset, checked_mode, existing_folder
from mobileseg.data.formats.listfile import read_list
from mobileseg.data.items import Item
from mobileseg.registry import DATASETS

_ARCHIVES = "https://paddleseg.bj.bcebos.com/dataset"


class ListedDataset(SegmentationDataset):
    """Images and index masks named by the list files of a folder, one ``image label`` per line.

    Args:
        dataset_root: the folder with the lists.
        transforms: steps of the pipeline.
        mode: part of the dataset, one of :attr:`LISTS`.
        edge: accepted for PaddleSeg's configs; edge losses here derive edges from the label.
        label_map: stored value -> class index.
        seed: start of all random choices.

    Raises:
        DataError: the folder or the list is missing, or a line does not have two fields.
    """

    CLASSES: ClassVar[tuple[str, ...]]
    LISTS: ClassVar[Mapping[str, str]]
    SEPARATOR = " "
    HINT = ""

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        edge: bool = False,
        label_map: Mapping[Any, Any] | None = None,
        seed: int = 0,
    ) -> None:
        name = type(self).__name__
        mode = checked_mode(mode, name, tuple(self.LISTS))
        root = existing_folder(dataset_root, name, self.HINT)
        list_file = root / self.LISTS[mode]
        super().__init__(
            read_list(list_file, root, self.SEPARATOR, labels_needed=mode != "test"),
            mode=mode,
            transforms=transforms,
            classes=self.CLASSES,
            label_map=label_map,
            seed=seed,
            source=str(list_file),
        )


_NAMED_LISTS = {"train": "train_list.txt", "val": "val_list.txt", "test": "test_list.txt"}
_SHORT_LISTS = {"train": "train.txt", "val": "val.txt", "test": "test.txt"}


@DATASETS.add_component
class OpticDiscSeg(ListedDataset):
    """The optic disc in images of the eye (iChallenge-AMD), the dataset of PaddleSeg's quick start."""

    CLASSES = ("background", "optic disc")
    LISTS = _NAMED_LISTS
    HINT = f"download {_ARCHIVES}/optic_disc_seg.zip and unpack it; dataset_root is its folder optic_disc_seg"


class _Vessels(ListedDataset):
    CLASSES = ("background", "vessel")
    LISTS = _NAMED_LISTS


@DATASETS.add_component
class CHASEDB1(_Vessels):
    """Vessels of the retina: 28 images of 14 children (Fraz et al., 2012)."""

    HINT = f"download {_ARCHIVES}/chase_db1/chase_db1.zip and unpack it"


@DATASETS.add_component
class DRIVE(_Vessels):
    """Vessels of the retina: 40 images (Staal et al., 2004)."""

    HINT = f"download {_ARCHIVES}/drive/drive.zip and unpack it"


@DATASETS.add_component
class HRF(_Vessels):
    """Vessels of the retina at high resolution: 45 images (Budai et al., 2013)."""

    HINT = f"download {_ARCHIVES}/hrf/hrf.zip and unpack it"


@DATASETS.add_component
class STARE(_Vessels):
    """Vessels of the retina: 20 images (Hoover et al., 2000)."""

    HINT = f"download {_ARCHIVES}/stare/stare.zip and unpack it"


@DATASETS.add_component
class MiniDeepGlobeRoadExtraction(ListedDataset):
    """Roads in satellite images: 1000 images of DeepGlobe (Demir et al., CVPR workshops 2018)."""

    CLASSES = ("background", "road")
    LISTS: ClassVar[Mapping[str, str]] = {"train": "train.txt", "val": "val.txt"}
    SEPARATOR = "|"
    HINT = f"download {_ARCHIVES}/MiniDeepGlobeRoadExtraction.zip and unpack it"


@DATASETS.add_component
class PPHumanSeg14K(ListedDataset):
    """People in video conferences (Chu et al., WACV workshops 2022)."""

    CLASSES = ("background", "person")
    LISTS = _SHORT_LISTS
    HINT = "ask for PP-HumanSeg14K at https://github.com/PaddlePaddle/PaddleSeg; the folder holds train.txt and val.txt"


_CONTEXT = (
    "background, aeroplane, bag, bed, bedclothes, bench, bicycle, bird, boat, book, bottle, building, bus, cabinet, "
    "car, cat, ceiling, chair, cloth, computer, cow, cup, curtain, dog, door, fence, floor, flower, food, grass, "
    "ground, horse, keyboard, light, motorbike, mountain, mouse, person, plate, platform, pottedplant, road, rock, "
    "sheep, shelves, sidewalk, sign, sky, snow, sofa, diningtable, track, train, tree, truck, tvmonitor, wall, water, "
    "window, wood"
)


@DATASETS.add_component
class PascalContext(SegmentationDataset):
    """60 classes of PASCAL-Context (Mottaghi et al., CVPR 2014), as PaddleSeg's conversion writes them.

    Args:
        dataset_root: the folder VOC2010, with JPEGImages/, Context/ and ImageSets/Segmentation/*_context.txt.
        transforms: steps of the pipeline.
        mode: 'train', 'val' or 'trainval'.
        edge: accepted for PaddleSeg's configs; edge losses here derive edges from the label.
        label_map: stored value -> class index.
        seed: start of all random choices.

    Raises:
        DataError: folders or lists are missing.
    """

    CLASSES = tuple(_CONTEXT.split(", "))

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        edge: bool = False,
        label_map: Mapping[Any, Any] | None = None,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "PascalContext", ("train", "val", "trainval"))
        hint = "run PaddleSeg's convert_voc2010.py on PASCAL VOC 2010; it writes Context/ and the lists"
        root = existing_folder(dataset_root, "PascalContext", hint)
        images = existing_folder(root / "JPEGImages", "PascalContext", hint)
        labels = existing_folder(root / "Context", "PascalContext", hint)
        list_file = root / "ImageSets" / "Segmentation" / f"{mode}_context.txt"
        names = [item.image.name for item in read_list(list_file, root, labels_needed=False)]
        super().__init__(
            [Item(images / f"{name}.jpg", labels / f"{name}.png") for name in names],
            mode=mode,
            transforms=transforms,
            classes=self.CLASSES,
            label_map=label_map,
            seed=seed,
            source=str(list_file),
        )


_THINGS = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
    "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
    "handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, "
    "surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, "
    "broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, "
    "mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, "
    "teddy bear, hair drier, toothbrush"
)
_STUFF = (
    "banner, blanket, branch, bridge, building-other, bush, cabinet, cage, cardboard, carpet, ceiling-other, "
    "ceiling-tile, cloth, clothes, clouds, counter, cupboard, curtain, desk-stuff, dirt, door-stuff, fence, "
    "floor-marble, floor-other, floor-stone, floor-tile, floor-wood, flower, fog, food-other, fruit, furniture-other, "
    "grass, gravel, ground-other, hill, house, leaves, light, mat, metal, mirror-stuff, moss, mountain, mud, napkin, "
    "net, paper, pavement, pillow, plant-other, plastic, platform, playingfield, railing, railroad, river, road, rock, "
    "roof, rug, salad, sand, sea, shelf, sky-other, skyscraper, snow, solid-other, stairs, stone, straw, "
    "structural-other, table, tent, textile-other, towel, tree, vegetable, wall-brick, wall-concrete, wall-other, "
    "wall-panel, wall-stone, wall-tile, wall-wood, water-other, waterdrops, window-blind, window-other, wood"
)


@DATASETS.add_component
class CocoStuff(SegmentationDataset):
    """171 classes of COCO-Stuff (Caesar et al., CVPR 2018): 80 kinds of things, then 91 of stuff.

    Args:
        dataset_root: folder with images/ and annotations/, each with train2017/ and val2017/; the annotations are those
            that PaddleSeg's convert_cocostuff.py writes (classes 0..170).
        transforms: steps of the pipeline.
        mode: 'train' or 'val'.
        edge: accepted for PaddleSeg's configs; edge losses here derive edges from the label.
        label_map: stored value -> class index.
        seed: start of all random choices.

    Raises:
        DataError: folders are missing.
    """

    CLASSES = tuple(f"{_THINGS}, {_STUFF}".split(", "))

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        edge: bool = False,
        label_map: Mapping[Any, Any] | None = None,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "CocoStuff", ("train", "val"))
        hint = "see https://github.com/nightrome/cocostuff; dataset_root holds images/ and annotations/"
        root = existing_folder(dataset_root, "CocoStuff", hint)
        images = existing_folder(root / "images" / f"{mode}2017", "CocoStuff", hint)
        labels = existing_folder(root / "annotations" / f"{mode}2017", "CocoStuff", hint)
        super().__init__(
            [Item(image, labels / f"{image.stem}.png") for image in sorted(images.glob("*.jpg"))],
            mode=mode,
            transforms=transforms,
            classes=self.CLASSES,
            label_map=label_map,
            seed=seed,
            source=str(images),
        )
