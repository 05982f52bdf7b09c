"""Fold every batch norm into the convolution, transposed convolution or linear layer in front of it.

The folded network is compared with the one before (1e-4 of the largest output, otherwise nothing is written), both
are exported, and size, latency and memory of both are measured in one run. With --against the same is done with
another network, for example the one that was pruned: four cells, {dense, pruned} x {norms, folded}.
The folded form is for deployment: D/<network>_folded/exported is a folder as `mobileseg export` writes it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from mobileseg.commands.recipes.common import add_common_arguments, open_job, refuse_overwriting, say, with_plan

HELP = "fold batch norms into the layers before them, checked to 1e-4, measured on engines"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The common arguments and --against."""
    add_common_arguments(parser)
    parser.add_argument("--against", metavar="WHAT", help="the network before pruning, measured in the same run")


def run(args: argparse.Namespace) -> int:
    """Run the recipe."""
    from mobileseg.compress.gate import check_gate
    from mobileseg.compress.recipe_fold import FoldRecipe
    from mobileseg.compress.report import render_table

    job = open_job(args)
    assert job.source is not None
    check_gate(job.source)
    networks = {"network": ("the input", job.network, job.source)}
    if args.against:
        other = Path(args.against)
        refuse_overwriting(other, job.folder)
        bare = dict(job.config.to_dict()["model"])
        bare.pop("plan", None)
        whole = with_plan(job.config.changed({"model": bare}), other)
        dense = replace(job, config=whole, source=other)
        networks = {"dense": ("--against", dense.network, other), "pruned": ("the input", job.network, job.source)}
    rows = FoldRecipe(job.config, networks, job.folder, say).run()
    print(render_table(rows))
    print(f"report: {job.folder / 'report.md'}, report.html, report.json")
    return 0
