"""`mobileseg train`: train what a configuration describes."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobileseg.commands.arguments import (
    add_accepted,
    add_config_arguments,
    add_device_argument,
    choose_device,
    config_path,
    own_path,
    say_accepted,
)
from mobileseg.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from mobileseg.config.load import Config

HELP = "train a network from a configuration; --resume continues exactly where a run stopped"

_OVERRIDES = ("iters", "batch_size", "save_interval", "keep_checkpoint_max", "num_workers", "log_iters", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of PaddleSeg's tools/train.py, and ours."""
    add_config_arguments(parser)
    parser.add_argument("--save_dir", help="run folder (default: output/<name of the configuration>)")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="WHAT",
        help="continue: 'auto' the run folder, if it has a checkpoint; or the run or checkpoint folder named",
    )
    parser.add_argument("--resume_model", metavar="FOLDER", help="the same, as PaddleSeg writes it")
    parser.add_argument("--iters", type=int, help="iterations")
    parser.add_argument("--batch_size", type=int, help="images per process and step")
    parser.add_argument("--learning_rate", type=float, help="learning rate after the warm-up")
    parser.add_argument("--save_interval", type=int, help="iterations between two checkpoints")
    parser.add_argument("--keep_checkpoint_max", type=int, help="checkpoints kept besides best and last, 0: all")
    parser.add_argument("--num_workers", type=int, help="processes that load data")
    parser.add_argument("--log_iters", type=int, help="iterations between two log lines")
    parser.add_argument("--seed", type=int, help="seed of everything random")
    parser.add_argument("--do_eval", action="store_true", help="evaluate while training (the default with val_dataset)")
    parser.add_argument("--no_eval", action="store_true", help="do not evaluate while training")
    parser.add_argument(
        "--fractions", nargs="+", type=float, metavar="SHARE",
        help="train on several nested shares of the images (0.25 0.5 1) and plot the score over their number",
    )  # fmt: skip
    parser.add_argument("--early_stop_intervals", type=int, help="stop after so many evaluations without a better one")
    parser.add_argument("--use_vdl", action="store_true", help="write VisualDL records")
    parser.add_argument("--use_ema", action="store_true", help="average the weights, evaluate and save the average")
    parser.add_argument("--precision", choices=("fp32", "fp16", "bf16"), help="number format (fp16, bf16: GPU only)")
    parser.add_argument("--amp_level", choices=("O1", "O2"), help="O1: casts per operator; O2: weights are cast too")
    add_device_argument(parser)
    add_accepted(
        parser,
        repeats="training counts iterations, and every epoch is shuffled anew",
        profiler_options="lines of the log have images per second and the share of waiting for data",
        data_format="networks run in NCHW; the result is the same",
        to_static_training="training runs in dynamic graphs; the result is the same",
        use_multilabel="labels have one class per pixel",
    )


def overrides(args: argparse.Namespace) -> list[str]:
    """Flags as configuration overrides; -o wins over flags."""
    found = [f"{name}={getattr(args, name)}" for name in _OVERRIDES if getattr(args, name) is not None]
    if args.learning_rate is not None:
        found.append(f"lr_scheduler.learning_rate={args.learning_rate}")
    if args.early_stop_intervals is not None:
        found.append(f"early_stop.patience={args.early_stop_intervals}")
    if args.use_ema:
        found.append("ema={}")
    if args.precision == "fp32":
        found.append("amp=null")
    elif args.precision is not None:
        found.append(f"amp.dtype={'float16' if args.precision == 'fp16' else 'bfloat16'}")
    if args.amp_level is not None and args.precision in ("fp16", "bf16"):
        found.append(f"amp.level={args.amp_level}")
    return [*found, *args.opts]


def run(args: argparse.Namespace) -> int:
    """Train; 0 when finished, 128 + signal number when interrupted."""
    from mobileseg.config.components import check_components
    from mobileseg.config.load import load_config

    say_accepted(args)
    path = config_path(args)
    config = load_config(path, overrides(args))
    check_components(config)  # every mistake at once, before anything is built
    resume = args.resume_model or args.resume
    if resume and resume != "auto":
        resume = own_path(resume)
    choose_device(args.device)

    from mobileseg.training.paddleseg_resume import is_paddleseg_checkpoint
    from mobileseg.training.store import CheckpointStore, run_folder_of
    from mobileseg.training.trainer import Trainer

    save_dir = Path(args.save_dir or Path("output") / Path(path).stem)
    if args.fractions:
        return _learning_curve(args, config, save_dir, resume)
    if resume and resume != "auto" and not args.save_dir and not is_paddleseg_checkpoint(Path(resume)):
        save_dir = run_folder_of(Path(resume))
    fresh = resume is None or (resume == "auto" and CheckpointStore(save_dir).newest(_silent) is None)
    if resume is None and CheckpointStore(save_dir).newest(_silent) is not None:
        raise TrainingError(
            f"{save_dir} holds the checkpoints of an earlier run",
            remedy="add --resume to continue it, or choose another folder with --save_dir",
        )
    do_eval = not args.no_eval and (args.do_eval or config.val_dataset is not None)
    trainer = Trainer(config, save_dir, do_eval=do_eval, use_vdl=args.use_vdl, load_pretrained=fresh)
    result = trainer.fit(resume)
    if not trainer.processes.is_main:
        return 128 + result.signal if result.signal else 0
    if result.signal:
        print(f"\nstopped after iteration {result.iteration}; to continue:\n  {_resume_command(save_dir)}")
        return 128 + result.signal
    _print_end(result, save_dir)
    return 0


def _learning_curve(args: argparse.Namespace, config: Config, save_dir: Path, resume: str | None) -> int:
    from mobileseg.training.distributed import Processes
    from mobileseg.training.learning_curve import PLOT, run_learning_curve

    if args.no_eval:
        raise ConfigError("--fractions compares scores, and --no_eval gives none", remedy="remove --no_eval")
    if resume not in (None, "auto"):
        raise ConfigError(
            f"--fractions has several runs, and --resume names one: {resume}", remedy="write --resume alone"
        )
    if Processes().count > 1:
        raise ConfigError(
            "--fractions trains one run after the other, in one process", remedy="start it without a launcher"
        )
    signal = run_learning_curve(config, save_dir, args.fractions, resume=resume == "auto", say=print)
    if signal:
        print(f"\nstopped; to continue:\n  {_resume_command(save_dir)}")
        return 128 + signal
    print(f"plot: {save_dir / PLOT}")
    return 0


def _print_end(result: Any, save_dir: Path) -> None:
    best = "" if result.best_score is None else f", best {result.metric} {result.best_score:.4f}"
    print(f"{result.reason} after {result.iteration} iterations{best}; run folder: {save_dir}")


def _resume_command(save_dir: Path) -> str:
    """This command line, continuing in its run folder."""
    words: list[str] = []
    skipping = False
    for word in sys.argv[1:]:
        if word.split("=")[0] in ("--resume", "--resume_model", "--save_dir"):
            skipping = "=" not in word
        elif skipping and not word.startswith("-"):
            skipping = False  # the value of the flag before
        else:
            skipping = False
            words.append(word)
    program = Path(sys.argv[0])
    start = ["python", "-m", "mobileseg"] if program.name == "__main__.py" else ["mobileseg"]
    if program.suffix == ".py" and program.name != "__main__.py":
        start = ["python", sys.argv[0]]
    return shlex.join([*start, *words, "--save_dir", str(save_dir), "--resume"])


def _silent(text: str) -> None:
    pass
