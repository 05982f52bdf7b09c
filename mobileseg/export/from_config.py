"""What a configuration says about an export: size, normalisation, classes, images to verify with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mobileseg import tasks
from mobileseg.data.io import IMAGE_SUFFIXES
from mobileseg.data.pixel_format import PHOTOGRAPH, PixelFormat
from mobileseg.errors import ConfigError, DataError, ExportError
from mobileseg.export.manifest import GOLDEN_FILE, Subject
from mobileseg.export.options import ALL_TARGETS, ExportOptions
from mobileseg.export.recording import CANDIDATES, ITEMS
from mobileseg.viz.palette import palette as generated_palette

if TYPE_CHECKING:
    from mobileseg.config.load import Config
    from mobileseg.data.base import ImageDataset

_TRACED_SIZE = (512, 512)  # (height, width) that a graph for any size is traced and compared at

_GEOMETRIC = {"ResizeByLong", "ResizeByShort", "ResizeToMultiple", "LimitLong", "Padding", "PaddingByAspectRatio"}


@dataclass(frozen=True)
class Images:
    """Images to verify with.

    Attributes:
        pixels: uint8 [h,w,3] RGB each, or as the dataset says.
        source: where they are from, for people.
        real: photographs of the task, rather than synthetic ones.
    """

    pixels: tuple[np.ndarray, ...]
    source: str
    real: bool = True


def options_from(config: Config, changes: Mapping[str, Any], *, any_size: bool = False) -> ExportOptions:
    """Export options of a configuration: its `export` section, its validation transforms, and changes to both.

    Args:
        config: the configuration.
        changes: fields of `ExportOptions` that the caller sets; None leaves the configuration's.
        any_size: where no size is given anywhere, the graph takes all of them, as PaddleSeg's does.

    Raises:
        ExportError: no size is given anywhere, or the options contradict each other.
    """
    data = config.to_dict()
    section = data["export"]
    steps = (data["val_dataset"] or data["train_dataset"] or {}).get("transforms") or []
    kept = ("output_op", "dynamic", "normalize_in_graph", "input_dtype", "layout", "opset", "nms_in_graph")
    pixels = PixelFormat.of_section(data["val_dataset"] or data["train_dataset"])
    values: dict[str, Any] = {key: section[key] for key in kept} | _normalisation(steps, pixels)
    if section["output_size"] is not None:
        values["output_size"] = (section["output_size"]["height"], section["output_size"]["width"])
    size = _size(section, steps)
    if size is not None:
        values["height"], values["width"] = size
    values |= {key: value for key, value in changes.items() if value is not None}
    if "height" not in values and any_size:
        height, width = _TRACED_SIZE
        values |= {"height": height, "width": width, "dynamic": True, "any_size": True}
    if "height" not in values:
        raise ExportError(
            f"{config.path} does not say for which input size to export",
            remedy="--size HEIGHT WIDTH, or `export: {size: {height: ..., width: ...}}` in the configuration",
        )
    return ExportOptions(**values)


def warnings_of(config: Config, options: ExportOptions, dataset: ImageDataset | None = None) -> list[str]:
    """What deployment does otherwise than the configuration's validation, as far as the configuration tells.

    With the validation dataset at hand, images are compared instead (:mod:`mobileseg.export.validation_gap`).
    """
    data = config.to_dict()
    found = []
    if options.nms_in_graph and data["detection"]["nms"] != "traditional":
        found.append(
            f"detection.nms is {data['detection']['nms']}; the exported graph has greedy NMS (traditional) instead"
        )
    steps = (data["val_dataset"] or {}).get("transforms") or []
    other = [step["type"] for step in steps if step["type"] in _GEOMETRIC]
    if other and dataset is None and not options.dynamic:
        found.append(
            f"validation uses {', '.join(other)}; the exported graph takes images stretched to "
            f"{options.height}x{options.width} (height x width) instead"
        )
    return found


def targets_from(config: Config) -> tuple[str, ...] | None:
    """Targets that the configuration names; None when it leaves them open."""
    named = config.to_dict()["export"]["targets"]
    return None if named is None else tuple(target for target in ALL_TARGETS if target in named)


def subject_from(config: Config, network: Any, dataset: ImageDataset | None, zoo: Path | None = None) -> Subject:
    """Name, classes and palette of a network.

    Classes come from the dataset, else from the artefact beside zoo weights, else from the dataset's component
    (Cityscapes is Cityscapes without its files), else they are numbered.

    Raises:
        ExportError: the number of classes is not known.
    """
    from mobileseg.runtime.manifest import is_artefact

    model = config.to_dict()["model"] or {}
    count = model.get("num_classes") or getattr(network, "num_classes", None)
    if count is None:
        raise ExportError(
            "neither the configuration nor the network says how many classes there are",
            remedy="write model: {num_classes: ...}",
        )
    count = int(count)
    section = config.to_dict()["val_dataset"] or config.to_dict()["train_dataset"] or {}
    classes, colours = _classes(section, dataset, zoo)
    if len(classes) != count:
        classes, colours = tuple(f"class {index}" for index in range(count)), generated_palette(count)
    return Subject(
        # A checkpoint folder is called `best` or `last`: only a folder that was exported carries a name.
        name=zoo.name if zoo is not None and is_artefact(zoo) else config.name,
        classes=tuple(classes),
        palette=tuple((int(r), int(g), int(b)) for r, g, b in np.asarray(colours)),
        ignore_index=int(section.get("ignore_index", 255)),
        config_sha256=config.hash,
        multiple=int(getattr(network, "size_multiple", 32)),
        settings=tasks.stage(network, "export").settings_from(config.to_dict(), dataset),
    )


def dataset_from(config: Config) -> ImageDataset | None:
    """The validation dataset, or None when its files are not on this machine."""
    from mobileseg.config.build import build_dataset

    section = config.to_dict()["val_dataset"]
    if section is None:
        return None
    try:
        return build_dataset(section)
    except (DataError, ConfigError):
        return None


def images_from(
    given: Sequence[str | Path],
    dataset: ImageDataset | None,
    zoo: Path | None,
    size: tuple[int, int],
    pixels: PixelFormat = PHOTOGRAPH,
) -> Images:
    """Images to verify with: the given ones, else the dataset's, else those stored in the zoo, else synthetic ones.

    Args:
        given: files and folders.
        dataset: the validation dataset, None when it is not there.
        zoo: folder of zoo weights.
        size: (height, width) for synthetic images.
        pixels: what images have.

    Raises:
        ExportError: fewer than four given images.
        DataError: an image cannot be read.
    """
    if given:
        files = _files(given)
        if len(files) < ITEMS:
            raise ExportError(
                f"--images names {len(files)} images, verification needs at least {ITEMS}",
                remedy="name a folder of images, or more files",
            )
        names = ", ".join(Path(path).resolve().name for path in given)  # no path of this machine goes into the folder
        return Images(tuple(pixels.read(path) for path in _spread(files)), names)
    if dataset is not None and len(dataset) >= ITEMS:
        paths = _spread([item.image for item in dataset.items])
        return Images(tuple(pixels.read(path) for path in paths), f"the {dataset.mode} part of {dataset.source}")
    if zoo is not None and (zoo / GOLDEN_FILE).is_file():
        with np.load(zoo / GOLDEN_FILE, allow_pickle=False) as archive:
            stored = tuple(archive[key] for key in archive.files if key.startswith("image."))
        if len(stored) >= ITEMS:
            return Images(stored, f"{GOLDEN_FILE} of {zoo.name}")
    return Images(
        tuple(_of_format(image, pixels) for image in synthetic_images(size)),
        f"the suite's generator (no validation dataset of {ITEMS} or more images is here)",
        real=False,
    )


def _of_format(image: np.ndarray, pixels: PixelFormat) -> np.ndarray:
    """A photograph, uint8 [H,W,3], with other channels and another range."""
    low, high = pixels.limits
    values = low + image.astype(np.float64) * ((high - low) / 255.0)
    picked = values[..., [index % 3 for index in range(pixels.channels)]]
    return np.rint(picked).astype(pixels.dtype)


def synthetic_images(size: tuple[int, int], count: int = CANDIDATES) -> tuple[np.ndarray, ...]:
    """Scenes of the suite's own dataset, uint8 [H,W,3]."""
    from mobileseg.data.synthetic.scene import draw_scene

    images = []
    for index in range(count):
        rng = np.random.default_rng([0, 1, 0, index])
        scene = draw_scene(rng, size[0], size[1], "val")
        images.append(np.asarray(scene.image(scene.ids(), rng), np.uint8))
    return tuple(images)


