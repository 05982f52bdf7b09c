"""FlyingChairs: pairs of images with true optical flow (Dosovitskiy et al., ICCV 2015)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mobileseg.data.base import ImageDataset, channels_first, checked_mode, existing_folder
from mobileseg.data.clips import generator_at
from mobileseg.data.flow import UNKNOWN, read_flow
from mobileseg.data.formats.listfile import find_file, read_lines
from mobileseg.data.io import read_image
from mobileseg.data.items import Item
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.resize import pair
from mobileseg.errors import ConfigError, DataError
from mobileseg.pixels import resize
from mobileseg.registry import DATASETS
from mobileseg.tasks import VIDEO
from mobileseg.viz.palette import palette

logger = logging.getLogger(__name__)

LISTS = ("FlyingChairs_train_val.txt", "FlyingChairs_release_test_train_split.list")
_HINT = (
    "dataset_root holds NNNNN_img1.ppm, NNNNN_img2.ppm, NNNNN_flow.flo (or a folder data/ with them) and "
    f"{LISTS[0]}; https://lmb.informatik.uni-freiburg.de/resources/datasets/FlyingChairs.en.html"
)
FLOW_SCALE = 8.0
"""A flow of 8 is a displacement of 1 in normalised coordinates -1..1, the unit of YolactEdge's flow network."""


@DATASETS.add_component
class FlyingChairs(ImageDataset):
    """Pairs of frames and the flow from the first to the second, for the flow stage of YolactEdge (Liu et al. 2021).

    The list has one line per pair, line n being for the files of number n: 1 for training, 2 for validation. Without a
    list all pairs in the folder are used, whatever the mode.

    Images are resized with 8 bits, as published; the flow is resized with 64 bits, its values being shares of the size
    already: ``flow_px * 2 / [W, H] * 8`` with the size of the file.

    Args:
        dataset_root: the folder.
        transforms: steps for both images, with the same draws; they must leave every pixel where it is, because the
            flow does not move: ``Normalize``, colours.
        mode: 'train' or 'val'.
        size: (width, height) of the arrays; None: that of the files.
        list_file: the list, relative to the working folder or else to ``dataset_root``.
        classes: names of the classes of a network that is validated on objects in between; the pairs have none.
        seed: start of all random choices.

    Raises:
        DataError: files are missing or of different sizes.
        ConfigError: a transform that moves pixels.
    """

    task = VIDEO

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        size: Sequence[int] | None = None,
        list_file: str | None = None,
        classes: Sequence[str] = ("object",),
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "FlyingChairs", ("train", "val"))
        root = existing_folder(dataset_root, "FlyingChairs", _HINT)
        folder = root / "data" if (root / "data").is_dir() else root
        self.size = None if size is None else pair("FlyingChairs.size", list(size))
        stems = _stems(root, folder, mode, list_file)
        _require_files(folder, stems)
        super().__init__(
            [Item(folder / f"{stem}_img1.ppm", folder / f"{stem}_flow.flo") for stem in stems],
            mode=mode,
            transforms=transforms,
            classes=classes,
            palette=palette(min(len(classes), 256)),
            seed=seed,
            source=str(root),
        )
        moving = [type(step).__name__ for step in self.transforms if getattr(step, "train_only", False)]
        if moving:
            raise ConfigError(
                f"FlyingChairs: the transform {moving[0]} moves pixels, and flow cannot follow it",
                remedy="use Normalize and changes of colour; the size is set by size: [width, height]",
            )

    def load(self, index: int) -> Sample:
        """The first image of a pair, resized; no transforms."""
        path = self.items[index].image
        return Sample(self._image(path), None, {"image_path": str(path), "geometry": []})

    def flow(self, index: int) -> np.ndarray:
        """The flow of a pair as it is stored, float32 [H, W, 2] in pixels.

        Raises:
            DataError: a file that is none, or with unknown flow.
        """
        path = self.items[index].label
        assert path is not None  # set for every item above
        flow = read_flow(path)
        if np.abs(flow).max() > UNKNOWN:
            raise DataError(f"{path} has pixels whose flow is not known", remedy="take the pair out of the list")
        return flow

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, np.ndarray]:
        """The arrays of one pair.

        Args:
            key: (epoch, index), or index for epoch 0; the same key always gives the same arrays.

        Returns:
            ``image`` float32 [3, H, W], the first image, which plays the current frame; ``reference`` float32
            [3, H, W], the second, which plays the key frame; ``flow`` float32 [2, H, W], where in the reference
            (columns, rows) to find every pixel of the image, 8 for a displacement of 1 in coordinates -1..1; ``index``
            int64.

        Raises:
            DataError: images and flow of a pair differ in size, or a transform changes it.
        """
        epoch, number = self.position(key)
        rng = np.random.default_rng([self.seed, epoch, number])
        index = self.drawn(number, rng)
        first, flow = self.load(index), self.flow(index)
        second_path = self._second(index)
        second = Sample(self._image(second_path), None, {"image_path": str(second_path), "geometry": []})
        size, state = first.size, rng.bit_generator.state
        first, second = self.moved(first, rng), self.moved(second, generator_at(state))
        if first.size != size or first.meta["geometry"]:
            raise DataError(
                "FlyingChairs: a transform changes the size of the images, and flow cannot follow it",
                remedy="set size: [width, height] in place of Resize or Padding",
            )
        first.meta["index"] = second.meta["index"] = index
        target = network_flow(flow, size)
        self._check_sizes(index, first.size, second.size, flow)
        return channels_first(first) | {"reference": channels_first(second)["image"], "flow": target}

    def _second(self, index: int) -> Path:
        first = self.items[index].image
        return first.with_name(first.name.replace("_img1", "_img2"))

    def _image(self, path: Path) -> np.ndarray:
        image = read_image(path)
        if self.size is not None and (image.shape[1], image.shape[0]) != self.size:
            image = resize(image, (self.size[1], self.size[0]), cv2.INTER_LINEAR)
        return image.astype(np.float32)

    def _check_sizes(self, index: int, first: tuple[int, int], second: tuple[int, int], flow: np.ndarray) -> None:
        if self.size is None and not first == second == flow.shape[:2]:
            raise DataError(
                f"the pair {self.items[index].image} has images of {first[1]}x{first[0]} and {second[1]}x{second[0]} "
                f"and a flow of {flow.shape[1]}x{flow.shape[0]} (width x height)",
                remedy="images and flow must have one size; set size: [width, height] to resize them",
            )


