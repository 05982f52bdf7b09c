"""Command-line arguments that several verbs share, and what they mean."""

from __future__ import annotations

import argparse
from typing import Any

from mobileseg.errors import ConfigError, TrainingError


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
    parser.add_argument(switch, action="store_true", dest="aug_eval", help="average over --scales and flips")
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


def add_device_argument(parser: argparse._ActionsContainer, text: str = "auto: a GPU if there is one") -> None:
    """--device; applied with :func:`choose_device`."""
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "gpu"), help=text)


def choose_device(name: str) -> None:
    """Select the device of this process; 'auto' takes a GPU if there is one.

    Raises:
        TrainingError: a GPU was asked for and there is none.
    """
    import paddle

    count = paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0
    if name == "gpu" and count == 0:
        raise TrainingError(
            "there is no GPU that this Paddle can use", remedy="use --device cpu, or install paddlepaddle-gpu"
        )
    if name == "cpu" or count == 0:
        paddle.set_device("cpu")
    else:
        paddle.set_device(f"gpu:{paddle.distributed.ParallelEnv().device_id}")
