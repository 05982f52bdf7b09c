"""PaddleSeg's spellings."""

import pytest

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
        {"match": "*norm*", "lr_mult": 1.0, "weight_decay": 0.0},
        {"match": "*head*", "lr_mult": 10.0, "weight_decay": None},
        {"match": "backbone.*", "lr_mult": 0.1, "weight_decay": None},
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


def test_what_has_no_counterpart_is_said(write, refused):
    file = write(
        "a.yml",
        """\
        to_static_training: true
        learning_rate: 0.1
        distill_loss: {}
        test_config: {auc_roc: true, scales: "a,b"}
        param_groups: [{match: x}]
        clip: {norm: 1}
        optimizer:
          type: SGD
          grad_clip_cfg: {name: ClipGradByGlobalNorm, clip_norm: 1}
          custom_cfg: [{name: head, lr_multi: 10}, {lr_mult: 1}, {name: ok}]
        """,
    )
    error = refused(load_config, file)
    found = {problem.key: str(problem) for problem in error.problems}
    assert set(found) == {
        "to_static_training", "learning_rate", "distill_loss", "test_config.auc_roc", "test_config.scales",
        "optimizer.grad_clip_cfg", "optimizer.custom_cfg.0", "optimizer.custom_cfg.1", "optimizer.custom_cfg",
    }  # fmt: skip
    assert (
        "a.yml:10: optimizer.custom_cfg.0: unknown key lr_multi (PaddleSeg ignores it)"
        in found["optimizer.custom_cfg.0"]
    )
    assert "write it under lr_scheduler" in found["learning_rate"]


@pytest.mark.parametrize("value", ["{name: ClipGradByValue, max: 1}", "3", "{name: ClipGradByGlobalNorm}"])
def test_other_clipping_is_refused(write, refused, value):
    error = refused(load_config, write("a.yml", f"optimizer: {{type: SGD, grad_clip_cfg: {value}}}"))
    assert "global norm" in str(error)
