"""From a network's outputs to objects in the pixels of the original image."""

from pathlib import Path

import numpy as np
import pytest

from mobileseg.config.plugins import load_file
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.build import build_transforms
from mobileseg.errors import ConfigError
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.predictor import InstancePredictor, refuse_views
from mobileseg.registry import NETWORKS

pytestmark = pytest.mark.both

QUIET = {"aug_eval": False, "is_slide": False}


@pytest.fixture(scope="module")
def network():
    load_file(Path(__file__).parents[1] / "training" / "toy_detector.py")
    made = NETWORKS.get("ToyDetector")()
    made.eval()
    return made


def prepared(image, size=(64, 96)):
    """Resized to a height and width, and normalised, as validation does it."""
    sample = Sample(image.astype(np.float32), None, {"geometry": []})
    steps = [{"type": "Resize", "target_size": [size[1], size[0]]}, {"type": "Normalize"}]
    for transform in build_transforms(steps):
        sample = transform(sample, np.random.default_rng(0))
    return sample


def picture(scale):
    """A green block in the cell of row 1 and column 3, a blue one in that of row 3 and column 0."""
    image = np.full((64, 96, 3), 20, np.uint8)
    image[16:32, 48:64, 1] = image[48:64, 0:16, 2] = 240
    return image.repeat(scale, 0).repeat(scale, 1)


@pytest.mark.parametrize("scale", [1, 3])
def test_objects_lie_where_they_are_in_the_original(network, scale):
    result = InstancePredictor(network, DetectionOptions(score_threshold=0.5))(prepared(picture(scale)))
    assert sorted(result.classes.tolist()) == [1, 2]
    for kind, box in ((1, (48, 16, 64, 32)), (2, (0, 48, 16, 64))):
        index = result.classes.tolist().index(kind)
        np.testing.assert_allclose(result.boxes[index], np.array(box) * scale, atol=1e-3)
        left, top, right, bottom = np.array(box) * scale
        mask = result.masks[index]
        assert mask.shape == (64 * scale, 96 * scale)
        assert mask[top:bottom, left:right].mean() > 0.95
        reach = 4 * scale  # a pixel of the prototypes: YOLACT cuts masks that much outside of their box
        mask[max(0, top - reach) : bottom + reach, max(0, left - reach) : right + reach] = False
        assert not mask.any()


def test_an_image_that_is_not_resized(network):
    sample = Sample(picture(1).astype(np.float32) / 127.5 - 1, None, {})
    result = InstancePredictor(network, DetectionOptions(score_threshold=0.5))(sample)
    assert result.masks.size == (64, 96)
    assert len(result) == 2


def test_options_reach_the_suppression(network):
    sample = prepared(picture(1))
    assert len(InstancePredictor(network)(sample)) > 2  # what every cell says of every class
    assert len(InstancePredictor(network, DetectionOptions(max_detections=1))(sample)) == 1


def test_nothing_in_the_image(network):
    options = DetectionOptions(score_threshold=0.5)
    result = InstancePredictor(network, options)(prepared(np.zeros((30, 40, 3), np.uint8)))
    assert len(result) == 0
    assert result.masks.size == (30, 40)


def test_padding_is_refused(network):
    sample = prepared(picture(1))
    sample.meta["geometry"].append(("padding", (64, 96)))
    with pytest.raises(ConfigError, match="pad the image"):
        InstancePredictor(network)(sample)


@pytest.mark.parametrize("key", ["aug_eval", "is_slide"])
def test_views_are_refused(key):
    with pytest.raises(ConfigError, match=key):
        refuse_views({**QUIET, key: True})
    refuse_views(QUIET)
