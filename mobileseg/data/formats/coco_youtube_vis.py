"""COCO's annotations under the names of YouTube-VIS, for training on both at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.data.formats.annotation_json import choose_classes
from mobileseg.data.formats.coco import CocoInstances
from mobileseg.data.formats.coco_json import CocoFile, read_coco
from mobileseg.errors import ConfigError
from mobileseg.registry import DATASETS

YOUTUBE_VIS: dict[int, tuple[str, ...]] = {
    2019: (
        "person", "giant_panda", "lizard", "parrot", "skateboard", "sedan", "ape", "dog", "snake", "monkey", "hand",
        "rabbit", "duck", "cat", "cow", "fish", "train", "horse", "turtle", "bear", "motorbike", "giraffe", "leopard",
        "fox", "deer", "owl", "surfboard", "airplane", "truck", "zebra", "tiger", "elephant", "snowboard", "boat",
        "shark", "mouse", "frog", "eagle", "earless_seal", "tennis_racket",
    ),
    2021: (
        "airplane", "bear", "bird", "boat", "car", "cat", "cow", "deer", "dog", "duck", "earless_seal", "elephant",
        "fish", "flying_disc", "fox", "frog", "giant_panda", "giraffe", "horse", "leopard", "lizard", "monkey",
        "motorbike", "mouse", "parrot", "person", "rabbit", "shark", "skateboard", "snake", "snowboard", "squirrel",
        "surfboard", "tennis_racket", "tiger", "train", "truck", "turtle", "whale", "zebra",
    ),
}  # fmt: skip
"""Names of the categories 1..40 of an edition."""

_RENAMED = {
    "sedan": "car", "motorbike": "motorcycle", "tennis_racket": "tennis racket", "flying_disc": "frisbee",
}  # fmt: skip
_OTHER_MEANING = {"mouse"}  # COCO's is that of a computer


@DATASETS.add_component
class CocoYouTubeVIS(CocoInstances):
    """COCO images with the classes of YouTube-VIS; objects of other categories are left out.

    The training data of YolactEdge's base and joint stages beside YouTube-VIS itself (Liu et al. 2021): classes of the
    same name, and car for sedan, motorcycle for motorbike, tennis racket, frisbee for flying_disc (2021). COCO's mouse,
    which is a computer's, is left out.

    Args:
        dataset_root: see :class:`~mobileseg.data.formats.coco.CocoInstances`, and so are the others.
        transforms: steps of the pipeline.
        mode: 'train', 'val' or 'test'.
        annotation_file: COCO file.
        image_dir: folder of the images.
        edition: 2019 or 2021.
        classes: names of the classes of YouTube-VIS to use; None: all 40, in their order.
        keep_empty: train on images without objects too.
        seed: start of all random choices.

    Raises:
        DataError: see there.
        ConfigError: an unknown edition or class.
    """

    COUNT = 40

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        annotation_file: str | None = None,
        image_dir: str | None = None,
        edition: int = 2019,
        classes: Sequence[str] | None = None,
        keep_empty: bool = False,
        seed: int = 0,
    ) -> None:
        if edition not in YOUTUBE_VIS:
            raise ConfigError(
                f"there is no edition {edition} of YouTube-VIS here", remedy="write edition: 2019 or 2021"
            )
        self.edition = edition
        super().__init__(
            dataset_root, transforms, mode, annotation_file, image_dir, classes, keep_empty=keep_empty, seed=seed
        )

    def _read(self, path: Path, classes: Sequence[str] | None) -> CocoFile:
        known = YOUTUBE_VIS[self.edition]
        chosen = choose_classes(classes, known, f"YouTube-VIS {self.edition}")
        every = read_coco(path)
        labels = {_RENAMED.get(name, name): index for index, name in enumerate(chosen) if name not in _OTHER_MEANING}
        target = np.array([labels.get(name, -1) for name in every.classes], np.int64)
        table = every.table.select_rows(target[every.table.classes] >= 0)
        table = table.of_other_classes(target[table.classes])
        return every._replace(classes=chosen, category_ids=tuple(known.index(name) + 1 for name in chosen), table=table)

    @staticmethod
    def count_classes(section: Mapping[str, Any]) -> int | None:
        """All 40, where the section does not name them."""
        return CocoYouTubeVIS.COUNT
