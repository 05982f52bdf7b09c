"""PaddleSeg's spellings."""

import pytest

from mobileseg.config.build import build_network
from mobileseg.config.components import check_components
from mobileseg.config.load import load_config


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("{type: sgd, momentum: 0.9}", {"type": "SGD", "momentum": 0.9}),
        ("{type: SGD}", {"type": "SGD", "momentum": 0.0}),
        ("{type: Momentum}", {"type": "SGD", "momentum": 0.9}),
        ("{type: Momentum, momentum: 0.5, use_nesterov: true}", {"type": "SGD", "momentum": 0.5, "use_nesterov": True}),
        ("{type: adamw}", {"type": "AdamW", "weight_decay": 0.01, "beta2": 0.999}),
        ("{type: AdamW, lazy_mode: false}", {"type": "AdamW"}),
        ("{type: adam, weight_decay: 0.1}", {"type": "Adam", "weight_decay": 0.1}),
        ("{type: AdamWDL}", {"type": "AdamW", "layerwise_decay": 0.65, "decay_norms": True}),
        ("{type: AdamWDL_CAE, layerwise_decay: 0.8}", {"type": "AdamW", "layerwise_decay": 0.8, "decay_norms": False}),
    ],
)
def test_optimizers(write, section, expected):
    optimizer = load_config(write("a.yml", f"optimizer: {section}")).to_dict()["optimizer"]
    assert expected.items() <= optimizer.items()


def test_clipping_moves_to_clip(write):
    file = write("a.yml", "optimizer:\n  type: SGD\n  grad_clip_cfg: {name: ClipGradByGlobalNorm, clip_norm: 5}\n")
    config = load_config(file)
    assert config.clip is not None
    assert config.clip.norm == 5
    assert config.origin("clip.norm") == "a.yml:3"


def test_groups_move_to_param_groups(write):
    file = write(
        "a.yml",
        """\
        optimizer:
          type: SGD
          weight_decay: 0.1
          custom_cfg:
            - {name: norm, weight_decay_mult: 0.0}
            - {name: head, lr_mult: 10.0}
          backbone_lr_mult: 0.1
        """,
    )
    config = load_config(file)
    assert config.to_dict()["param_groups"] == [
        {"match": "*norm*", "lr_mult": 1.0, "weight_decay": 0.0, "optional": True},
        {"match": "*head*", "lr_mult": 10.0, "weight_decay": None, "optional": True},
        {"match": "backbone.*", "lr_mult": 0.1, "weight_decay": None, "optional": False},
    ]
    assert config.origin("param_groups.1") == "a.yml:6"


def test_cosine_annealing(write):
    file = write("a.yml", "lr_scheduler: {type: CosineAnnealingDecay, learning_rate: 0.1, T_max: 50, eta_min: 0.01}")
    section = load_config(file).to_dict()["lr_scheduler"]
    assert section["type"] == "CosineDecay"
    assert (section["decay_steps"], section["end_lr"]) == (50, 0.01)


def test_one_loss_serves_all_outputs(write):
    config = load_config(write("a.yml", "loss: {types: [{type: CrossEntropyLoss}], coef: [1, 0.4]}"))
    assert config.to_dict()["loss"] == {
        "types": [{"type": "CrossEntropyLoss"}, {"type": "CrossEntropyLoss"}],
        "coef": [1.0, 0.4],
    }


@pytest.mark.parametrize(
    ("override", "scales"),
    [("test_config.scales=0.75", [0.75]), ("test_config.scales=0.75,1.0,1.25", [0.75, 1.0, 1.25]),
     ("test_config.scales=[1, 2]", [1.0, 2.0])],
)  # fmt: skip
def test_scales(write, override, scales):
    assert load_config(write("a.yml", "iters: 5"), [override]).test_config.scales == scales


def test_modes_and_evaluation_interval_follow(write):
    config = load_config(write("a.yml", "save_interval: 50\ntrain_dataset: {type: A}\nval_dataset: {type: A}"))
    assert config.to_dict()["train_dataset"]["mode"] == "train"
    assert config.to_dict()["val_dataset"]["mode"] == "val"
    assert config.eval_interval == 50
    assert config.origin("eval_interval") == "a.yml:1"


