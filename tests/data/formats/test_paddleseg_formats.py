"""Datasets in PaddleSeg's layouts: the files and values that PaddleSeg's own classes find."""

import cv2
import numpy as np
import pytest

from mobileseg.data.base import SegmentationDataset
from mobileseg.data.sample import Sample, undo_geometry
from mobileseg.data.transforms.build import build_transforms
from mobileseg.errors import DataError
from mobileseg.registry import DATASETS

NORMALIZE = [{"type": "Normalize"}]
LISTED = {
    "OpticDiscSeg": ("train_list.txt", " "),
    "CHASEDB1": ("train_list.txt", " "),
    "DRIVE": ("train_list.txt", " "),
    "HRF": ("train_list.txt", " "),
    "STARE": ("train_list.txt", " "),
    "MiniDeepGlobeRoadExtraction": ("train.txt", "|"),
    "PPHumanSeg14K": ("train.txt", " "),
}


def put(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)


def theirs(name, **arguments):
    pytest.importorskip("paddleseg", reason="needs requirements-paddleseg.txt")
    from paddleseg import datasets, transforms  # noqa: F401
    from paddleseg.cvlibs import manager

    return manager.DATASETS[name](**arguments)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)


@pytest.mark.parametrize("name", LISTED)
def test_datasets_with_lists(tmp_path, image, name):
    file, separator = LISTED[name]
    for number in range(2):
        put(tmp_path / "images" / f"{number}.png", image)
        put(tmp_path / "labels" / f"{number}.png", np.eye(12, 10, dtype=np.uint8))
    lines = [f"images/{number}.png{separator}labels/{number}.png" for number in range(2)]
    (tmp_path / file).write_text("\n".join(lines))
    ours = DATASETS.get(name)(str(tmp_path), NORMALIZE)
    reference = theirs(name, dataset_root=str(tmp_path), transforms=[], mode="train")
    assert [[str(item.image), str(item.label)] for item in ours.items] == reference.file_list
    assert (ours.num_classes, ours.ignore_index) == (reference.NUM_CLASSES, reference.IGNORE_INDEX)
    assert ours[0]["label"].sum() == 10
    with pytest.raises(DataError, match="does not exist"):
        DATASETS.get(name)(str(tmp_path), NORMALIZE, "val")
    with pytest.raises(DataError, match=r"download|ask for"):
        DATASETS.get(name)(str(tmp_path / "nowhere"), NORMALIZE)


def test_pascal_context(tmp_path, image):
    put(tmp_path / "JPEGImages" / "2008_1.jpg", image)
    put(tmp_path / "Context" / "2008_1.png", np.full((12, 10), 59, np.uint8))
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train_context.txt").write_text("2008_1\n")
    ours = DATASETS.get("PascalContext")(str(tmp_path), NORMALIZE)
    reference = theirs("PascalContext", dataset_root=str(tmp_path), transforms=[], mode="train")
    assert [[str(item.image), str(item.label)] for item in ours.items] == reference.file_list
    assert ours.num_classes == reference.NUM_CLASSES == 60
    assert set(np.unique(ours[0]["label"])) == {59}


def test_coco_stuff(tmp_path, image):
    for name in ("b", "a"):
        put(tmp_path / "images" / "val2017" / f"{name}.jpg", image)
        put(tmp_path / "annotations" / "val2017" / f"{name}.png", np.full((12, 10), 170, np.uint8))
    ours = DATASETS.get("CocoStuff")(str(tmp_path), NORMALIZE, "val")
    reference = theirs("CocoStuff", dataset_root=str(tmp_path), transforms=[], mode="val")
    assert [[str(item.image), str(item.label)] for item in ours.items] == reference.file_list
    assert ours.num_classes == reference.NUM_CLASSES == 171
    assert len(set(ours.classes)) == 171


