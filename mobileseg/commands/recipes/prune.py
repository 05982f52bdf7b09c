"""Remove the channels that matter least, and train what remains.

1. sparse        training with a pressure on the scales of batch norms (sections `sparsity`, `compress.prune.sparse`)
2. unfolded      channels of the whole network under one threshold are removed, until `compress.prune.macs` of the
                 multiply-adds (or `compress.prune.channels` of the channels) are gone
3. pruned        the same, and what a removed channel contributed on average is folded into the layers that read it
4. recalibrated  the same, and the statistics of all norms are measured again (`compress.prune.recalibrate`)
5. random        as many channels of every layer removed at random: what any criterion must beat
6. finetuned     training of what remains (`compress.prune.finetune`)
7. folded        batch norms folded into the layers before them, for deployment

Which channels can only go together (sums, depthwise pairs, concatenations, shuffles, pyramids) is read from the
network's own graph. `compress.prune.method` chooses the criterion: scales of norms, or PaddleSlim's l1 or fpgm.
"""

from __future__ import annotations

import argparse

from mobileseg.commands.recipes.common import add_common_arguments, open_job, say

HELP = "remove channels by the scales of batch norms or by PaddleSlim's filter criteria, fine-tune, compare"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The common arguments, --random_weights, and the amount."""
    add_common_arguments(parser, random_weights=True)
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--macs", type=float, metavar="SHARE", help="share of the multiply-adds to remove")
    amount.add_argument("--channels", type=float, metavar="SHARE", help="share of the channels to remove")


def run(args: argparse.Namespace) -> int:
    """Run the recipe; 128 + signal number when a training was interrupted."""
    from mobileseg.compress.recipe_prune import Interrupted, PruneRecipe
    from mobileseg.compress.report import render_table

    if args.macs is not None:
        args.opts = [*args.opts, f"compress.prune.macs={args.macs}", "compress.prune.channels=null"]
    if args.channels is not None:
        args.opts = [*args.opts, f"compress.prune.channels={args.channels}", "compress.prune.macs=null"]
    job = open_job(args)
    try:
        rows = PruneRecipe(job.config, job.network, job.source, job.folder, say).run()
    except Interrupted as stop:
        print(f"\nstopped; the same command goes on where it stopped (results so far: {job.folder})")
        return 128 + stop.signal
    print(render_table(rows))
    print(f"report: {job.folder / 'report.md'}, report.html, report.json")
    return 0
