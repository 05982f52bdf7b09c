"""What all recipes of `mobileseg compress` share: their arguments, the network they start from, their folder."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobileseg.commands.arguments import add_config_arguments, add_device_argument, choose_device
from mobileseg.errors import CompressionError, ConfigError

if TYPE_CHECKING:
    from mobileseg.config.load import Config


@dataclass(frozen=True)
class Job:
    """What a recipe works on.

    Attributes:
        config: the configuration, with the channel plan of weights that are pruned already.
        source: run folder, checkpoint folder, zoo folder or weights file to start from; None: random weights.
        folder: where the results go.
    """

    config: Config
    source: Path | None
    folder: Path

    def network(self) -> Any:
        """The network to start from, built anew, in evaluation mode.

        Raises:
            WeightsError: the weights are of another network.
        """
        from mobileseg.config.build import build_network
        from mobileseg.config.classes import class_names
        from mobileseg.training.weights import load_checkpoint_weights

        network = build_network(self.config, load_pretrained=self.source is None)
        if self.source is not None:
            load_checkpoint_weights(self.source, network, class_names(self.config))
        network.eval()
        return network


def add_common_arguments(parser: argparse.ArgumentParser, *, random_weights: bool = False) -> None:
    """CONFIG, --config, -o, --model, --save_dir and --device."""
    add_config_arguments(parser)
    parser.add_argument("--model", metavar="WHAT", help="run, checkpoint or zoo folder, or weights file to start from")
    parser.add_argument("--save_dir", metavar="FOLDER", help="folder for the results, not that of the input")
    if random_weights:
        parser.add_argument("--random_weights", action="store_true", help="instead of --model: only structure matters")
    add_device_argument(parser)


def open_job(args: argparse.Namespace) -> Job:
    """Check the arguments and read the configuration.

    Without a configuration the one beside the weights is taken.

    Raises:
        ConfigError: an argument is missing, or the configuration cannot be used.
        CompressionError: the results would be written over the input.
        WeightsError: the folder to start from has no weights.
    """
    from mobileseg.config.components import check_components
    from mobileseg.config.load import load_config
    from mobileseg.training.weights import weights_file

    folder = results_folder(args)
    source = Path(args.model) if args.model else None
    if source is not None:
        weights_file(source)
    choose_device(args.device)
    config = load_config(_config_path(args, source), args.opts)
    check_components(config)
    return Job(with_plan(config, source), source, folder)


def results_folder(args: argparse.Namespace) -> Path:
    """Where the results go.

    Raises:
        ConfigError: what to start from, or the folder, is not named.
        CompressionError: the results would be written over the input.
    """
    random_weights = getattr(args, "random_weights", False)
    if bool(args.model) == bool(random_weights):
        either = ", or --random_weights" if hasattr(args, "random_weights") else ""
        raise ConfigError("name the network to start from", remedy=f"--model RUN, zoo folder or .pdparams file{either}")
    source = Path(args.model) if args.model else None
    if source is not None and not source.exists():
        raise ConfigError(f"--model: there is nothing at {source}", remedy="name a run, checkpoint or zoo folder")
    if not args.save_dir:
        raise ConfigError("name a folder for the results", remedy="--save_dir output/...")
    folder = Path(args.save_dir)
    if source is not None:
        refuse_overwriting(source, folder)
    return folder


def with_plan(config: Config, source: Path | None) -> Config:
    """The configuration with the channel plan that weights were pruned by, where it does not say one itself."""
    from mobileseg.training.weights import plan_of

    plan = plan_of(source) if source is not None else None
    if plan is None or (config.model or {}).get("plan"):
        return config
    return config.changed({"model": {**config.to_dict()["model"], "plan": plan}})


def refuse_overwriting(source: Path, folder: Path) -> None:
    """Make sure that results do not go into what they are made from.

    Raises:
        CompressionError: the folder is the input, or holds it.
    """
    inside, outside = source.resolve(), folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise CompressionError(f"--save_dir {folder} exists and is no folder", remedy="name another --save_dir")
    holder = inside if inside.is_dir() else inside.parent
    if outside == holder or outside in inside.parents:
        raise CompressionError(
            f"the results would be written over the input: --save_dir {folder} holds --model {source}",
            remedy="name another --save_dir",
        )


def _config_path(args: argparse.Namespace, source: Path | None) -> str:
    from mobileseg.config.load import RUN_CONFIG

    if args.config_file and args.config:
        raise ConfigError("name one configuration file", remedy="either CONFIG or --config")
    if args.config_file or args.config:
        return str(args.config_file or args.config)
    for place in [source, *source.parents[:2]] if source is not None else []:
        if (place / RUN_CONFIG).is_file():
            return str(place / RUN_CONFIG)
    raise ConfigError("name the configuration", remedy="--config configs/....yml")


def say(text: str) -> None:
    """What recipes are told to report with: every line at once, also into a pipe."""
    print(text, flush=True)
