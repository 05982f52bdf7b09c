"""PaddleSeg's flags and paths: each is accepted and does what it says, or says that it does nothing."""

import argparse
import json
import re

import cv2
import pytest

from mobileseg.cli import main
from mobileseg.commands import export, predict, train, val
from mobileseg.commands.arguments import choose_device, own_path
from mobileseg.errors import TrainingError

FLAGS = {  # of tools/*.py in PaddleSeg 2.8.0 and 2.9.1
    train: "config device save_dir num_workers do_eval use_vdl use_ema resume_model iters batch_size learning_rate "
    "save_interval log_iters keep_checkpoint_max seed precision amp_level profiler_options data_format repeats opts "
    "early_stop_intervals to_static_training use_multilabel",
    val: "config device model_path num_workers aug_eval scales flip_horizontal flip_vertical is_slide crop_size stride "
    "data_format auc_roc opts use_multilabel",
    predict: "config device model_path image_path save_dir aug_pred scales flip_horizontal flip_vertical is_slide "
    "crop_size stride custom_color device_id use_multilabel",
    export: "config model_path save_dir output_op input_shape for_fd",
}


@pytest.mark.parametrize("verb", FLAGS, ids=lambda module: module.__name__.split(".")[-1])
def test_every_flag_is_accepted(verb):
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    assert {f"--{flag}" for flag in FLAGS[verb].split()} <= set(parser._option_string_actions)


def test_flags_without_effect_say_so(toy_file, tmp_path, capsys):
    words = ["train", "--config", str(toy_file), "--save_dir", str(tmp_path / "run"), "--iters", "1", "--no_eval"]
    extra = ["--repeats", "5", "--profiler_options", "batch_range=[1,2]", "--data_format", "NHWC"]
    assert main([*words, *extra, "--to_static_training"]) == 0
    said = capsys.readouterr().err
    for flag in ("repeats", "profiler_options", "data_format", "to_static_training"):
        assert f"note: --{flag} has no effect: " in said


def test_flags_that_would_change_the_result_are_refused(toy_file, capsys):
    assert main(["train", "--config", str(toy_file), "--use_multilabel"]) != 0
    assert "one class per pixel" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["xpu", "npu", "mlu"])
def test_devices_that_this_paddle_lacks(name):
    with pytest.raises(TrainingError, match=f"no support for --device {name}"):
        choose_device(name)


def test_paths_of_paddlesegs_run_folders(tmp_path, capsys, monkeypatch):
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "model.pdparams").touch()
    (tmp_path / "checkpoints" / "iter_001000").mkdir(parents=True)
    assert own_path(f"{tmp_path}/best_model/model.pdparams") == f"{tmp_path}/best/model.pdparams"
    assert own_path(f"{tmp_path}/iter_1000") == f"{tmp_path}/checkpoints/iter_001000"
    assert capsys.readouterr().err.count("is here") == 2
    for same in ("iter_7", "checkpoints/iter_001000", "nothing", "best_model/other"):
        assert own_path(f"{tmp_path}/{same}") == f"{tmp_path}/{same}"
    (tmp_path / "iter_7").mkdir()
    assert own_path(f"{tmp_path}/iter_7") == f"{tmp_path}/iter_7"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert own_path("~/best") == f"{tmp_path}/best"
    assert not capsys.readouterr().err


def test_a_tutorial_of_paddleseg_from_training_to_prediction(toy_file, toy_data, tmp_path, capsys):
    run = tmp_path / "output"
    config = ["--config", str(toy_file)]
    assert main(["train", *config, "--iters", "2", "--save_dir", str(run), "--do_eval"]) == 0
    best = str(run / "best_model" / "model.pdparams")
    scores = tmp_path / "scores.json"
    assert main(["val", *config, "--model_path", best, "--auc_roc", "--json", str(scores)]) == 0
    found = json.loads(scores.read_text())
    assert 0 <= found["auc_roc"] <= 1
    assert re.search(r"area under the ROC curve: 0\.\d{4}", capsys.readouterr().out)
    image = next(path for path in sorted(toy_data.rglob("*.png")) if "val" in path.name)
    words = ["predict", *config, "--model_path", best, "--image_path", str(image), "--save_dir", str(tmp_path / "out")]
    colours = ["--custom_color", "10", "20", "30", "40", "50", "60", "70", "80", "90"]
    assert main([*words, "--paddleseg_folders", *colours]) == 0
    (drawn,) = (tmp_path / "out" / "pseudo_color_prediction").rglob("*.png")
    seen = {tuple(colour) for colour in cv2.imread(str(drawn))[:, :, ::-1].reshape(-1, 3)}
    assert seen <= {(10, 20, 30), (40, 50, 60), (70, 80, 90)}
    assert list((tmp_path / "out" / "added_prediction").rglob("*.jpg"))
    assert main([*words, "--custom_color", "1", "2"]) != 0
    assert "--custom_color has 2 numbers" in capsys.readouterr().err
