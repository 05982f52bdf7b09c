"""Find the best precision for every component of a network: float32, float16 or int8.

Components are the backbone, the decoder or pyramid, the protonet and the head. Accuracy is that of the network with
simulated precision on validation images, where the result of a component is computed once for all combinations that
share it; latency is ONNX Runtime's on this machine, and 'device only' for float16, which host CPUs do not have. All
combinations are tried if `compress.search.time_limit` allows it, else a greedy descent (which is said). The best one
under the budget is named: the fastest that loses at most `max_drop`, or the most accurate within
`compress.search.latency_ms`. Further tables show what each precision changes in each component, as the mean over all
that surrounds it, and the accuracy by number of images to calibrate with.

`mobileseg compress quantize --components ...` exports what was found.
"""

from __future__ import annotations

import argparse

from mobileseg.commands.recipes.common import add_common_arguments, open_job, say

HELP = "accuracy and latency of float32, float16 and int8 per component, best combination under a budget"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The common arguments, and shortcuts for settings."""
    add_common_arguments(parser)
    parser.add_argument("--images", type=int, metavar="N", help="validation images to score with (default: all)")
    parser.add_argument("--latency_ms", type=float, help="budget: the best score within this latency")


def run(args: argparse.Namespace) -> int:
    """Run the recipe."""
    import os

    os.environ.setdefault("GLOG_minloglevel", "2")  # read when Paddle is imported
    from mobileseg.compress.precision.slim import require_paddleslim

    require_paddleslim()
    from mobileseg.compress.recipe_search import SearchRecipe

    for key in ("images", "latency_ms"):
        if getattr(args, key) is not None:
            args.opts = [*args.opts, f"compress.search.{key}={getattr(args, key)}"]
    job = open_job(args)
    job.folder.mkdir(parents=True, exist_ok=True)
    print(SearchRecipe(job.config, job.network, job.source, job.folder, say).run())
    print(f"report: {job.folder / 'report.md'}, report.html, report.json")
    return 0
