"""Whether an exported model sees an image as validation did, and what it costs when it does not.

A manifest says: resize to one size, scale, mean and std. Validation transforms can say more (a kept aspect ratio, two
steps of resizing, another interpolation), and a score measured with them is then not that of the exported model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mobileseg.data.subset import subset_of
from mobileseg.errors import MobileSegError
from mobileseg.export.options import ExportOptions
from mobileseg.export.recording import normalised
from mobileseg.nn.modes import evaluating
from mobileseg.pixels import resize_bilinear

IMAGES = 8
_LIMIT = 1e-3  # of normalised values: what rounding in another order does is far below it


def difference(dataset: Any, options: ExportOptions) -> str:
    """How the input of validation differs from that of deployment, '' when it does not.

    Args:
        dataset: validation dataset with its transforms, not empty.
        options: form of the export.

    Raises:
        DataError: the image cannot be read.
    """
    for index in {0, len(dataset) // 2}:
        seen = np.asarray(dataset.prepare(index).image)
        image = options.pixels.read(dataset.items[index].image)
        size = (seen.shape[0], seen.shape[1]) if options.dynamic else (options.height, options.width)
        if options.dynamic and size != image.shape[:2]:
            return f"validation resizes {_size(image)} images to {_size(seen)}, a dynamic graph takes them as they are"
        if seen.shape[:2] != size:
            return (
                f"validation feeds {_size(image)} images as {_size(seen)}, the exported model takes {size[0]}x{size[1]}"
            )
        deployed = normalised(resize_bilinear(image, size), options)
        worst = float(np.abs(seen - deployed).max(initial=0.0))
        if worst > _LIMIT:
            return f"what the network is fed for {_size(image)} images differs by up to {worst:.2g} (normalised values)"
    return ""


def warning(network: Any, config: Any, dataset: Any, folder: Any, options: ExportOptions) -> str:
    """One line for the reader when validation and deployment see images otherwise, with both scores; '' else.

    Args:
        network: with trained weights.
        config: of the network.
        dataset: validation dataset.
        folder: artefact that was written.
        options: its form.
    """
    try:
        found = difference(dataset, options)
        if not found:
            return ""
        both = _scores(network, config, dataset, folder)
    except MobileSegError as error:
        return f"deployment could not be compared with validation: {error.message}"
    return (
        f"the exported model does not see images as validation did: {found}; {both}; to validate what is deployed, "
        "write Resize to the deployed size and Normalize into val_dataset.transforms"
    )


def _scores(network: Any, config: Any, dataset: Any, folder: Any) -> str:
    from mobileseg.runtime.segmenter import Segmenter
    from mobileseg.training.evaluator import SegmenterPredictor, evaluate
    from mobileseg.training.predictors import make_predictor

    some = subset_of(dataset, IMAGES)
    with evaluating(network):
        validated = evaluate(make_predictor(network, config.to_dict()), some)
    deployed = evaluate(SegmenterPredictor(Segmenter(folder)), some)
    return (
        f"{validated.metric} on {len(some)} validation images: {validated.score:.4f} as validated, "
        f"{deployed.score:.4f} as deployed"
    )


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[0]}x{pixels.shape[1]}"