def network_flow(flow: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Flow in the unit of YolactEdge's flow network.

    Args:
        flow: float32 [h, w, 2], columns and rows in pixels.
        size: (height, width) of the result.

    Returns:
        float32 [2, H, W]: ``flow * 2 / [w, h] * 8`` (w, not w - 1, as published), resized bilinearly.
    """
    height, width = flow.shape[:2]
    shares = flow.astype(np.float64) * (2 / np.array([width, height])) * FLOW_SCALE
    if size != (height, width):
        shares = resize(shares, size)
    return np.ascontiguousarray(shares.transpose(2, 0, 1), dtype=np.float32)


def _stems(root: Path, folder: Path, mode: str, list_file: str | None) -> list[str]:
    places = [root / name for name in LISTS]
    path = find_file(list_file, root) if list_file is not None else next((p for p in places if p.is_file()), None)
    if path is None:
        logger.warning("%s has no %s: all pairs are used in mode '%s'", root, LISTS[0], mode)
        return sorted(file.name.removesuffix("_flow.flo") for file in folder.glob("*_flow.flo"))
    wanted = {"train": "1", "val": "2"}[mode]
    stems = []
    for position, (number, line) in enumerate(read_lines(path, _HINT), 1):
        if line not in ("1", "2"):
            raise DataError(
                f"{path}:{number}: the line is '{line[:40]}', expected 1 (train) or 2 (val)", remedy="correct the list"
            )
        if line == wanted:
            stems.append(f"{position:05d}")
    return stems


def _require_files(folder: Path, stems: Sequence[str]) -> None:
    there = {file.name for file in folder.iterdir()}
    endings = ("_img1.ppm", "_img2.ppm", "_flow.flo")
    missing = [stem + ending for stem in stems for ending in endings if stem + ending not in there]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(stems) * len(endings)} files of {folder} are missing, the first is {missing[0]}",
            remedy=_HINT,
        )
