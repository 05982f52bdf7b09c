"""From a network of the instance family and a sample to objects in the pixels of the original image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle

from mobileseg.data.sample import Sample
from mobileseg.errors import ConfigError
from mobileseg.instance.postprocess import DetectionOptions, instances_from_outputs
from mobileseg.structures import InstanceResult

OUTPUTS = ("loc", "conf", "mask", "proto")
"""What a network of the family gives in evaluation mode, all with a batch axis."""


class InstancePredictor:
    """Objects of a prepared sample by a network in evaluation mode.

    Args:
        network: gives :data:`OUTPUTS` and has ``anchors(height, width)``.
        options: thresholds and NMS.
    """

    def __init__(self, network: paddle.nn.Layer, options: DetectionOptions | None = None) -> None:
        self.network = network
        self.options = options or DetectionOptions()

    @paddle.no_grad()
    def outputs(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Raw outputs, float32 with batch 1, for a normalised image float32 [H, W, 3]."""
        tensor = paddle.to_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32))
        outputs = self.network(tensor)
        return {name: outputs[name].astype("float32").numpy() for name in OUTPUTS}

    def __call__(self, sample: Sample) -> InstanceResult:
        """Objects of a sample that went through the evaluation transforms, at the size before them.

        Raises:
            ConfigError: see :func:`original_size`.
        """
        size = original_size(sample)
        anchors = self.network.anchors(*sample.size)
        return instances_from_outputs(
            self.outputs(sample.image),
            anchors,
            size,
            self.options,
            variances=self.network.variances,
            input_size=sample.size,
        )


def original_size(sample: Sample) -> tuple[int, int]:
    """Height and width of a sample's image before the transforms, to which objects are taken back by stretching.

    Raises:
        ConfigError: the transforms padded the image, of which nothing is cut off again.
    """
    geometry = sample.meta.get("geometry", [])
    if any(step != "resize" for step, _ in geometry):
        raise ConfigError(
            "the validation transforms pad the image, but objects are taken back to it by stretching alone",
            remedy="use Resize to a fixed size and Normalize in val_dataset.transforms",
        )
    height, width = geometry[0][1] if geometry else sample.size
    return int(height), int(width)


def refuse_views(test_config: Mapping[str, Any]) -> None:
    """Scales, flips and windows average scores of pixels, which objects do not have.

    Raises:
        ConfigError: ``test_config`` asks for them.
    """
    wanted = [key for key in ("aug_eval", "is_slide") if test_config.get(key)]
    if wanted:
        raise ConfigError(
            f"{' and '.join(wanted)}: test-time augmentation and sliding windows average the scores of pixels; an "
            "instance segmentation model is evaluated on the whole image as it is",
            remedy="turn aug_eval and is_slide off (test_config of the configuration, or the flags)",
        )