def test_empty_sections_are_their_defaults(write):
    config = load_config(write("a.yml", "test_config:\nexport:\nplugins:\nfreeze:\nparam_groups:\nclip:\n"))
    assert config == load_config(write("b.yml", ""))


def test_what_training_does_not_read_is_a_warning(write, caplog):
    file = write(
        "a.yml",
        """\
        to_static_training: true
        learning_rate: {decay: {end_lr: 1.0e-5}}
        distill_loss: {types: [{type: KLLoss}], coef: [3]}
        optimizer:
          type: AdamW
          lazy_mode: true
          custom_cfg: [{name: head, lr_multi: 10}]
        train_dataset:
          type: D
          transforms: [{type: A}, {type: GenerateInstanceTargets, num_classes: 3}, {type: B, size: 3}]
        """,
    )
    config = load_config(file)
    said = caplog.text
    for line, key in (
        (1, "to_static_training"), (2, "learning_rate"), (3, "distill_loss"), (6, "optimizer.lazy_mode"),
        (7, "optimizer.custom_cfg.0.lr_multi"), (10, "train_dataset.transforms.1"),
    ):  # fmt: skip
        assert f"warning: a.yml:{line}: {key}: not used: " in said
    assert config.train_dataset["transforms"] == [{"type": "A"}, {"type": "B", "size": 3}]
    assert config.origin("train_dataset.transforms.1.size") == "a.yml:10"
    assert config.to_dict()["param_groups"] == [
        {"match": "*head*", "lr_mult": 1.0, "weight_decay": None, "optional": True}
    ]


def test_mistakes_in_what_is_moved_are_named(write, refused):
    file = write(
        "a.yml",
        """\
        test_config: {scales: "a,b"}
        param_groups: [{match: x}]
        clip: {norm: 1}
        lr_scheduler: {type: OneCycleLR, learning_rate: 1, max_learning_rate: 2, total_steps: 5}
        optimizer:
          type: SGD
          grad_clip_cfg: {name: ClipGradByGlobalNorm, clip_norm: 1}
          custom_cfg: [{lr_mult: 1}, {name: ok}]
        """,
    )
    found = {problem.key: str(problem) for problem in refused(load_config, file).problems}
    assert set(found) == {
        "test_config.scales", "optimizer.grad_clip_cfg", "optimizer.custom_cfg.0", "optimizer.custom_cfg",
        "lr_scheduler.max_learning_rate",
    }  # fmt: skip
    assert "given twice" in found["lr_scheduler.max_learning_rate"]


@pytest.mark.parametrize(
    ("value", "clip"),
    [
        ("{name: ClipGradByNorm, clip_norm: 0.01}", {"norm": None, "tensor_norm": 0.01, "value": None}),
        ("{name: ClipGradByValue, max: 2.0}", {"norm": None, "tensor_norm": None, "value": [-2.0, 2.0]}),
        ("{name: ClipGradByValue, max: 2.0, min: 0.5}", {"norm": None, "tensor_norm": None, "value": [0.5, 2.0]}),
    ],
)
def test_all_ways_of_clipping(write, value, clip):
    config = load_config(write("a.yml", f"optimizer: {{type: SGD, grad_clip_cfg: {value}}}"))
    assert config.to_dict()["clip"] == clip
    assert config.origin("clip") == "a.yml:1"


@pytest.mark.parametrize("value", ["{name: ClipGradByValue, max: x}", "3", "{name: ClipGradByGlobalNorm}", "{a: 1}"])
def test_other_clipping_is_refused(write, refused, value):
    error = refused(load_config, write("a.yml", f"optimizer: {{type: SGD, grad_clip_cfg: {value}}}"))
    assert "this clipping is not known" in str(error)


