"""The registry of datasets."""

import inspect

from mobileseg.data.datasets import SegmentationDataset
from mobileseg.registry import DATASETS

# Constructor arguments that PaddleSeg's configs may give.
PADDLESEG = {
    "ADE20K": {"transforms", "dataset_root", "mode", "edge"},
    "Cityscapes": {"transforms", "dataset_root", "mode", "edge"},
    "Dataset": {
        "mode",
        "dataset_root",
        "transforms",
        "num_classes",
        "img_channels",
        "train_path",
        "val_path",
        "test_path",
        "separator",
        "ignore_index",
        "edge",
    },
    "PascalVOC": {"transforms", "dataset_root", "mode", "edge"},
}


def test_names_and_arguments_of_paddleseg() -> None:
    for name, arguments in PADDLESEG.items():
        component = DATASETS.get(name)
        assert issubclass(component, SegmentationDataset)
        assert arguments <= set(inspect.signature(component).parameters), name
    assert "CamVid" in DATASETS


def test_named_datasets_know_their_classes() -> None:
    counts = {"ADE20K": 150, "CamVid": 11, "Cityscapes": 19, "PascalVOC": 21}
    for name, count in counts.items():
        classes = DATASETS.get(name).CLASSES
        assert len(classes) == len(set(classes)) == count, name


def test_arguments_are_documented() -> None:
    for name in (*PADDLESEG, "CamVid"):
        component = DATASETS.get(name)
        text = inspect.getdoc(component)
        missing = [argument for argument in inspect.signature(component).parameters if f"{argument}:" not in text]
        assert missing == [], name