def _normalisation(steps: Sequence[Mapping[str, Any]], pixels: PixelFormat) -> dict[str, Any]:
    """Mean and std of pixel values that are scaled so that their range has length 1."""
    low, high = pixels.limits
    step = next((step for step in steps if step["type"] == "Normalize"), None)
    # Without a step, trained on 0..255 as they are: (x / 255 - 0) / (1 / 255).
    mean, std = (step.get("mean", 0.5), step.get("std", 0.5)) if step is not None else (0.0, 1 / 255)
    shift = low / (high - low)
    return {
        "mean": tuple(value + shift for value in _per_channel(mean, pixels.channels)),
        "std": _per_channel(std, pixels.channels),
        "pixel_range": (low, high),
    }


def _per_channel(value: float | Sequence[float], channels: int) -> tuple[float, ...]:
    numbers = np.ravel(np.asarray(value, np.float64))
    spread = numbers if numbers.size == channels else np.full(channels, numbers[0])
    return tuple(float(number) for number in spread)


def _size(section: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> tuple[int, int] | None:
    if section["size"] is not None:
        return section["size"]["height"], section["size"]["width"]
    for step in steps:
        if step["type"] == "Resize" and step.get("target_size"):
            target = step["target_size"]
            width, height = (target, target) if isinstance(target, int) else target
            return int(height), int(width)
    return None


def _classes(section: Mapping[str, Any], dataset: ImageDataset | None, zoo: Path | None) -> tuple[Sequence[str], Any]:
    from mobileseg.registry import DATASETS
    from mobileseg.runtime.manifest import Manifest, is_artefact
    from mobileseg.training.weights import classes_of

    if dataset is not None:
        return dataset.classes, dataset.palette
    if zoo is not None and is_artefact(zoo):
        manifest = Manifest.read(zoo)
        return manifest.classes, manifest.palette
    component = DATASETS.get(section["type"]) if section.get("type") in DATASETS else None
    names = (classes_of(zoo) if zoo is not None else ()) or getattr(component, "CLASSES", ())
    colours = getattr(component, "PALETTE", None)
    fits = colours is not None and len(colours) == len(names)
    return names, colours if fits else generated_palette(len(names))


def _files(given: Sequence[str | Path]) -> list[Path]:
    files: list[Path] = []
    for name in given:
        path = Path(name)
        if path.is_dir():
            files += sorted(item for item in path.rglob("*") if item.suffix.lower() in IMAGE_SUFFIXES)
        else:
            files.append(path)
    return files


def _spread(paths: Sequence[Path]) -> list[Path]:
    """Up to `CANDIDATES` of the paths, evenly over the whole list."""
    count = min(CANDIDATES, len(paths))
    return [paths[index * len(paths) // count] for index in range(count)]
