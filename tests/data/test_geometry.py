"""Image, label and objects move together, whatever transform asks for it."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mobileseg.data.geometry import crop_sample, flip_sample, pad_sample, place_sample, resize_sample, warp_sample
from mobileseg.data.instances import Instances
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.build import build_transforms
from mobileseg.registry import TRANSFORMS

GEOMETRIC = {
    "Resize": {"target_size": [50, 30]},
    "ResizeByLong": {"long_size": 50},
    "ResizeByShort": {"short_size": 48},
    "LimitLong": {"max_long": 50},
    "ResizeRangeScaling": {"min_value": 50, "max_value": 90},
    "ResizeStepScaling": {},
    "Padding": {"target_size": [100, 90], "label_padding_value": 0},
    "PaddingByAspectRatio": {"aspect_ratio": 2, "label_padding_value": 0},
    "RandomPaddingCrop": {"crop_size": [45, 70], "label_padding_value": 0},
    "RandomCenterCrop": {},
    "RandomScaleAspect": {},
    "RandomHorizontalFlip": {"prob": 1},
    "RandomVerticalFlip": {"prob": 1},
    "RandomRotation": {"max_rotation": 60, "label_padding_value": 0},
    "RandomAffine": {"size": [70, 60], "max_rotation": 40, "translation_offset": 5, "label_padding_value": 0},
    "ScalePadding": {"target_size": [80, 80], "im_padding_value": 0, "label_padding_value": 0},
    "RandomExpand": {"prob": 1, "label_padding_value": 0},
    "RandomInstanceCrop": {},
}
OTHERS = {
    "CopyPaste", "DiscardSmallInstances", "Mosaic", "Normalize", "PhotometricDistort", "RandomBlur", "RandomDistort",
    "RandomGrayscale", "RandomNoise",
}  # fmt: skip


def scene(height: int = 60, width: int = 80) -> Sample:
    """One object: a disc, white in the image, 1 in the label."""
    rows, columns = np.mgrid[:height, :width]
    disc = ((rows - 25) ** 2 + (columns - 37) ** 2 <= 19**2).astype(np.uint8)
    image = np.repeat(disc[..., None] * np.float32(255), 3, axis=2)
    return Sample(image, disc.copy(), {}, Instances.from_masks(disc[None], [0], ids=[7]))


def test_every_transform_is_geometric_or_not() -> None:
    own = {name for name in TRANSFORMS if TRANSFORMS.get(name).__module__.startswith("mobileseg.")}
    assert own == set(GEOMETRIC) | OTHERS


@pytest.mark.parametrize("name", GEOMETRIC)
def test_mask_label_and_image_stay_together(name: str) -> None:
    (transform,) = build_transforms([{"type": name, **GEOMETRIC[name]}])
    for seed in range(8):
        sample = transform(scene(), np.random.default_rng(seed))
        height, width = sample.size
        assert sample.instances.size == sample.label.shape == (height, width)
        if not len(sample.instances):  # cut away
            assert sample.label.sum() < 30
            continue
        mask = sample.instances.masks[0]
        if name == "RandomExpand":  # its colour is no black
            white = (sample.image.min(axis=2) > 200) & (mask | sample.label).astype(bool)
        else:
            white = sample.image[..., 0] >= 127.4  # a half belongs to the object
        rim = 4 * (height + width) / 2
        assert np.count_nonzero(mask != sample.label) <= rim  # bilinear against nearest: the rim only
        inner = sample.image[mask == 1, 0]
        assert (inner >= 127).mean() > 0.99
        if name not in ("Padding", "PaddingByAspectRatio", "RandomPaddingCrop", "RandomRotation", "RandomAffine"):
            assert np.count_nonzero(mask != white) <= 2
        rle = coco_mask.encode(np.asfortranarray(mask))
        x, y, box_width, box_height = coco_mask.toBbox(rle)
        np.testing.assert_allclose(sample.instances.boxes[0], [x, y, x + box_width, y + box_height], atol=1.01)
        assert sample.instances.ids.tolist() == [7]


def test_samples_without_objects_pass() -> None:
    for build in (lambda: None, lambda: Instances.empty((60, 80))):
        for name, arguments in GEOMETRIC.items():
            sample = scene()
            sample.instances = build()
            (transform,) = build_transforms([{"type": name, **arguments}])
            sample = transform(sample, np.random.default_rng(3))
            assert (sample.instances is None) == (build() is None)
            if sample.instances is not None:
                assert sample.instances.size == sample.size
                assert len(sample.instances) == 0


def test_helpers_by_hand() -> None:
    def small() -> Sample:
        image = np.arange(12, dtype=np.float32).reshape(3, 4, 1).repeat(3, axis=2)
        mask = np.zeros((1, 3, 4), np.uint8)
        mask[0, 1, 2:] = 1
        return Sample(image, image[..., 0].astype(np.uint8), {"ignore_index": 200}, Instances.from_masks(mask, [0]))

    flipped = flip_sample(small(), 1)
    assert flipped.image[0, :, 0].tolist() == [3, 2, 1, 0]
    assert flipped.label[2].tolist() == [11, 10, 9, 8]
    assert flipped.instances.boxes.tolist() == [[0, 1, 2, 2]]

    cropped = crop_sample(small(), 1, 1, 2, 2)
    assert cropped.image[..., 0].tolist() == [[5, 6], [9, 10]]
    assert cropped.label.tolist() == [[5, 6], [9, 10]]
    assert cropped.instances.boxes.tolist() == [[1, 0, 2, 1]]

    placed = place_sample(small(), 2, 1, 7, 6, (1, 2, 3), None)
    assert placed.image.shape == (6, 7, 3)
    assert placed.image[0, 0].tolist() == [1, 2, 3]
    assert placed.image[2, 1, 0] == 0
    assert placed.label[0, 0] == 200
    assert placed.instances.boxes.tolist() == [[3, 3, 5, 4]]

    padded = pad_sample(small(), 6, 3, 9, 5)
    assert padded.label[0].tolist() == [0, 1, 2, 3, 5, 5]
    assert padded.instances.size == (3, 6)
    assert padded.meta["geometry"] == [("padding", (3, 4))]

    resized = resize_sample(small(), 8, 6)
    assert resized.instances.boxes.tolist() == [[4, 2, 8, 4]]
    assert resized.meta["geometry"] == [("resize", (3, 4))]

    shifted = warp_sample(small(), np.array([[1.0, 0, 1], [0, 1, 0]]), (4, 3), 50, None)
    assert shifted.image[0, :, 0].tolist() == [50, 0, 1, 2]
    assert shifted.label[0].tolist() == [200, 0, 1, 2]
    assert shifted.instances.boxes.tolist() == [[3, 1, 4, 2]]
