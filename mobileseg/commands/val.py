"""`mobileseg val`: score a network, or an exported folder on any engine, on a validation dataset."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mobileseg.commands.arguments import (
    add_accepted,
    add_config_arguments,
    add_device_argument,
    add_view_arguments,
    choose_device,
    config_path,
    own_path,
    say_accepted,
    view_section,
)
from mobileseg.errors import ConfigError
from mobileseg.files import write_whole

if TYPE_CHECKING:
    from mobileseg.config.load import Config
    from mobileseg.instance.metric import CocoScorer

Evaluated = tuple[Any, str, dict[str, Any]]
"""A predictor, its name for the reader, and the settings that belong in the JSON file."""

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
    parser.add_argument("--auc_roc", action="store_true", help="also the area under the ROC curve of every class")
    add_accepted(
        parser,
        data_format="networks run in NCHW; the result is the same",
        use_multilabel="labels have one class per pixel",
    )
    add_view_arguments(parser)
    parser.add_argument("--no_boundary", action="store_true", help="leave out the boundary IoU, which takes time")
    parser.add_argument(
        "--save_results", metavar="FILE", help="instances: write every object found in COCO's results format"
    )
    parser.add_argument("--json", metavar="FILE", help="write the scores there (default: beside the model)")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write the JSON files."""
    from mobileseg.config.build import build_dataset
    from mobileseg.config.load import load_config
    from mobileseg.engine.evaluator import evaluate, make_scorer, table, task_of

    say_accepted(args)
    if args.model_path:
        args.model_path = own_path(args.model_path)
    if bool(args.model_path) == bool(args.model):
        raise ConfigError("name what to evaluate", remedy="give --model_path RUN (or a file), or --model FOLDER")
    if args.model_path and args.engine != "auto":
        raise ConfigError(
            f"--engine {args.engine} runs an exported folder, --model_path is a network in Paddle",
            remedy="export it first with `mobileseg export` and name the folder with --model",
        )
    config = load_config(config_path(args), args.opts)
    config.require("val_dataset")
    settings = config.to_dict()
    section = view_section(args, settings["test_config"])
    dataset = build_dataset(settings["val_dataset"])
    task = task_of(dataset)
    _check_flags(args, task, section)
    predict, what, how = (_exported if args.model else _network)(args, config, section, dataset)
    ranked = _Ranked(predict, dataset) if args.auc_roc or section["auc_roc"] else None
    predict = ranked or predict
    scorer = make_scorer(dataset, boundary=not args.no_boundary)
    scores = evaluate(predict, dataset, num_workers=args.num_workers, progress=_progress(), scorer=scorer)
    print(f"{what}: {scores['images']} images in {scores['seconds']:.1f} s")
    print(table(scores))
    if ranked is not None:
        scores |= ranked.ranking.summary()
        print(f"area under the ROC curve: {scores['auc_roc']:.4f}" if scores["auc_roc"] is not None else "no ROC curve")
    target = Path(args.json) if args.json else _beside(Path(args.model or args.model_path), args)
    scores |= {"model": what, "config": config.hash, **how}
    write_whole(target, json.dumps(scores, indent=1))
    print(f"scores written to {target}")
    if args.save_results:
        results = cast("CocoScorer", scorer).results()
        write_whole(args.save_results, json.dumps(results, separators=(",", ":")))
        print(f"{len(results)} objects written to {args.save_results} in COCO's results format")
    return 0


class _Ranked:
    """A predictor of labels that takes note of how the scores rank the pixels.

    Args:
        predictor: gives scores of a sample.
        dataset: its classes and what it ignores.

    Raises:
        ConfigError: an exported graph, which gives labels, or a network that finds objects.
    """

    def __init__(self, predictor: Any, dataset: Any) -> None:
        from mobileseg.semantic.ranking import RankingScore

        if not hasattr(predictor, "scores"):
            raise ConfigError(
                "--auc_roc compares the scores of a network that labels pixels",
                remedy="name a checkpoint with --model_path, or leave --auc_roc and test_config.auc_roc out",
            )
        self.predictor = predictor
        self.ranking = RankingScore(dataset.num_classes, dataset.ignore_index)

    def __call__(self, sample: Any) -> Any:
        from mobileseg.semantic.postprocess import labels_from_logits, softmax

        scores = self.predictor.scores(sample)
        if sample.label is not None:
            self.ranking.update(softmax(scores), sample.label)
        return labels_from_logits(scores, scores.shape[1:])


