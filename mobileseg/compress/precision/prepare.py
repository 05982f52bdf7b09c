"""From a trained network to what is quantised: norms folded, traced, calibrated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from paddle import nn

from mobileseg.compress.fold import fold_norms
from mobileseg.compress.precision import slim
from mobileseg.compress.precision.graph import save_float_graph
from mobileseg.compress.precision.images import choose_images, coverage, read_chosen
from mobileseg.compress.precision.ranges import Call, Ranges, find_calls
from mobileseg.compress.precision.scores import component_paths
from mobileseg.config.build import build_dataset
from mobileseg.config.load import Config
from mobileseg.errors import CompressionError, ConfigError, DataError
from mobileseg.export.conversion.pdmodel import Program
from mobileseg.export.from_config import options_from, subject_from
from mobileseg.export.manifest import Subject
from mobileseg.export.options import ExportOptions
from mobileseg.export.recording import to_input
from mobileseg.export.task import ExportTask
from mobileseg.export.tasks import task_for
from mobileseg.pixels import resize_bilinear


@dataclass(frozen=True)
class Prepared:
    """A network that is ready to be quantised.

    Attributes:
        network: in evaluation mode, norms folded.
        options: form of the graphs.
        subject: name, classes, palette.
        task: of the network.
        program: the float graph.
        model: its file; the weights lie beside it.
        calls: layer -> uses of its kernel.
    """

    network: Any
    options: ExportOptions
    subject: Subject
    task: ExportTask
    program: Program
    model: Path
    calls: dict[str, tuple[Call, ...]]


def prepare(network: Any, config: Config, dataset: Any, work: Path, zoo: Path | None = None) -> Prepared:
    """Fold the norms of a network, in place, and trace it.

    Args:
        network: trained.
        config: its configuration.
        dataset: validation dataset, for names and colours of the classes.
        work: folder for the float graph.
        zoo: folder of the weights, where it is one.

    Raises:
        CompressionError: the export has a dynamic shape, or there is nothing to quantise.
    """
    slim.require_paddleslim()
    options = options_from(config, {})
    if options.dynamic:
        raise CompressionError(
            "an int8 graph is calibrated for one size, and export.dynamic leaves it open",
            remedy="-o export.dynamic=false",
        )
    network.eval()
    fold_norms(network)
    subject = subject_from(config, network, dataset, zoo)
    task = task_for(network, options, subject.settings)
    program = save_float_graph(network, options, work / "float", task)
    layers = dict(network.named_sublayers())
    calls = {
        path: uses
        for path, uses in find_calls(program).items()
        if isinstance(layers.get(path), (nn.Conv2D, nn.Conv2DTranspose))
    }
    return Prepared(network, options, subject, task, program, work / "float.pdmodel", calls)


def calibration_images(prepared: Prepared, config: Config, count: int, say: Callable[[str], None]) -> np.ndarray:
    """What the graph is fed for the images to calibrate with, [N, ...] with one image each.

    Raises:
        CompressionError: no images are wanted.
        DataError: an image cannot be read.
        ConfigError: there is no dataset.
    """
    dataset = _dataset(config, config.compress.quantize.dataset, say)
    chosen = choose_images(dataset, count)
    if len(chosen) < count:
        say(f"the dataset has {len(chosen)} images, fewer than the {count} to calibrate with")
    shown = ", ".join(f"{name} {number}" for name, number in coverage(dataset, chosen).items())
    say(f"calibrate with {len(chosen)} images of {dataset.source}; images that show a class: {shown}")
    options = prepared.options
    size = options.height, options.width
    return np.concatenate(
        [to_input(resize_bilinear(pixels.astype(np.float32), size), options) for pixels in read_chosen(dataset, chosen)]
    )


def calibrate(prepared: Prepared, images: np.ndarray, algorithm: str) -> Ranges:
    """Find the ranges of all activations with PaddleSlim.

    Raises:
        CompressionError: PaddleSlim failed, or left a kernel without a range.
    """
    limits, largest = slim.calibrate(prepared.model, images, algorithm)
    missing = [
        layer for layer, calls in prepared.calls.items() if any(not limits.get(call.input, 0) > 0 for call in calls)
    ]
    if missing:
        raise CompressionError(
            f"the input of {', '.join(missing[:4])} was zero in all images to calibrate with",
            remedy="calibrate with more images, or name the layers in compress.quantize.skip",
        )
    return Ranges(limits, largest, prepared.calls, algorithm, len(images))


def wanted_layers(prepared: Prepared, components: Sequence[str] | None, skip: Sequence[str]) -> list[str]:
    """The layers to run in int8.

    Args:
        prepared: the network.
        components: parts of it that may be quantised; None for all.
        skip: fnmatch patterns of layers that stay in float.

    Raises:
        CompressionError: a component or a pattern that fits nothing, or nothing is left.
    """
    layers = list(prepared.calls)
    if components is not None:
        paths = component_paths(prepared.network)
        unknown = [name for name in components if name not in paths]
        if unknown:
            raise CompressionError(
                f"compress.quantize.components: the network has no component '{unknown[0]}'",
                remedy=f"choose from {', '.join(paths) or 'none: it names no components'}",
            )
        inside = tuple(f"{paths[name]}." for name in components)
        layers = [layer for layer in layers if f"{layer}.".startswith(inside)]
    for pattern in skip:
        if not any(fnmatchcase(layer, pattern) for layer in prepared.calls):
            raise CompressionError(
                f"compress.quantize.skip: no layer matches '{pattern}'",
                remedy=f"names look like {', '.join(list(prepared.calls)[:3])}",
            )
    layers = [layer for layer in layers if not any(fnmatchcase(layer, pattern) for pattern in skip)]
    if not layers:
        raise CompressionError("no layer is left to run in int8", remedy="skip less, or name other components")
    return layers


def _dataset(config: Config, part: str, say: Callable[[str], None]) -> Any:
    """The dataset to calibrate with, its images untransformed; the validation part when there is no training part."""
    settings = config.to_dict()
    section = settings[f"{part}_dataset"]
    other = "val" if part == "train" else "train"
    if section is not None:
        try:
            return build_dataset(section)
        except (DataError, ConfigError) as error:
            if settings[f"{other}_dataset"] is None:
                raise
            say(f"{part}_dataset cannot be used ({error.message.splitlines()[0]}): the {other} part is taken")
    if settings[f"{other}_dataset"] is None:
        raise ConfigError(
            "there are no images to calibrate with: the configuration has neither train_dataset nor val_dataset",
            remedy="add one",
        )
    return build_dataset(settings[f"{other}_dataset"])
