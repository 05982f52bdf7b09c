"""One side of tools/compare_loading.py, in whatever environment has what it needs.

    python tools/loading_worker.py SIDE TASK FOLDER

A side is ``mobileseg``, ``albumentations`` or ``torchvision``, a task one of those that tools/compare_loading.py
describes; the folder has what that tool wrote into it. Questions come as lines of JSON, ``{"epoch": N, "count": N,
"workers": N}``, and are answered by ``{"images": N, "cpu": SECONDS, "wall": SECONDS}``: what it took to have that many
batches of `BATCH` samples, of this process and its data workers together, after the first batch of every worker.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

BATCH = 8
CROP = 512
INPUT = 550
SCALES = (0.5, 2.0)
JITTER = 0.5  # of brightness, contrast and saturation, labels
BRIGHTNESS, HUE = 32.0, 18.0  # grey levels and degrees, objects
PADDING, IGNORED = 127.5, 255
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Batches = Callable[[int, int, int], Iterable[Any]]
"""(epoch, number of batches, data workers) -> batches."""


def main(words: list[str]) -> None:
    """Answer the questions of standard input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print belongs to no answer
    cv2.setNumThreads(0)
    side, task, folder = words
    batches = {"mobileseg": mobileseg, "albumentations": albumentations, "torchvision": torchvision}[side](
        task, Path(folder)
    )
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(measured(batches, **json.loads(line))), file=answers, flush=True)


def measured(batches: Batches, epoch: int, count: int, workers: int) -> dict[str, float]:
    """The answer to a question; see the module."""
    stream = iter(batches(epoch, workers + count, workers))
    for _ in range(workers):
        next(stream)
    start = time.perf_counter(), processor_seconds()
    taken = 0
    for _ in range(count):
        next(stream)
        taken += 1
    end = time.perf_counter(), processor_seconds()
    getattr(stream, "close", lambda: None)()  # ends the workers of ours; a DataLoader ends its own when it is forgotten
    return {"images": taken * BATCH, "wall": end[0] - start[0], "cpu": end[1] - start[1]}