def _check_flags(args: argparse.Namespace, task: str, section: dict[str, Any]) -> None:
    """Refuse before anything is loaded what the task cannot do."""
    if task == "instance":
        from mobileseg.engine.inference_instance import refuse_views

        refuse_views(section)
        if args.no_boundary:
            raise ConfigError("--no_boundary: objects have no boundary IoU", remedy="leave --no_boundary out")
        if args.save_results and not Path(args.save_results).parent.is_dir():
            raise ConfigError(f"--save_results: there is no folder {Path(args.save_results).parent}", remedy="make it")
    elif args.save_results:
        raise ConfigError(
            "--save_results writes objects, but the dataset has labels",
            remedy="leave it out; `mobileseg predict` writes label images",
        )


def _network(args: argparse.Namespace, config: Config, section: dict[str, Any], dataset: Any) -> Evaluated:
    from mobileseg.config.build import build_network
    from mobileseg.engine.evaluator import task_of
    from mobileseg.engine.predictors import make_predictor
    from mobileseg.engine.weights import load_checkpoint_weights

    choose_device(args.device)
    settings = config.to_dict()
    network = build_network(config, load_pretrained=False)
    _same_task(task_of(network), dataset, str(config.path))
    predict = make_predictor(network, settings, section)
    what = load_checkpoint_weights(args.model_path, network)
    network.eval()
    how = {"detection": settings["detection"]} if task_of(network) == "instance" else {"test_config": section}
    return predict, what, how


def _exported(args: argparse.Namespace, config: Config, section: dict[str, Any], dataset: Any) -> Evaluated:
    from mobileseg.engine.evaluator import SegmenterPredictor
    from mobileseg.runtime.segmenter import Segmenter

    if section["aug_eval"] or section["is_slide"]:
        raise ConfigError(
            "an exported graph has one fixed input and gives labels: scales, flips and windows need the network",
            remedy="evaluate the checkpoint with --model_path, or turn aug_eval and is_slide off",
        )
    changed = _changed_detection(args.opts, config.to_dict()["detection"])
    segmenter = Segmenter(args.model, engine=args.engine, threads=args.threads, detection=changed)
    manifest = segmenter.manifest
    _same_task(manifest.task, dataset, args.model)
    if manifest.task == "instance" and tuple(manifest.classes) != tuple(dataset.classes):
        raise ConfigError(
            f"{args.model} knows the classes {_shown(manifest.classes)}, val_dataset has {_shown(dataset.classes)}",
            remedy="give the dataset the classes that the network was trained on, in their order (classes: [...])",
        )
    how: dict[str, Any] = {"test_config": section}
    if manifest.detection is not None:
        how = {"detection": asdict(manifest.detection.options)}
    return SegmenterPredictor(segmenter), f"{args.model} on {segmenter.engine_name}", how


def _changed_detection(overrides: Sequence[str], detection: dict[str, Any]) -> dict[str, Any]:
    """The detection options that the command line names; the others are those of the exported folder."""
    keys = [one.split("=", 1)[0].strip() for one in overrides]
    if "detection" in keys:
        return detection
    return {name: detection[name] for key in keys for prefix, _, name in [key.partition(".")] if prefix == "detection"}


def _same_task(task: str, dataset: Any, what: str) -> None:
    from mobileseg.engine.evaluator import task_of

    if task != task_of(dataset):
        raise ConfigError(
            f"{what} is a network for {task} segmentation, val_dataset is one for {task_of(dataset)} segmentation",
            remedy="evaluate it with the configuration that it was trained with",
        )


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


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
