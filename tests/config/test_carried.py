"""Arguments across a change of type."""

import pytest

from mobileseg.config.load import load_config


def test_optimizer_keeps_only_what_the_new_type_has(write):
    write("base.yml", "optimizer: {type: SGD, momentum: 0.9, use_nesterov: true, weight_decay: 0.5}")
    config = load_config(write("a.yml", "_base_: base.yml\noptimizer: {type: AdamW}"))
    assert config.to_dict()["optimizer"] == {
        "type": "AdamW", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.5,
        "layerwise_decay": None, "decay_norms": True,
    }  # fmt: skip


def test_an_argument_beside_the_new_type_is_an_error(write, refused):
    write("base.yml", "optimizer: {type: SGD, momentum: 0.9}")
    error = refused(load_config, write("a.yml", "_base_: base.yml\noptimizer: {type: AdamW, momentum: 0.9}"))
    assert [problem.key for problem in error.problems] == ["optimizer.momentum"]


def test_schedule(write):
    file = write("a.yml", "lr_scheduler: {type: PolynomialDecay, learning_rate: 1, power: 2, warmup_iters: 5}")
    section = load_config(file, ["lr_scheduler.type=StepDecay", "lr_scheduler.step_size=7"]).to_dict()["lr_scheduler"]
    assert "power" not in section
    assert (section["warmup_iters"], section["step_size"]) == (5, 7)


def test_transform_in_a_list(write):
    file = write("a.yml", "train_dataset: {type: D, transforms: [{type: RandomBlur, prob: 0.7, blur_type: median}]}")
    config = load_config(file, ["train_dataset.transforms.0.type=RandomNoise"])
    assert config.train_dataset is not None
    assert config.train_dataset["transforms"] == [{"type": "RandomNoise", "prob": 0.7}]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ResNet101_vd", {"type": "ResNet101_vd", "output_stride": 8}),
        ("GhostNet_x1_0", {"type": "GhostNet_x1_0"}),
        ("NoSuchBackbone", {"type": "NoSuchBackbone", "output_stride": 8}),
        ("paddleseg.HRNet_W18", {"type": "paddleseg.HRNet_W18", "output_stride": 8}),
    ],
)
def test_backbone(write, name, expected):
    write("base.yml", "model: {type: MobileSeg, backbone: {type: ResNet50_vd, output_stride: 8, pretrained: w}}")
    config = load_config(write("a.yml", f"_base_: base.yml\nmodel: {{backbone: {{type: {name}}}}}"))
    assert config.model is not None
    assert config.model["backbone"] == expected
