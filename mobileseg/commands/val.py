"""`mobileseg val`: score a network, or an exported model on any engine, on a validation dataset."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobileseg import tasks
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
from mobileseg.commands.progress import progress_counter
from mobileseg.converter import has_more_engines
from mobileseg.errors import ConfigError
from mobileseg.files import write_whole
from mobileseg.tasks import accepts, task_of

if TYPE_CHECKING:
    from mobileseg.config.load import Config
    from mobileseg.runtime.manifest import Manifest

Evaluated = tuple[Any, str, dict[str, Any]]
"""A predictor, its name for the reader, and the settings that belong in the JSON file."""

HELP = "evaluate a run, a checkpoint, a .pdparams file, or an exported model on any engine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of PaddleSeg's tools/val.py, and ours."""
    add_config_arguments(parser)
    parser.add_argument("--model_path", help="run folder, checkpoint folder, zoo folder or weights file")
    parser.add_argument("--model", metavar="FOLDER", help="exported model (with deploy.yaml), instead of --model_path")
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
        "--save_results",
        metavar="FILE",
        help="write every object found in COCO's results format, of videos every track in YouTube-VIS'",
    )
    parser.add_argument(
        "--match_classes",
        action="store_true",
        help="match the classes of model and dataset by name, whatever their order",
    )
    parser.add_argument("--save_dir", metavar="FOLDER", help="write the scores into this folder, as scores.json")
    parser.add_argument("--json", metavar="FILE", help="write the scores into this file")


