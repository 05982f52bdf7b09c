"""What transforms share that mix further images of the dataset into an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from mobileseg.data.sample import Sample
from mobileseg.errors import ConfigError


class OtherImages:
    """A transform for training that takes further images, with their objects, from the dataset it belongs to."""

    train_only = True
    _dataset: Any = None

    def attach(self, dataset: Any) -> None:
        """Take images from this dataset.

        Raises:
            ConfigError: it has no still images with objects.
        """
        if not hasattr(dataset, "objects") or hasattr(dataset, "videos"):
            name = type(self).__name__
            raise ConfigError(
                f"{name} mixes still images with objects; the dataset {type(dataset).__name__} is for {dataset.task} "
                "segmentation",
                remedy=f"remove {name}; for clips, PseudoClips has 'paste'",
            )
        self._dataset = dataset

    def _require_dataset(self) -> None:
        if self._dataset is None:
            name = type(self).__name__
            raise ConfigError(f"{name} belongs to no dataset", remedy="name it in the transforms of a dataset")

    def _draw(self, rng: np.random.Generator) -> Sample:
        """A further image as decoded, drawn evenly from those that training draws from."""
        sample: Sample = self._dataset.load(self._dataset.drawn(int(rng.integers(len(self._dataset))), rng))
        return sample
