"""How much the score drops when a share of the channels of one group of layers goes, group by group.

The channels that matter least (`compress.prune.method`) are ignored, the network is scored on `val_dataset`, and they
come back. Every score goes into D/sensitivity.json at once: an interrupted command goes on where it stopped, and
repeating it with the same settings costs nothing. `compress.sensitivity.images` takes fewer images. Groups that lose
little can be pruned harder: `compress.prune.only` names them.
"""

from __future__ import annotations

import argparse

from mobileseg.commands.recipes.common import add_common_arguments, open_job, say
from mobileseg.errors import CompressionError

HELP = "the drop of the score per group of layers and share of its channels; goes on where it stopped"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The common arguments and --ratios."""
    add_common_arguments(parser)
    parser.add_argument("--ratios", nargs="+", type=float, metavar="SHARE", help="shares of the channels of a group")


def run(args: argparse.Namespace) -> int:
    """Run the analysis, print and write the table."""
    from mobileseg.compress.channels.groups import find_groups
    from mobileseg.compress.channels.trace_cache import cached_trace
    from mobileseg.compress.measure import scores_of
    from mobileseg.compress.pruning.choose import scores_without_data
    from mobileseg.compress.pruning.sensitivity import FILE, SensitivityTable, analyse, render
    from mobileseg.compress.steps import identity_of
    from mobileseg.config.build import build_dataset
    from mobileseg.data.subset import subset_of
    from mobileseg.files import write_whole

    if args.ratios:
        args.opts = [*args.opts, f"compress.sensitivity.ratios={args.ratios}"]
    job = open_job(args)
    assert job.source is not None
    job.config.require("val_dataset")
    settings = job.config.compress
    dataset = subset_of(build_dataset(job.config.to_dict()["val_dataset"]), settings.sensitivity.images)
    network = job.network()
    groups = find_groups(network, tracer=cached_trace)
    scores = scores_without_data(network, groups, settings.prune)
    if not scores:
        raise CompressionError(
            "no channel of this network can be judged: none is scaled by a batch norm",
            remedy="-o compress.prune.method=l1",
        )
    key = {
        "source": identity_of(job.source),
        "method": settings.prune.method,
        "relative": settings.prune.relative,
        "val_dataset": job.config.to_dict()["val_dataset"],
        "images": settings.sensitivity.images,
        "detection": job.config.to_dict()["detection"],
        "test_config": job.config.to_dict()["test_config"],
    }
    table = SensitivityTable(job.folder / FILE, key)

    def evaluate(layer: object) -> dict[str, float]:
        found: dict[str, float] = scores_of(layer, job.config, dataset)
        return found

    judged = analyse(network, groups, scores, settings.sensitivity.ratios, evaluate, table, say)
    text = render(table, judged, settings.sensitivity.ratios)
    write_whole(job.folder / "sensitivity.md", f"# {job.config.name}: sensitivity\n\n{text}\n")
    print(text)
    print(f"table: {job.folder / FILE}, sensitivity.md")
    return 0