@pytest.mark.parametrize("clip", ["{}", "{norm: 1.0, tensor_norm: 1.0}", "{value: [1.0, -1.0]}"])
def test_clipping_is_of_one_kind(write, refused, clip):
    error = refused(load_config, write("a.yml", f"clip: {clip}"))
    assert [problem.key for problem in error.problems] == ["clip"]


@pytest.mark.parametrize("name", ["LambdaDecay", "MultiplicativeDecay", "ReduceOnPlateau"])
def test_schedules_that_a_file_cannot_hold_say_why(write, refused, name):
    error = refused(load_config, write("a.yml", f"lr_scheduler: {{type: {name}, learning_rate: 0.1}}"))
    assert [problem.key for problem in error.problems] == ["lr_scheduler.type"]
    assert error.problems[0].remedy


def test_top_level_keys_that_hold_an_anchor(write, refused):
    file = write("a.yml", "mean: &mean [0.5, 0.25, 0.5]\ntrain_dataset: {type: D, mean: *mean}\niters: &iters 7")
    config = load_config(file)
    assert config.train_dataset["mean"] == [0.5, 0.25, 0.5]
    assert config.iters == 7
    error = refused(load_config, write("b.yml", "mean: [0.5]\nmaen: &mean [0.5]\nstd: *mean"))
    assert {problem.key for problem in error.problems} == {"mean", "std"}


def test_a_file_of_paddleseg_loads_unchanged(write):
    """The values of its pp_mobileseg_base_ade20k_512x512_80k.yml, with the base file that it names."""
    write(
        "_base_/ade20k.yml",
        """
        batch_size: 4
        iters: 80000
        train_dataset: {type: ADE20K, dataset_root: data/ADEChallengeData2016/, mode: train, transforms: []}
        val_dataset: {type: ADE20K, dataset_root: data/ADEChallengeData2016/, mode: val, transforms: []}
        optimizer: {type: SGD, momentum: 0.9, weight_decay: 4.0e-5}
        lr_scheduler: {type: PolynomialDecay, learning_rate: 0.01, end_lr: 0, power: 0.9}
        """,
    )
    normalize = "{type: Normalize, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"
    file = write(
        "pp_mobileseg/base.yml",
        f"""
        _base_: '../_base_/ade20k.yml'
        batch_size: 16
        iters: 80000
        train_dataset:
          transforms:
            - {{type: ResizeStepScaling, min_scale_factor: 0.5, max_scale_factor: 2.0, scale_step_size: 0.25}}
            - {{type: RandomPaddingCrop, crop_size: [512, 512]}}
            - {{type: RandomHorizontalFlip}}
            - {{type: RandomDistort, brightness_range: 0.4, contrast_range: 0.4, saturation_range: 0.4}}
            - {normalize}
        val_dataset:
          transforms:
            - {{type: Resize, target_size: [2048, 512], keep_ratio: True, size_divisor: 32}}
            - {normalize}
        optimizer:
          _inherited_: False
          type: AdamW
          weight_decay: 0.01
          custom_cfg:
          - {{name: pos_embed, weight_decay_mult: 0.0}}
          - {{name: head, lr_multi: 10.0}}
          - {{name: bn, weight_decay_mult: 0.0}}
        lr_scheduler:
          type: PolynomialDecay
          learning_rate: 0.0006
          end_lr: 0
          power: 1.0
          warmup_iters: 1500
          warmup_start_lr: 1.0e-6
        loss:
          types:
            - type: MixedLoss
              losses: [{{type: CrossEntropyLoss}}, {{type: LovaszSoftmaxLoss}}]
              coef: [0.8, 0.2]
          coef: [1]
        model:
          type: PPMobileSeg
          num_classes: 150
          backbone: {{type: MobileSeg_Base, inj_type: AAMSx8, out_feat_chs: [64, 128, 192], pretrained: null}}
          upsample: intepolate
        """,
    )
    config = load_config(file)
    check_components(config)
    network = build_network(config)
    assert network.strides == (8,)
    assert config.to_dict()["optimizer"]["type"] == "AdamW"
    assert "momentum" not in config.to_dict()["optimizer"]