def needs_converter(args: argparse.Namespace) -> bool:
    """Where an exported model shall run on Paddle Lite, and there is no wheel of it here."""
    return bool(args.model) and has_more_engines([args.engine])


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write the JSON files."""
    from mobileseg.config.build import build_dataset
    from mobileseg.config.load import load_config
    from mobileseg.training.evaluator import evaluate
    from mobileseg.training.task import training_of

    say_accepted(args)
    if args.model_path:
        args.model_path = own_path(args.model_path)
    if bool(args.model_path) == bool(args.model):
        raise ConfigError("name what to evaluate", remedy="give --model_path RUN (or a file), or --model FOLDER")
    if args.model_path and args.engine != "auto":
        raise ConfigError(
            f"--engine {args.engine} runs an exported model, --model_path is a network in Paddle",
            remedy="export it first with `mobileseg export` and name the folder with --model",
        )
    targets = _targets(args)
    config = load_config(config_path(args), args.opts)
    config.require("val_dataset")
    settings = config.to_dict()
    section = view_section(args, settings["test_config"])
    dataset = build_dataset(settings["val_dataset"])
    task = training_of(dataset)
    scorer = task.scorer(dataset, **task.scorer_options(args, section))
    predict, what, how = (_exported if args.model else _network)(args, config, section, dataset)
    ranked = _Ranked(predict, dataset) if args.auc_roc or section["auc_roc"] else None
    predict = ranked or predict
    scores = evaluate(predict, dataset, num_workers=args.num_workers, progress=progress_counter(), scorer=scorer)
    print(f"{what}: {scores.images} images in {scores.seconds:.1f} s")
    print(scores.table)
    document = scores.to_dict() | {"model": what, "config": config.hash, **how}
    if ranked is not None:
        document |= ranked.ranking.summary()
        area = document["auc_roc"]
        print("no ROC curve" if area is None else f"area under the ROC curve: {area:.4f}")
    for target in targets:
        write_whole(target, json.dumps(document, indent=1))
        print(f"scores written to {target}")
    if args.save_results:
        print(task.save_results(scorer, Path(args.save_results)))
    return 0


class _Ranked:
    """A predictor of labels that takes note of how the scores rank the pixels.

    Args:
        predictor: gives scores of a sample.
        dataset: its classes and what it ignores.

    Raises:
        ConfigError: an exported graph, which gives labels, or an instance segmentation model.
    """

    def __init__(self, predictor: Any, dataset: Any) -> None:
        from mobileseg.semantic.ranking import RankingScore

        if not hasattr(predictor, "scores"):
            raise ConfigError(
                "--auc_roc needs the class scores of a semantic segmentation model",
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


def _network(args: argparse.Namespace, config: Config, section: dict[str, Any], dataset: Any) -> Evaluated:
    from mobileseg.config.build import build_network
    from mobileseg.training.predictors import make_predictor
    from mobileseg.training.task import training_of
    from mobileseg.training.weights import classes_of, load_checkpoint_weights

    choose_device(args.device)
    settings = config.to_dict()
    network = build_network(config, load_pretrained=False)
    _same_task(task_of(network), dataset, str(config.path))
    predict = make_predictor(network, settings, section)
    classes = classes_of(args.model_path)
    predict = _by_name(args, predict, classes, dataset, args.model_path)
    what = load_checkpoint_weights(args.model_path, network)
    network.eval()
    return predict, what, training_of(network).evaluated_with(settings, section)


def _exported(args: argparse.Namespace, config: Config, section: dict[str, Any], dataset: Any) -> Evaluated:
    from mobileseg.runtime.segmenter import Segmenter
    from mobileseg.training.evaluator import SegmenterPredictor

    if section["aug_eval"] or section["is_slide"]:
        raise ConfigError(
            "an exported graph has one fixed input and gives labels: scales, flips and windows need the network",
            remedy="evaluate the checkpoint with --model_path, or turn aug_eval and is_slide off",
        )
    options = config.to_dict()["detection"]
    changed = _changed_detection(args.opts, options)
    segmenter = Segmenter(args.model, engine=args.engine, threads=args.threads, detection=changed)
    manifest = segmenter.manifest
    _same_task(manifest.task, dataset, args.model)
    if segmenter.pixels != dataset.pixels:
        own, other = segmenter.pixels, dataset.pixels
        raise ConfigError(
            f"{args.model} takes images of {own.channels} channels with values of {list(own.limits)}, val_dataset "
            f"gives {other.channels} channels with values of {list(other.limits)}",
            remedy="write the img_channels and img_range that it was trained with",
        )
    how = tasks.stage(manifest.task, "training").evaluated_with(_as_exported(config.to_dict(), manifest), section)
    predict = _by_name(args, SegmenterPredictor(segmenter), manifest.classes, dataset, args.model)
    return predict, f"{args.model} on {segmenter.engine_name}", how


def _as_exported(settings: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    """The configuration with the values that an exported model has of its own, where it has sections of those names."""
    own = {name: value for name, value in (manifest.settings or {}).items() if isinstance(settings.get(name), dict)}
    merged = {name: {key: value[key] for key in settings[name] if key in value} for name, value in own.items()}
    return settings | merged


def _changed_detection(overrides: Sequence[str], detection: dict[str, Any]) -> dict[str, Any]:
    """The detection options that the command line names; the others are those of the exported model."""
    keys = [one.split("=", 1)[0].strip() for one in overrides]
    if "detection" in keys:
        return detection
    return {name: detection[name] for key in keys for prefix, _, name in [key.partition(".")] if prefix == "detection"}


def _same_task(task: str, dataset: Any, what: str) -> None:
    if not accepts(task, task_of(dataset)):
        raise ConfigError(
            f"{what} is a network for {task} segmentation, val_dataset is one for {task_of(dataset)} segmentation",
            remedy="evaluate it with the configuration that it was trained with",
        )


def _by_name(args: argparse.Namespace, predict: Any, classes: Sequence[str], dataset: Any, what: str) -> Any:
    """The predictor for the dataset's classes: the same in the same order, or matched by name if asked for.

    Raises:
        ConfigError: the classes differ.
    """
    from mobileseg.config.classes import class_difference, name_table, require_same_classes
    from mobileseg.training.task import training_of

    if args.match_classes and class_difference(classes, dataset.classes):
        return training_of(dataset).renamed(predict, name_table(classes, dataset.classes))
    remedy = "give the dataset the classes that the network was trained on, in their order (classes: [...]), or match "
    require_same_classes(classes, dataset.classes, (what, "val_dataset"), f"{remedy}them by name with --match_classes")
    return predict


def _targets(args: argparse.Namespace) -> list[Path]:
    """Files for the scores: none unless asked for, for nothing is written into an input.

    Raises:
        ConfigError: the folder cannot be made, or is what is evaluated.
    """
    found = [Path(args.json)] if args.json else []
    if args.save_dir:
        folder, model = Path(args.save_dir), Path(args.model or args.model_path)
        if model.exists() and folder.resolve() == (model if model.is_dir() else model.parent).resolve():
            raise ConfigError(f"--save_dir {folder} is what is evaluated", remedy="name a folder of its own")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"--save_dir {folder} cannot be made: {error.strerror}", remedy="name a folder that can be written"
            ) from error
        found.append(folder / (f"scores_{args.engine}.json" if args.model else "scores.json"))
    return found
