"""Command-line arguments that several verbs share, and what they mean."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from mobileseg.errors import ConfigError, TrainingError

_SWITCHES = ("use_multilabel", "to_static_training", "for_fd")


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """CONFIG, --config and -o; read with :func:`config_path` and ``args.opts``."""
    parser.add_argument("config_file", nargs="?", metavar="CONFIG", help="configuration file")
    parser.add_argument("--config", help="the same, as PaddleSeg writes it")
    add_override_argument(parser)


def add_override_argument(parser: argparse._ActionsContainer) -> None:
    """-o, --opts: ``args.opts``, a list of KEY=VALUE."""
    parser.add_argument(
        "-o", "--opts", nargs="+", default=[], metavar="KEY=VALUE", help="override configuration values"
    )


def config_path(args: argparse.Namespace) -> str:
    """The configuration file, positional or as a flag.

    Raises:
        ConfigError: none is named, or two are.
    """
    if bool(args.config_file) == bool(args.config):
        raise ConfigError("name one configuration file", remedy=f"mobileseg {args.verb} configs/....yml")
    return str(args.config_file or args.config)


def add_view_arguments(parser: argparse._ActionsContainer, switch: str = "--aug_eval") -> None:
    """Scales, flips and the sliding window; read with :func:`view_section`.

    Args:
        parser: a parser or one of its groups.
        switch: the flag that turns scales and flips on; PaddleSeg's verbs spell it differently.
    """
    parser.add_argument(
        switch, action="store_true", dest="aug_eval", help="test-time augmentation: average over --scales and flips"
    )
    parser.add_argument("--scales", nargs="+", type=float, help=f"with {switch}: factors on the input size")
    parser.add_argument("--flip_horizontal", action="store_true", help=f"with {switch}: mirror left-right")
    parser.add_argument("--flip_vertical", action="store_true", help=f"with {switch}: mirror top-bottom")
    parser.add_argument("--is_slide", action="store_true", help="sliding window")
    parser.add_argument("--crop_size", nargs=2, type=int, metavar=("W", "H"), help="with --is_slide: the window")
    parser.add_argument("--stride", nargs=2, type=int, metavar=("W", "H"), help="with --is_slide: its steps")
    parser.set_defaults(view_switch=switch)


def view_section(args: argparse.Namespace, section: dict[str, Any]) -> dict[str, Any]:
    """``test_config`` of the configuration with what the flags say; as in PaddleSeg, flags replace a whole group.

    Raises:
        ConfigError: a flag is given without the one that it belongs to.
    """
    section = dict(section)
    if args.aug_eval:
        section |= {"aug_eval": True, "scales": args.scales or [1.0]}
        section |= {"flip_horizontal": args.flip_horizontal, "flip_vertical": args.flip_vertical}
    elif args.scales or args.flip_horizontal or args.flip_vertical:
        switch = args.view_switch
        raise ConfigError(f"--scales and --flip_* have no effect without {switch}", remedy=f"add {switch}")
    if args.is_slide:
        section |= {"is_slide": True, "crop_size": args.crop_size, "stride": args.stride}
    elif args.crop_size or args.stride:
        raise ConfigError("--crop_size and --stride have no effect without --is_slide", remedy="add --is_slide")
    return section


OTHER_DEVICES = ("xpu", "npu", "mlu")
"""Devices that PaddleSeg names and that need another build of Paddle."""


def add_device_argument(parser: argparse._ActionsContainer, text: str = "auto: a GPU if there is one") -> None:
    """--device; applied with :func:`choose_device`."""
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "gpu", *OTHER_DEVICES), help=text)


def add_accepted(parser: argparse._ActionsContainer, **reasons: str) -> None:
    """Flags of PaddleSeg that change nothing here; :func:`say_accepted` says so where they are used.

    Args:
        parser: a parser or one of its groups.
        reasons: name of the flag -> why it has no effect; a name in :data:`_SWITCHES` takes no value.
    """
    for name, reason in reasons.items():
        how: dict[str, Any] = {"action": "store_true"} if name in _SWITCHES else {"metavar": "X"}
        parser.add_argument(f"--{name}", help=f"of PaddleSeg, no effect: {reason}", **how)
    parser.set_defaults(accepted=reasons)


def say_accepted(args: argparse.Namespace) -> None:
    """One line for each flag of :func:`add_accepted` that was given.

    Raises:
        ConfigError: --use_multilabel, which would change what is computed.
    """
    if getattr(args, "use_multilabel", False):
        raise ConfigError(
            "--use_multilabel: labels here have one class per pixel",
            remedy="leave it out, or train one network per group of classes that exclude each other",
        )
    for name, reason in args.accepted.items():
        if getattr(args, name) not in (None, False):
            print(f"note: --{name} has no effect: {reason}", file=sys.stderr)


def own_path(path: str) -> str:
    """The path of ours that a path of PaddleSeg's run folders means, where only ours exists.

    ``RUN/best_model`` is ``RUN/best``, ``RUN/iter_1000`` is ``RUN/checkpoints/iter_001000``; what stands behind
    (``/model.pdparams``) stays. ``~`` is the home folder.
    """
    path = os.path.expanduser(path)
    place = Path(path)
    if place.exists():
        return path
    parts = list(place.parts)
    for index, part in enumerate(parts):
        number = part.removeprefix("iter_")
        if part == "best_model":
            changed = [*parts[:index], "best", *parts[index + 1 :]]
        elif part != number and number.isdigit() and (not index or parts[index - 1] != "checkpoints"):
            changed = [*parts[:index], "checkpoints", f"iter_{int(number):06d}", *parts[index + 1 :]]
        else:
            continue
        if Path(*changed).exists():
            print(f"note: {path} is here {Path(*changed)}", file=sys.stderr)
            return str(Path(*changed))
    return path


def choose_device(name: str) -> None:
    """Select the device of this process; 'auto' takes a GPU if there is one.

    Raises:
        TrainingError: a GPU was asked for and there is none.
    """
    import paddle

    if name in OTHER_DEVICES:
        if name not in (*paddle.device.get_all_device_type(), *paddle.device.get_all_custom_device_type()):
            raise TrainingError(
                f"this Paddle has no support for --device {name}",
                remedy=f"use --device cpu, or install the build of Paddle for {name}",
            )
        paddle.set_device(name)
        return
    count = paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0
    if name == "gpu" and count == 0:
        raise TrainingError(
            "there is no GPU that this Paddle can use", remedy="use --device cpu, or install paddlepaddle-gpu"
        )
    if name == "cpu" or count == 0:
        paddle.set_device("cpu")
    else:
        paddle.set_device(f"gpu:{paddle.distributed.ParallelEnv().device_id}")
