"""What goes wrong when files of PaddleSeg come here: each is one message with what to do, and an exit code."""

import json

import paddle
import pytest

from mobileseg.cli import main
from mobileseg.config.load import load_config
from mobileseg.errors import ConfigError, DependencyError, TrainingError, WeightsError
from mobileseg.semantic import paddleseg_package
from mobileseg.training.trainer import Trainer

MIXED = """
model: {type: MobileSeg, num_classes: 2, backbone: {type: MobileNetV2_x0_25}}
optimizer:
  type: SGD
  grad_clip_cfg: {name: ClipGradByNorm, clip_norm: 1.0}
  custom_cfg: [{name: backbone, lr_mult: 0.1}]
clip: {norm: 2.0}
param_groups: [{match: "backbone.*", lr_mult: 0.5}]
lr_scheduler: {type: CosineAnnealingDecay, learning_rate: 0.1, T_max: 10, decay_steps: 20}
"""


def test_both_names_of_one_thing_are_all_told_with_their_lines(tmp_path):
    file = tmp_path / "mixed.yml"
    file.write_text(MIXED)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    told = {problem.key: problem for problem in caught.value.problems}
    assert set(told) == {"optimizer.grad_clip_cfg", "optimizer.custom_cfg", "lr_scheduler.T_max"}
    assert all(problem.remedy == "keep one of them" for problem in told.values())
    assert "mixed.yml:5" in str(told["optimizer.grad_clip_cfg"])


def test_indices_and_strides_of_a_network_are_not_both_given(tmp_path, capsys):
    file = tmp_path / "both.yml"
    both = "backbone_indices: [0, 1, 2], strides: [8, 16, 32]"
    file.write_text(f"model: {{type: MobileSeg, num_classes: 2, backbone: {{type: MobileNetV2_x0_25}}, {both}}}\n")
    assert main(["export", str(file), "--size", "64", "64", "--audit"]) == 2
    assert "strides and backbone_indices both choose the features" in capsys.readouterr().err


BRIDGED = "{type: PPLiteSeg, num_classes: 2, backbone: {type: STDC1}}"


def test_a_network_of_the_package_without_its_weights(tmp_path, capsys):
    pytest.importorskip("paddleseg", reason="needs requirements-paddleseg.txt")
    file = tmp_path / "net.yml"
    file.write_text(f"model: {BRIDGED}\n")
    assert main(["export", str(file), "--size", "64", "64", "--save_dir", str(tmp_path / "out")]) == 6
    assert "no weights are named" in capsys.readouterr().err
    missing = str(tmp_path / "absent.pdparams")
    assert (
        main(["export", str(file), "--model_path", missing, "--save_dir", str(tmp_path / "out")])
        == WeightsError.exit_code
    )
    shown = capsys.readouterr().err
    assert "absent.pdparams" in shown
    assert "hint: " in shown


def test_the_package_in_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(paddleseg_package.metadata, "version", lambda _name: "2.7.0")
    with pytest.raises(DependencyError, match=r"paddleseg 2\.8\.0 is needed, 2\.7\.0 is installed") as caught:
        paddleseg_package.find_component("network", "PPLiteSeg")
    assert "requirements-paddleseg.txt" in caught.value.remedy

    def absent(name):
        raise paddleseg_package.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(paddleseg_package.metadata, "version", absent)
    with pytest.raises(DependencyError, match="is not installed") as caught:
        paddleseg_package.find_component("network", "PPLiteSeg")
    assert "pip install" in caught.value.remedy


def test_a_folder_of_paddle_3_in_json_form(tmp_path, capsys):
    (tmp_path / "inference.json").write_text(json.dumps({"base_code": {"magic": "pir"}}))
    (tmp_path / "inference.pdiparams").write_bytes(b"")
    (tmp_path / "deploy.yaml").write_text("Deploy: {model: inference.json, params: inference.pdiparams}\n")
    for words in (["predict", "--model", str(tmp_path), "x.jpg"], ["doctor", "model", str(tmp_path)]):
        assert main(words) == 7
        shown = capsys.readouterr().err
        assert "the JSON form of Paddle 3" in shown
        assert "FLAGS_enable_pir_api=0" in shown
        assert "mobileseg export" in shown


def test_optimizer_state_of_another_network(toy_config, tmp_path):
    first = Trainer(toy_config("iters=1"), tmp_path / "first", do_eval=False)
    first.fit()
    folder = tmp_path / "paddleseg" / "iter_1"
    folder.mkdir(parents=True)
    paddle.save(first.network.state_dict(), str(folder / "model.pdparams"))
    other = paddle.nn.Sequential(paddle.nn.Linear(3, 4), paddle.nn.Linear(4, 2))
    optimizer = paddle.optimizer.Momentum(0.1, parameters=other.parameters())
    other(paddle.ones([1, 3])).sum().backward()
    optimizer.step()
    paddle.save(optimizer.state_dict(), str(folder / "model.pdopt"))
    with pytest.raises(TrainingError, match="the saved optimizer does not fit") as caught:
        Trainer(toy_config("iters=2"), tmp_path / "second", do_eval=False)._restore(folder)
    assert caught.value.remedy
