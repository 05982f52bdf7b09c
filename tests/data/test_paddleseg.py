"""Pixels and sizes against PaddleSeg's own transforms and dataset."""

from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.datasets import Dataset
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.build import build_transforms

pytest.importorskip("paddleseg", reason="needs paddleseg (requirements-paddleseg.txt)")

STEPS = [
    {"type": "Resize", "target_size": [70, 50]},
    {"type": "Resize", "target_size": [70, 50], "interp": "AREA"},
    {"type": "Resize", "target_size": [70, 50], "keep_ratio": True},
    {"type": "Resize", "target_size": [50, 70], "keep_ratio": True, "size_divisor": 16},
    {"type": "ResizeByLong", "long_size": 77},
    {"type": "ResizeByShort", "short_size": 77},
    {"type": "ResizeByShort", "short_size": 77, "max_size": 90},
    {"type": "LimitLong", "max_long": 30},
    {"type": "LimitLong", "min_long": 100},
    {"type": "ResizeStepScaling", "min_scale_factor": 1.5, "max_scale_factor": 1.5},
    {"type": "ResizeRangeScaling", "min_value": 55, "max_value": 55},
    {"type": "Padding", "target_size": [90, 80]},
    {"type": "PaddingByAspectRatio", "aspect_ratio": 2.1},
    {"type": "PaddingByAspectRatio", "aspect_ratio": 0.7},
    {"type": "RandomPaddingCrop", "crop_size": [90, 80]},
    {"type": "RandomHorizontalFlip", "prob": 1.1},
    {"type": "RandomVerticalFlip", "prob": 1.1},
    {"type": "RandomCenterCrop", "retain_ratio": [1.0, 1.0]},
    {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
]


@pytest.mark.parametrize("size", [(41, 60), (60, 41)])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: "-".join(map(str, step.values())))
def test_transforms_that_leave_nothing_to_chance(step: dict, size: tuple[int, int], picture) -> None:
    from paddleseg import transforms

    arguments = {key: value for key, value in step.items() if key != "type"}
    reference = getattr(transforms, step["type"])(**arguments)
    image = picture(*size).astype(np.float32)
    label = (picture(*size)[..., 0] // 90).astype(np.uint8)
    theirs = reference({"img": image.copy(), "label": label.copy(), "gt_fields": ["label"], "trans_info": []})
    (transform,) = build_transforms([{**step, **({"prob": 1} if "prob" in step else {})}])
    ours = transform(Sample(image.copy(), label.copy()), np.random.default_rng(0))
    assert ours.image.shape == theirs["img"].shape
    np.testing.assert_allclose(ours.image, theirs["img"], atol=1e-5 if step["type"] == "Normalize" else 0)
    assert ours.label.shape == theirs["label"].shape
    if ours.size == size or ("Resize" not in step["type"] and step["type"] != "LimitLong"):
        np.testing.assert_array_equal(ours.label, theirs["label"])
    else:  # labels: the pixel under the centre here, the one at the corner there
        assert (ours.label == theirs["label"]).mean() > 0.75


def test_items_of_a_list_file(photos: Path) -> None:
    from paddleseg import datasets, transforms

    root = photos / "camvid"
    lists = {"mode": "val", "val_path": str(root / "val.txt"), "dataset_root": str(root), "num_classes": 11}
    theirs = datasets.Dataset(transforms=[transforms.Normalize()], **lists)
    ours = Dataset(transforms=[{"type": "Normalize"}], **lists)
    assert len(ours) == len(theirs)
    for index in (0, 50, 100):
        expected, item = theirs[index], ours[index]
        np.testing.assert_allclose(item["image"], expected["img"], atol=1e-6)
        np.testing.assert_array_equal(item["label"], expected["label"][0])