def processor_seconds() -> float:
    """Of this process, and (by the kernel's ticks) of the processes that it started and that are alive."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[1]) == os.getpid():
            ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def labelled_items(folder: Path) -> list[tuple[str, str]]:
    """Image and label files."""
    lines = (folder / "train.txt").read_text(encoding="utf-8").splitlines()
    return [(image, label) for image, label in (line.split("\t") for line in lines)]


# ---------------------------------------------------------------------------------------------------------- mobileseg


def mobileseg_transforms(task: str) -> list[dict[str, Any]]:
    """The ``transforms:`` of a configuration."""
    normalize = {"type": "Normalize", "mean": list(MEAN), "std": list(STD)}
    if task == "labels":
        jitter: dict[str, float] = {"hue_prob": 0}
        for name in ("brightness", "contrast", "saturation"):
            jitter |= {f"{name}_range": JITTER, f"{name}_prob": 1}
        return [
            {"type": "ResizeStepScaling", "min_scale_factor": SCALES[0], "max_scale_factor": SCALES[1],
             "scale_step_size": 0},
            {"type": "RandomPaddingCrop", "crop_size": [CROP, CROP], "im_padding_value": PADDING},
            {"type": "RandomHorizontalFlip"},
            {"type": "RandomDistort", **jitter},
            normalize,
        ]  # fmt: skip
    return [
        {"type": "PhotometricDistort", "brightness": BRIGHTNESS, "hue": HUE},
        *([{"type": "RandomExpand"}] if task == "objects" else []),
        {"type": "RandomInstanceCrop"},
        {"type": "Resize", "target_size": [INPUT, INPUT]},
        {"type": "RandomHorizontalFlip"},
        {"type": "DiscardSmallInstances"},
        normalize,
    ]


def mobileseg(task: str, folder: Path) -> Batches:
    """The suite, with the memory of its data workers."""
    from mobileseg.data.base import SegmentationDataset
    from mobileseg.data.formats.coco import CocoInstances
    from mobileseg.data.items import Item
    from mobileseg.data.loading.batching import SampleOrder, batch_at
    from mobileseg.data.loading.workers import batches_from_workers
    from mobileseg.kept_memory import kept_memory

    dataset: Any
    if task == "labels":
        items = [Item(Path(image), Path(label)) for image, label in labelled_items(folder)]
        classes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
        dataset = SegmentationDataset(
            items, mode="train", transforms=mobileseg_transforms(task), classes=classes, ignore_index=IGNORED
        )
    else:
        dataset = CocoInstances(
            str(folder),
            mode="train",
            transforms=mobileseg_transforms(task),
            annotation_file=str(folder / "instances.json"),
            image_dir=(folder / "images.txt").read_text(encoding="utf-8").strip(),
        )
    order = SampleOrder(len(dataset), BATCH, seed=0)

    def batches(epoch: int, count: int, workers: int) -> Iterable[Any]:
        start = epoch * order.batches_per_epoch
        if workers:
            return batches_from_workers(dataset, order, start, start + count, workers)
        return here(start, count)

    def here(start: int, count: int) -> Iterable[Any]:
        with kept_memory():
            for position in range(start, start + count):
                yield batch_at(dataset, order, position)

    return batches


# -------------------------------------------------------------------------------------------------------------- peers


def loader(dataset: Any, collate: Callable[[list[Any]], Any] | None) -> Batches:
    """torch's DataLoader over a dataset, in a random order of the epoch."""
    import torch
    from torch.utils.data import DataLoader

    torch.set_num_threads(1)

    def batches(epoch: int, count: int, workers: int) -> Iterable[Any]:
        rng = np.random.default_rng(epoch)
        rounds = -(-count * BATCH // len(dataset))
        order = np.concatenate([rng.permutation(len(dataset)) for _ in range(rounds)])[: count * BATCH]
        return DataLoader(
            dataset, BATCH, sampler=order.tolist(), num_workers=workers, collate_fn=collate, worker_init_fn=one_thread
        )

    return batches


def one_thread(worker: int) -> None:
    """What the documentation of albumentations advises for data workers."""
    cv2.setNumThreads(0)


def apart(samples: list[Any]) -> Any:
    """Images of a batch as one tensor, objects per image, as torchvision's detectors take them."""
    import torch

    images, targets = zip(*samples, strict=True)
    return torch.stack(images), targets


class Objects:
    """Images and objects of a COCO file, by pycocotools."""

    def __init__(self, folder: Path) -> None:
        from pycocotools.coco import COCO

        self.coco = COCO(str(folder / "instances.json"))
        self.ids = sorted(self.coco.imgs)
        self.folder = Path((folder / "images.txt").read_text(encoding="utf-8").strip())

    def __len__(self) -> int:
        return len(self.ids)

    def truth(self, index: int) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
        """File, masks uint8 [n, H, W], boxes float32 [n, 4] (corners) and classes int64 [n]."""
        found = [row for row in self.coco.imgToAnns[self.ids[index]] if min(row["bbox"][2:]) > 0]
        masks = np.stack([self.coco.annToMask(row) for row in found])
        boxes = np.array([row["bbox"] for row in found], np.float32)
        boxes[:, 2:] += boxes[:, :2]
        name = self.coco.imgs[self.ids[index]]["file_name"]
        return str(self.folder / name), masks, boxes, np.array([row["category_id"] for row in found], np.int64)


def read_rgb(path: str) -> np.ndarray:
    """uint8 [H, W, 3], the shortest way that this OpenCV has."""
    if hasattr(cv2, "IMREAD_COLOR_RGB"):
        return cv2.imread(path, cv2.IMREAD_COLOR_RGB)
    return cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)


