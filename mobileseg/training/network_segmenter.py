"""The call of `mobileseg.Segmenter` for a network that has not been exported: weights and configuration."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.config.build import build_dataset, build_network
from mobileseg.config.classes import require_same_classes
from mobileseg.config.load import RUN_CONFIG, Config, load_config
from mobileseg.data.pixel_format import PixelFormat
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.build import build_transforms
from mobileseg.errors import ConfigError, DataError, RuntimeEngineError
from mobileseg.registry import DATASETS
from mobileseg.runtime.images import ImageLike, load_image
from mobileseg.runtime.manifest import Manifest, is_artefact
from mobileseg.runtime.segmenter import milliseconds_since
from mobileseg.structures import InstanceResult, SemanticResult, of_image
from mobileseg.tasks import task_of
from mobileseg.tracking.options import TrackingOptions
from mobileseg.tracking.tracker import with_ids
from mobileseg.training.predictors import make_predictor
from mobileseg.training.store import run_folder_of
from mobileseg.training.task import FollowsObjects, Predictor
from mobileseg.training.weights import OTHER_CLASSES, classes_of, load_checkpoint_weights
from mobileseg.viz.palette import palette as generated_palette


class NetworkSegmenter:
    """Segments images with a network in Paddle, transformed as the validation set of its configuration.

    Args:
        config: resolved configuration.
        weights: run folder, checkpoint folder, zoo folder or weights file.
        test_config: flips, scales and window (``test_config:`` of the configuration when None).

    Raises:
        ConfigError: the configuration has no validation transforms to prepare an image with.
        WeightsError: the weights are of another network.
    """

    engine_name = "network"

    def __init__(
        self, config: Config, weights: str | os.PathLike[str], test_config: Mapping[str, Any] | None = None
    ) -> None:
        config.require("val_dataset")
        data = config.to_dict()
        self.name = config.name
        self.pixels = PixelFormat.of_section(data["val_dataset"])
        self._transforms = build_transforms(data["val_dataset"].get("transforms"))
        network = build_network(config, load_pretrained=False)
        self.weights = load_checkpoint_weights(os.fspath(weights), network)
        network.eval()
        self.task = task_of(network)
        self._predictor = partial(make_predictor, network, data, test_config)
        self._predictor()  # what is wrong with the options is said here
        self.classes, self.palette, self.category_ids = _appearance(data, Path(weights))

    @classmethod
    def of_folder(
        cls, folder: str | os.PathLike[str], test_config: Mapping[str, Any] | None = None
    ) -> NetworkSegmenter:
        """From a run, checkpoint or zoo folder, which carries its resolved configuration.

        Raises:
            ConfigError: there is no config.yml.
        """
        run = run_folder_of(Path(folder))
        if not (run / RUN_CONFIG).is_file():
            raise ConfigError(
                f"{folder} is neither an exported model (no deploy.yaml) nor a run (no {RUN_CONFIG})"
                if not is_artefact(folder)
                else f"{folder} has graphs but no {RUN_CONFIG}, so the network cannot be built from it",
                remedy="name an exported model, a run folder or a zoo folder, or give --config with --model_path",
            )
        return cls(load_config(run / RUN_CONFIG), folder, test_config)

    def __call__(self, image: ImageLike) -> SemanticResult | InstanceResult:
        """Segment one image: a stream of one frame.

        Args:
            image: uint8 [H, W, 3] in RGB, the path of a file, or a `PIL.Image`.

        Returns:
            Labels or objects in the pixels of the image. The 'inference' includes the way back to its size.
        """
        found: SemanticResult | InstanceResult = of_image(self.stream().step(image))
        return found

    def stream(
        self, *, track: bool | Mapping[str, Any] | TrackingOptions | None = None, smooth: float | None = None
    ) -> NetworkStream:
        """A stream of frames; see :meth:`mobileseg.runtime.segmenter.Segmenter.stream`.

        Raises:
            RuntimeEngineError: smoothing, which exported models alone do, or an option that the network does not know.
            ConfigError: options that cannot be used.
        """
        if smooth is not None:
            raise RuntimeEngineError("only exported models smooth their labels", remedy="export the network first")
        predict = self._predictor()
        if isinstance(predict, FollowsObjects):
            return NetworkStream(self, predict.for_stream(track), None)
        return NetworkStream(self, predict, TrackingOptions.of(track))

    def prepare(self, image: ImageLike) -> tuple[Sample, dict[str, float]]:
        """The image behind the validation transforms, and the milliseconds that it took."""
        times: dict[str, float] = {}
        if not isinstance(image, np.ndarray):
            start = time.perf_counter()
            image = load_image(image, self.pixels)
            times["decode"] = milliseconds_since(start)
        start = time.perf_counter()
        sample = Sample(self.pixels.levels(image), None, {"geometry": [], "frame": image})
        rng = np.random.default_rng(0)
        for transform in self._transforms:
            sample = transform(sample, rng)
            if sample.image.ndim == 2:  # OpenCV drops an axis of length 1
                sample.image = sample.image[..., None]
        times["preprocess"] = milliseconds_since(start)
        return sample, times


class NetworkStream:
    """Frames of one source, in their order; made by `NetworkSegmenter.stream`.

    Args:
        segmenter: prepares the frames.
        predict: of this stream alone; what it remembers belongs to the frames so far.
        tracking: the tracker gives the objects ids; None for those that the network gives, or none.
    """

    def __init__(self, segmenter: NetworkSegmenter, predict: Predictor, tracking: TrackingOptions | None) -> None:
        self._segmenter = segmenter
        self._predict = predict
        self._tracking = tracking
        self._memory: dict[str, Any] = {}

    def step(self, image: ImageLike) -> SemanticResult | InstanceResult:
        """Segment the next frame; see :meth:`NetworkSegmenter.__call__`.

        Raises:
            RuntimeEngineError: ids are asked for, and the network finds no objects.
        """
        sample, times = self._segmenter.prepare(image)
        start = time.perf_counter()
        found = self._predict(sample)
        if self._tracking is not None:
            if not isinstance(found, InstanceResult):
                raise RuntimeEngineError(
                    f"'{self._segmenter.name}' finds no objects that could be tracked",
                    remedy="leave tracking out, or use an instance segmentation model",
                )
            found = with_ids(found, self._memory, self._tracking)
        times["inference"] = milliseconds_since(start)
        result: SemanticResult | InstanceResult = replace(found, times=times)
        return result


def _appearance(data: Mapping[str, Any], weights: Path) -> tuple[tuple[str, ...], np.ndarray, tuple[int, ...] | None]:
    """Class names, colours and COCO numbers: from a manifest beside the weights, the dataset, its class, or made up."""
    folder = weights if weights.is_dir() else weights.parent
    if is_artefact(folder):
        manifest = Manifest.read(folder)
        return manifest.classes, np.asarray(manifest.palette, np.uint8), (manifest.settings or {}).get("category_ids")
    count = int(data["model"]["num_classes"])
    section = data["val_dataset"]
    trained = classes_of(weights)
    try:
        dataset = build_dataset(section)
    except (ConfigError, DataError):  # the images need not be on this machine to predict others
        component = DATASETS.get(section["type"])
    else:
        require_same_classes(trained, dataset.classes, (str(weights), "val_dataset"), OTHER_CLASSES)
        return dataset.classes, dataset.palette, getattr(dataset, "category_ids", None)
    names = trained or getattr(component, "CLASSES", None) or section.get("classes")
    if isinstance(names, str) or names is None or len(names) != count:
        names = [f"class {index}" for index in range(count)]
    colours = getattr(component, "PALETTE", None)
    if colours is None or len(colours) != count:
        colours = generated_palette(count)
    return tuple(names), np.asarray(colours, np.uint8), None
