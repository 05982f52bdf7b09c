"""`mobileseg val`: score a network, or an exported folder on any engine, on a validation dataset."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mobileseg.commands.train import choose_device, config_path
from mobileseg.errors import ConfigError

HELP = "evaluate a run, a checkpoint, a .pdparams file, or an exported folder on any engine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of PaddleSeg's tools/val.py, and ours."""
    parser.add_argument("config_file", nargs="?", metavar="CONFIG", help="configuration file")
    parser.add_argument("--config", help="the same, as PaddleSeg writes it")
    parser.add_argument(
        "-o", "--opts", nargs="+", default=[], metavar="KEY=VALUE", help="override configuration values"
    )
    parser.add_argument("--model_path", help="run folder, checkpoint folder, zoo folder or weights file")
    parser.add_argument("--model", metavar="FOLDER", help="exported folder (with deploy.yaml), instead of --model_path")
    parser.add_argument("--engine", default="auto", help="engine for --model: auto, paddle, onnxruntime, lite, ncnn")
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine")
    parser.add_argument("--num_workers", type=int, default=2, help="threads that decode images ahead")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "gpu"), help="for --model_path")
    parser.add_argument("--aug_eval", action="store_true", help="average over --scales and flips")
    parser.add_argument("--scales", nargs="+", type=float, help="with --aug_eval: factors on the input size")
    parser.add_argument("--flip_horizontal", action="store_true", help="with --aug_eval: mirror left-right")
    parser.add_argument("--flip_vertical", action="store_true", help="with --aug_eval: mirror top-bottom")
    parser.add_argument("--is_slide", action="store_true", help="sliding window")
    parser.add_argument("--crop_size", nargs=2, type=int, metavar=("W", "H"), help="with --is_slide: the window")
    parser.add_argument("--stride", nargs=2, type=int, metavar=("W", "H"), help="with --is_slide: its steps")
    parser.add_argument("--no_boundary", action="store_true", help="leave out the boundary IoU, which takes time")
    parser.add_argument("--json", metavar="FILE", help="write the scores there (default: beside the model)")


def test_section(args: argparse.Namespace, section: dict[str, Any]) -> dict[str, Any]:
    """``test_config`` of the configuration with what the flags say; as in PaddleSeg, flags replace a whole group."""
    section = dict(section)
    if args.aug_eval:
        section |= {"aug_eval": True, "scales": args.scales or [1.0]}
        section |= {"flip_horizontal": args.flip_horizontal, "flip_vertical": args.flip_vertical}
    elif args.scales or args.flip_horizontal or args.flip_vertical:
        raise ConfigError("--scales and --flip_* have no effect without --aug_eval", remedy="add --aug_eval")
    if args.is_slide:
        section |= {"is_slide": True, "crop_size": args.crop_size, "stride": args.stride}
    elif args.crop_size or args.stride:
        raise ConfigError("--crop_size and --stride have no effect without --is_slide", remedy="add --is_slide")
    return section


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write the JSON file."""
    from mobileseg.config.build import build_dataset
    from mobileseg.config.load import load_config
    from mobileseg.engine.evaluator import evaluate
    from mobileseg.semantic.metric import render_table

    if bool(args.model_path) == bool(args.model):
        raise ConfigError("name what to evaluate", remedy="give --model_path RUN (or a file), or --model FOLDER")
    config = load_config(config_path(args), args.opts)
    config.require("val_dataset")
    section = test_section(args, config.to_dict()["test_config"])
    predict, what = _exported(args, section) if args.model else _network(args, config, section)
    dataset = build_dataset(config.to_dict()["val_dataset"])
    scores = evaluate(
        predict, dataset, num_workers=args.num_workers, boundary=not args.no_boundary, progress=_progress()
    )
    print(f"{what}: {scores['images']} images in {scores['seconds']:.1f} s")
    print(render_table(scores))
    target = Path(args.json) if args.json else _beside(Path(args.model or args.model_path), args)
    scores |= {"model": what, "config": config.hash, "test_config": section}
    target.write_text(json.dumps(scores, indent=1), encoding="utf-8")
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
    return SegmenterPredictor(segmenter), f"{args.model} on {args.engine}"


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