class AlbumentationsLabels:
    """Images with index masks."""

    def __init__(self, folder: Path) -> None:
        import albumentations as a
        from albumentations.pytorch import ToTensorV2

        self.items = labelled_items(folder)
        self.transform = a.Compose([
            a.RandomScale(scale_limit=(SCALES[0] - 1, SCALES[1] - 1), p=1),
            a.PadIfNeeded(CROP, CROP, position="top_left", border_mode=cv2.BORDER_CONSTANT, fill=PADDING,
                          fill_mask=IGNORED),
            a.RandomCrop(CROP, CROP),
            a.HorizontalFlip(p=0.5),
            a.ColorJitter(brightness=(1 - JITTER, 1 + JITTER), contrast=(1 - JITTER, 1 + JITTER),
                          saturation=(1 - JITTER, 1 + JITTER), hue=0, p=1),
            a.Normalize(MEAN, STD),
            ToTensorV2(),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        image, label = self.items[index]
        moved = self.transform(image=read_rgb(image), mask=cv2.imread(label, cv2.IMREAD_UNCHANGED))
        return moved["image"], moved["mask"].long()


class AlbumentationsObjects(Objects):
    """Images with boxes and masks. There is no crop by overlap: the crop keeps all boxes."""

    def __init__(self, folder: Path) -> None:
        import albumentations as a
        from albumentations.pytorch import ToTensorV2

        super().__init__(folder)
        plain = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}
        shift = BRIGHTNESS / 255
        jitter = {"brightness": (1 - shift, 1 + shift), "contrast": (0.5, 1.5), "saturation": (0.5, 1.5)}
        jitter["hue"] = (-HUE / 360, HUE / 360)
        self.transform = a.Compose(
            [
                *(a.ColorJitter(**(plain | {name: value}), p=0.5) for name, value in jitter.items()),
                a.BBoxSafeRandomCrop(p=5 / 6),
                a.Resize(INPUT, INPUT),
                a.HorizontalFlip(p=0.5),
                a.Normalize(MEAN, STD),
                ToTensorV2(),
            ],
            bbox_params=a.BboxParams(
                format="pascal_voc", label_fields=["numbers"], clip=True, min_width=4, min_height=4
            ),
        )

    def __getitem__(self, index: int) -> Any:
        path, masks, boxes, classes = self.truth(index)
        moved = self.transform(image=read_rgb(path), masks=masks, bboxes=boxes, numbers=np.arange(len(boxes)))
        kept = np.asarray(moved["numbers"], np.int64)
        return moved["image"], {"boxes": moved["bboxes"], "masks": moved["masks"][kept], "labels": classes[kept]}


def albumentations(task: str, folder: Path) -> Batches:
    """Transforms of albumentations, torch's DataLoader."""
    if task == "labels":
        return loader(AlbumentationsLabels(folder), None)
    if task == "objects":
        sys.exit("albumentations has no transform that expands the canvas around an image and its objects")
    return loader(AlbumentationsObjects(folder), apart)


class TorchvisionLabels:
    """Images with index masks."""

    def __init__(self, folder: Path) -> None:
        import torch
        from torchvision import tv_tensors
        from torchvision.transforms import v2

        self.items = labelled_items(folder)
        fill: Any = {tv_tensors.Image: PADDING, tv_tensors.Mask: IGNORED}
        self.transform = v2.Compose([
            v2.RandomCrop(CROP, pad_if_needed=True, fill=fill),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(JITTER, JITTER, JITTER),
            v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64}, scale=True),
            v2.Normalize(MEAN, STD),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        import torch
        from torchvision import io, tv_tensors
        from torchvision.transforms.v2 import functional

        image = tv_tensors.Image(io.decode_image(io.read_file(self.items[index][0]), io.ImageReadMode.RGB))
        label = tv_tensors.Mask(io.decode_image(io.read_file(self.items[index][1])))
        scale = float(torch.empty(1).uniform_(*SCALES))  # v2 has no transform that draws a factor of the size
        size = [round(side * scale) for side in image.shape[-2:]]
        moved, mask = self.transform(functional.resize(image, size, antialias=False), functional.resize(label, size))
        return moved, mask[0]


class TorchvisionObjects(Objects):
    """Images with boxes and masks."""

    def __init__(self, folder: Path, expand: bool) -> None:
        import torch
        from torchvision import tv_tensors
        from torchvision.transforms import v2

        super().__init__(folder)
        shift = BRIGHTNESS / 255
        colours = v2.RandomPhotometricDistort(
            brightness=(1 - shift, 1 + shift), contrast=(0.5, 1.5), saturation=(0.5, 1.5), hue=(-HUE / 360, HUE / 360)
        )
        fill: Any = {tv_tensors.Image: [123.68, 116.78, 103.94], tv_tensors.Mask: 0}
        self.transform = v2.Compose([
            colours,
            *([v2.RandomZoomOut(fill=fill)] if expand else []),
            v2.RandomIoUCrop(),
            v2.Resize((INPUT, INPUT), antialias=False),
            v2.RandomHorizontalFlip(),
            v2.SanitizeBoundingBoxes(min_size=4),
            v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
            v2.Normalize(MEAN, STD),
        ])  # fmt: skip

    def __getitem__(self, index: int) -> Any:
        import torch
        from torchvision import io, tv_tensors

        path, masks, boxes, classes = self.truth(index)
        image = tv_tensors.Image(io.decode_image(io.read_file(path), io.ImageReadMode.RGB))
        size = (image.shape[-2], image.shape[-1])
        target = {
            "boxes": tv_tensors.BoundingBoxes(torch.from_numpy(boxes), format="XYXY", canvas_size=size),  # type: ignore[call-overload,unused-ignore]
            "masks": tv_tensors.Mask(torch.from_numpy(masks)),
            "labels": torch.from_numpy(classes),
        }
        return self.transform(image, target)


def torchvision(task: str, folder: Path) -> Batches:
    """Transforms v2 of torchvision, torch's DataLoader."""
    if task == "labels":
        return loader(TorchvisionLabels(folder), None)
    return loader(TorchvisionObjects(folder, expand=task == "objects"), apart)


if __name__ == "__main__":
    main(sys.argv[1:])
