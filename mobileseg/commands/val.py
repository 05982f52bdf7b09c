"""`mobileseg val`: score a network, or an exported folder on any engine, on a validation dataset."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mobileseg.commands.arguments import (
    add_config_arguments,
    add_device_argument,
    add_view_arguments,
    choose_device,
    config_path,
    view_section,
)
from mobileseg.errors import ConfigError
from mobileseg.files import write_whole

HELP = "evaluate a run, a checkpoint, a .pdparams file, or an exported folder on any engine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of PaddleSeg's tools/val.py, and ours."""
    add_config_arguments(parser)
    parser.add_argument("--model_path", help="run folder, checkpoint folder, zoo folder or weights file")
    parser.add_argument("--model", metavar="FOLDER", help="exported folder (with deploy.yaml), instead of --model_path")
    parser.add_argument("--engine", default="auto", help="engine for --model: auto, paddle, onnxruntime, lite, ncnn")
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine")
    parser.add_argument("--num_workers", type=int, default=2, help="threads that decode images ahead")
    add_device_argument(parser, "for --model_path")
    add_view_arguments(parser)
    parser.add_argument("--no_boundary", action="store_true", help="leave out the boundary IoU, which takes time")
    parser.add_argument("--json", metavar="FILE", help="write the scores there (default: beside the model)")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write the JSON file."""
    from mobileseg.config.build import build_dataset
    from mobileseg.config.load import load_config
    from mobileseg.engine.evaluator import evaluate
    from mobileseg.semantic.metric import render_table

    if bool(args.model_path) == bool(args.model):
        raise ConfigError("name what to evaluate", remedy="give --model_path RUN (or a file), or --model FOLDER")
    if args.model_path and args.engine != "auto":
        raise ConfigError(
            f"--engine {args.engine} runs an exported folder, --model_path is a network in Paddle",
            remedy="export it first with `mobileseg export` and name the folder with --model",
        )
    config = load_config(config_path(args), args.opts)
    config.require("val_dataset")
    section = view_section(args, config.to_dict()["test_config"])
    predict, what = _exported(args, section) if args.model else _network(args, config, section)
    dataset = build_dataset(config.to_dict()["val_dataset"])
    scores = evaluate(
        predict, dataset, num_workers=args.num_workers, boundary=not args.no_boundary, progress=_progress()
    )
    print(f"{what}: {scores['images']} images in {scores['seconds']:.1f} s")
    print(render_table(scores))
    target = Path(args.json) if args.json else _beside(Path(args.model or args.model_path), args)
    scores |= {"model": what, "config": config.hash, "test_config": section}
    write_whole(target, json.dumps(scores, indent=1))
    print(f"scores written to {target}")
    return 0


def _network(args: argparse.Namespace, config: Any, section: dict[str, Any]) -> tuple[Any, str]:
    from mobileseg.config.build import build_network
    from mobileseg.engine.inference import NetworkPredictor, TestOptions
    from mobileseg.engine.weights import load_checkpoint_weights

    choose_device(args.device)
    options = TestOptions.from_section(section)
    network = build_network(config, load_pretrained=False)
    what = load_checkpoint_weights(args.model_path, network)
    network.eval()
    return NetworkPredictor(network, options), what


def _exported(args: argparse.Namespace, section: dict[str, Any]) -> tuple[Any, str]:
    from mobileseg.engine.evaluator import SegmenterPredictor
    from mobileseg.runtime.segmenter import Segmenter

    if section["aug_eval"] or section["is_slide"]:
        raise ConfigError(
            "an exported graph has one fixed input and gives labels: scales, flips and windows need the network",
            remedy="evaluate the checkpoint with --model_path, or turn aug_eval and is_slide off",
        )
    segmenter = Segmenter(args.model, engine=args.engine, threads=args.threads)
    return SegmenterPredictor(segmenter), f"{args.model} on {segmenter.engine_name}"


def _progress() -> Any:
    """A counter on a terminal, silence elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        print(f"\r{done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show


def _beside(model: Path, args: argparse.Namespace) -> Path:
    name = f"scores_{args.engine}.json" if args.model else "scores.json"
    if model.is_dir():
        return model / name
    return (model.parent if model.parent.is_dir() else Path()) / name
