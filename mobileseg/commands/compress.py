"""`mobileseg compress`: recipes that make a network smaller and say what that costs.

A recipe is a module of :mod:`mobileseg.commands.recipes` with ``HELP``, a docstring that explains it,
``add_arguments(parser)`` and ``run(args) -> int``.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from inspect import getdoc
from types import ModuleType

HELP = "prune, fold or quantise a trained network, and report what every step costs"

RECIPES = ("prune", "sensitivity", "fold", "quantize", "search")

_EPILOG = """\
Every recipe takes a configuration and a checkpoint and writes a folder of its own:

  mobileseg compress prune --config configs/compress/mobileseg_mobilenetv2_camvid_prune40.yml \\
      --model zoo/mobileseg_mobilenetv2_camvid --save_dir output/pruned

report.md, report.html and report.json in it have a row per step: parameters, multiply-adds, file sizes, latency and
memory on each engine, scores. The sub-folders are runs as any other: `mobileseg train --resume`, `val`, `export` and
further recipes take them. A recipe that was interrupted goes on where it stopped. The input is never written to.
The settings are in the sections `compress` and `sparsity` of the configuration (docs/compress.md).
`mobileseg compress RECIPE --help` explains a recipe. Distillation is training: section `distill`, `mobileseg train`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A parser per recipe."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    recipes = parser.add_subparsers(dest="recipe", metavar="RECIPE", required=True)
    for name in RECIPES:
        recipe = _recipe(name)
        part = recipes.add_parser(
            name, help=recipe.HELP, description=getdoc(recipe), formatter_class=argparse.RawDescriptionHelpFormatter
        )
        recipe.add_arguments(part)
        part.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks")


def needs_converter(_args: argparse.Namespace) -> bool:
    """Always: channels are read from traced programs, and PaddleSlim knows Paddle 2 alone."""
    return True


def run(args: argparse.Namespace) -> int:
    """Run the recipe that was asked for, in a folder where no other process works."""
    from mobileseg.commands.recipes.common import results_folder
    from mobileseg.errors import CompressionError
    from mobileseg.folders import held

    with held(results_folder(args), CompressionError):
        return int(_recipe(args.recipe).run(args))


def _recipe(name: str) -> ModuleType:
    return import_module(f"mobileseg.commands.recipes.{name}")
