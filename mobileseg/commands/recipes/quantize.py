"""Run kernels in int8: weights per output channel, activations per tensor, by PaddleSlim's calibration.

1. fp32        the input as an exported model, to compare with
2. qat         optional (`compress.quantize.qat`): training with simulated int8, its weights are then calibrated
3. ranges      batch norms are folded, images that show every class are chosen, PaddleSlim finds the ranges
4. analysis    noise of every layer, and the score with single layers in float; while the loss is more than
               `compress.quantize.tolerance`, the layers that gain most are left in float
5. int8        Paddle Inference with fake-quantise operators, ONNX with quantise and dequantise nodes, Paddle Lite for
               ARM; those that can be run here are run, compared and scored; more loss than `compress.max_drop` is an
               error that names the layers to keep in float

`compress.quantize.components` restricts int8 to parts of the network (`mobileseg compress search` compares them).
The folder int8 is an exported model: `mobileseg predict`, `val --model`, `benchmark` and `doctor model` take it.
"""

from __future__ import annotations

import argparse

from mobileseg.commands.recipes.common import add_common_arguments, open_job, say

HELP = "int8 by PaddleSlim's calibration or training: Paddle, ONNX and Paddle Lite graphs, scored on engines"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The common arguments, and shortcuts for settings."""
    add_common_arguments(parser)
    parser.add_argument("--algorithm", choices=("avg", "KL", "hist", "mse"), help="of the calibration")
    parser.add_argument("--images", type=int, metavar="N", help="images to calibrate with")
    parser.add_argument("--components", nargs="+", metavar="NAME", help="parts of the network to run in int8")
    parser.add_argument("--skip", nargs="+", metavar="PATTERN", help="layers that stay in float")


def run(args: argparse.Namespace) -> int:
    """Run the recipe."""
    import os

    os.environ.setdefault("GLOG_minloglevel", "2")  # read when Paddle is imported
    from mobileseg.compress.precision.slim import require_paddleslim

    require_paddleslim()
    from mobileseg.compress.recipe_quantize import QuantizeRecipe
    from mobileseg.compress.report import render_table

    for key in ("algorithm", "images", "components", "skip"):
        value = getattr(args, key)
        if value is not None:
            text = f"[{', '.join(value)}]" if isinstance(value, list) else value
            args.opts = [*args.opts, f"compress.quantize.{key}={text}"]
    job = open_job(args)
    job.folder.mkdir(parents=True, exist_ok=True)
    rows = QuantizeRecipe(job.config, job.network, job.source, job.folder, say).run()
    print(render_table(rows))
    print(f"int8 folder: {job.folder / 'int8'}; report: {job.folder / 'report.md'}, report.html, report.json")
    return 0