@pytest.mark.parametrize("name", ["EG1800", "SUPERVISELY"])
def test_portraits_are_what_portraitnet_is_trained_with(tmp_path, name):
    """Channels, normalisation and the smoothed label; PaddleSeg's random steps are left out."""
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    label = np.zeros((224, 224), np.uint8)
    label[40:180, 60:150] = 1
    label[::7, ::5] = 1
    label[100:110, 100:110] = 255
    if name == "EG1800":
        put(tmp_path / "Images" / "1.png", picture)
        put(tmp_path / "Labels" / "1.png", label)
        (tmp_path / "eg1800_train.txt").write_text("1.png\n")
    else:
        put(tmp_path / "ds1" / "img" / "1.png", picture)
        put(tmp_path / "ds1" / "ann" / "1.png", label)
        (tmp_path / "supervisely_face_train_easy.txt").write_text("data/ds1/img/1.png\n")
    steps = [{"type": "Normalize", "mean": [0.485, 0.458, 0.408], "std": [0.23, 0.23, 0.23]}]
    ours = DATASETS.get(name)(str(tmp_path), [], steps, [])[0]
    from paddleseg.transforms import Normalize

    step = Normalize(steps[0]["mean"], steps[0]["std"])
    reference = theirs(
        name, dataset_root=str(tmp_path), common_transforms=[], transforms1=[step], transforms2=[step], mode="train"
    )[0]
    np.testing.assert_allclose(ours["image"], reference["img"], atol=1e-5)
    np.testing.assert_array_equal(ours["label"], reference["label"])


def test_pseudo_labels_of_imagenet(tmp_path, image):
    put(tmp_path / "imagenet" / "train" / "n01" / "n01_5.JPEG.png", image)
    (tmp_path / "imagenet" / "train" / "n01" / "n01_5.JPEG.png").rename(
        tmp_path / "imagenet" / "train" / "n01" / "n01_5.JPEG"
    )
    stored = np.zeros((12, 10), np.int64)
    stored[:3], stored[3] = 1, -1
    root = tmp_path / "pssl"
    (root / "train" / "n01").mkdir(parents=True)
    np.savez(root / "train" / "n01" / "n01_5.JPEG_eiseg.npz", stored)
    (root / "train.txt").write_text("train/n01/n01_5.JPEG_eiseg.npz\n")
    names = [f"n{number:02}" for number in range(1000)]
    (root / "imagenet_lsvrc_2015_synsets.txt").write_text("\n".join(names))
    crop = [{"type": "RandomPaddingCrop", "crop_size": [16, 16]}, {"type": "RandomHorizontalFlip"}, *NORMALIZE]
    ours = DATASETS.get("PSSLDataset")(str(tmp_path / "imagenet"), str(root), crop)
    assert ours.num_classes == len(ours.classes) == 1001
    counts = dict(zip(*np.unique(ours[0]["label"], return_counts=True), strict=True))
    # Row 3 and what the crop adds are ignored; class 1 is n01, 1000 the background.
    assert counts == {1: 30, 1000: 80, 1001: 256 - 110}
    np.savez(root / "train" / "n01" / "n01_5.JPEG_eiseg.npz", np.array([None]))
    with pytest.raises(DataError, match="cannot be read"):
        ours[0]


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (31, 30)])
def test_scale_padding_centres_the_image_and_can_be_undone(size):
    pytest.importorskip("paddleseg", reason="needs requirements-paddleseg.txt")
    from paddleseg.transforms import ScalePadding

    height, width = size
    picture = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    (step,) = build_transforms([{"type": "ScalePadding", "target_size": [64, 64], "label_padding_value": 0}])
    sample = step(Sample(picture.astype(np.float32), None, {"geometry": []}), np.random.default_rng(0))
    expected = ScalePadding([64, 64])({"img": picture.copy(), "gt_fields": []})["img"]
    assert np.abs(sample.image - expected).max() <= 1  # PaddleSeg pads with 127, cut from 127.5
    ramp = np.broadcast_to(np.arange(width, dtype=np.float32), (height, width))
    carried = step(Sample(np.repeat(ramp[..., None], 3, 2).copy(), None, {"geometry": []}), np.random.default_rng(0))
    back = undo_geometry(carried.image[..., 0][None], carried.meta["geometry"])[0]
    assert back.shape == size
    assert np.abs(back - ramp)[2:-2, 2:-2].max() < 1.5


def test_every_dataset_of_labels_says_how_many_classes():
    for name in DATASETS:
        component = DATASETS.get(name)
        if isinstance(component, type) and issubclass(component, SegmentationDataset) and name not in ("Dataset",):
            assert getattr(component, "CLASSES", None) or getattr(component, "COUNT", None), name
