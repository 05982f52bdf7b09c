"""`mobileseg train`: flags, messages and exit codes."""

import argparse
import json

import pytest

from mobileseg.cli import main
from mobileseg.commands import train
from mobileseg.config.load import load_config
from mobileseg.training.checkpoint import read_checkpoint


def parsed(*words):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return parser.parse_args(words)


def test_paddleseg_flags_reach_the_configuration(toy_file):
    words = ["--config", str(toy_file), "--iters", "77", "--batch_size", "3", "--learning_rate", "0", "--seed", "5"]
    words += ["--save_interval", "11", "--keep_checkpoint_max", "9", "--num_workers", "1", "--log_iters", "4"]
    words += ["--use_ema", "--precision", "fp16", "--amp_level", "O2", "--early_stop_intervals", "6"]
    config = load_config(toy_file, train.overrides(parsed(*words)))
    assert (config.iters, config.batch_size, config.seed, config.save_interval) == (77, 3, 5, 11)
    assert (config.keep_checkpoint_max, config.num_workers, config.log_iters) == (9, 1, 4)
    assert config.lr_scheduler.learning_rate == 0
    assert (config.amp.dtype, config.amp.level) == ("float16", "O2")
    assert config.ema is not None
    assert config.early_stop.patience == 6
    assert load_config(toy_file, train.overrides(parsed("x.yml", "--iters", "7", "-o", "iters=9"))).iters == 9


def test_fp32_turns_amp_off(toy_file):
    words = ["x.yml", "--precision", "fp32"]
    assert load_config(toy_file, ["amp.dtype=float16", *train.overrides(parsed(*words))]).amp is None


def test_a_run_and_its_continuation(toy_file, tmp_path, capsys):
    run = tmp_path / "run"
    words = ["train", str(toy_file), "--save_dir", str(run), "--device", "cpu"]
    assert main([*words, "--iters", "4", "--use_vdl", "--do_eval"]) == 0
    assert "finished after 4 iterations, best mIoU" in capsys.readouterr().out
    assert list((run / "vdl").iterdir())
    assert main(words) == 5
    assert "holds the checkpoints of an earlier run" in capsys.readouterr().err
    folder = run / "checkpoints" / "iter_000004"
    assert main(["train", str(toy_file), "--iters", "6", "--resume_model", str(folder)]) == 0
    assert read_checkpoint(run / "last").state["iteration"] == 6
    assert main([*words, "--resume", "--iters", "6"]) == 0
    assert "already finished after 6" in capsys.readouterr().out
    events = [json.loads(line)["event"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert events.count("resume") == 2


def test_resume_auto_without_a_run_starts_one(toy_file, tmp_path):
    words = ["train", str(toy_file), "--save_dir", str(tmp_path / "run"), "--resume", "auto", "--no_eval"]
    assert main([*words, "--iters", "3"]) == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--precision", "fp16", "--device", "cpu"], 5, "runs on the CPU"),
        (["--device", "gpu"], 5, "no GPU"),
        (["--resume", "nowhere"], 5, "nothing to resume at nowhere"),
        (["--batch_size", "20"], 3, "fewer than one batch"),
        (["-o", "model.widht=3"], 2, "widht"),
        (["-o", "train_dataset.train_path=nowhere.txt"], 3, "nowhere.txt"),
        (["-o", "freeze=['stm.*']"], 2, "no parameter matches"),
    ],
)
def test_bad_input_is_one_message(toy_file, tmp_path, capsys, words, code, message):
    assert main(["train", str(toy_file), "--save_dir", str(tmp_path / "run"), *words]) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert "error:" in shown
    assert "Traceback" not in shown


def test_two_or_no_configurations(toy_file, capsys):
    assert main(["train"]) == 2
    assert main(["train", str(toy_file), "--config", str(toy_file)]) == 2
    assert "name one configuration file" in capsys.readouterr().err


def test_run_folder_that_cannot_be_made(toy_file, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["train", str(toy_file), "--save_dir", str(tmp_path / "file" / "run")]) == 5
    assert "cannot write into the run folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/usr/bin/mobileseg", "train", "c.yml"], "mobileseg train c.yml --save_dir r --resume"),
        (["tools/train.py", "--config", "c.yml"], "python tools/train.py --config c.yml --save_dir r --resume"),
        (["x/__main__.py", "train", "c.yml", "--resume"], "python -m mobileseg train c.yml --save_dir r --resume"),
        (
            ["mobileseg", "train", "c.yml", "--resume", "q", "--iters", "5"],
            "mobileseg train c.yml --iters 5 --save_dir r --resume",
        ),
        (
            ["mobileseg", "train", "--save_dir=z", "c.yml", "--resume_model", "q", "-o", "a=1"],
            "mobileseg train c.yml -o a=1 --save_dir r --resume",
        ),
    ],
)
def test_command_to_continue(monkeypatch, argv, expected):
    monkeypatch.setattr("sys.argv", argv)
    assert train._resume_command(train.Path("r")) == expected
