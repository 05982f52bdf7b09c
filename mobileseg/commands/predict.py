"""`mobileseg predict`: segment images, folders, lists, videos and cameras, and draw what was found."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from mobileseg.commands.arguments import (
    add_accepted,
    add_device_argument,
    add_override_argument,
    add_view_arguments,
    choose_device,
    own_path,
    say_accepted,
    view_section,
)
from mobileseg.converter import has_more_engines
from mobileseg.errors import ConfigError, DataError

_FPS = (0.1, 1000.0)
"""Least and highest --fps."""

_NAMED = 8
"""Classes that are named before the first image."""

_PADDLESEG_FOLDERS = {"overlay": "added_prediction", "labels": "pseudo_color_prediction"}

HELP = "segment images, folders, lists, videos or a camera: overlay, index mask, JSON"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Our flags, and those of PaddleSeg's tools/predict.py."""
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="image, folder, list (.txt), video or camera:0")
    parser.add_argument("--model", metavar="FOLDER", help="exported model, zoo folder, run folder or checkpoint")
    parser.add_argument(
        "--engine",
        default="auto",
        help="auto, onnxruntime, lite, ncnn, paddle, tensorrt; 'network' runs the trainable weights of a zoo folder",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine (default: 1)")
    parser.add_argument("--output", "--save_dir", default="output/predict", metavar="DIR", help="folder for results")
    parser.add_argument(
        "--write", nargs="+", choices=("overlay", "labels", "json"), help="kinds of results (default: all three)"
    )
    parser.add_argument("--format", choices=("jpg", "png"), default="jpg", help="overlays of images (default: jpg)")
    parser.add_argument(
        "--alpha", type=float, help="opacity of the colours in overlays, 0 to 1 (default: that of the task)"
    )
    parser.add_argument(
        "--min_score",
        type=float,
        metavar="S",
        help="of instance segmentation models: leave out instances below (default: 0.3)",
    )
    parser.add_argument(
        "--paddleseg_folders", action="store_true", help="write to added_prediction/ and pseudo_color_prediction/"
    )
    _add_video_arguments(parser.add_argument_group("videos and cameras"))
    parser.add_argument(
        "--precision",
        nargs="+",
        metavar="P",
        help="of --engine tensorrt: fp32, fp16, int8, or COMPONENT=PRECISION for several components",
    )
    parser.add_argument("--calibration", metavar="INPUT", help="images for int8: image, folder or list")
    parser.add_argument("--quiet", action="store_true", help="say nothing about single images")
    network = parser.add_argument_group("a model that has not been exported")
    network.add_argument("--config", help="configuration, when --model_path is a weights file")
    network.add_argument("--model_path", help="weights file, checkpoint or run folder")
    network.add_argument("--image_path", metavar="INPUT", help="as INPUT")
    add_override_argument(network)
    add_device_argument(network, "where the network runs")
    add_view_arguments(network, "--aug_pred")
    parser.add_argument(
        "--custom_color", nargs="+", type=int, metavar="V", help="colours of the classes: R G B R G B ..., 0 to 255"
    )
    add_accepted(
        parser,
        device_id="CUDA_VISIBLE_DEVICES chooses the card",
        use_multilabel="labels have one class per pixel",
    )


def _add_video_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--live",
        choices=("drop", "queue"),
        default="drop",
        help="frames of a camera that come while one is worked on: left out (default), or worked on later",
    )
    group.add_argument(
        "--as_video", action="store_true", help="the images of a folder are the frames of a video, in order of names"
    )
    group.add_argument("--fps", type=float, metavar="F", help="with --as_video: frames per second (default: 25)")
    group.add_argument("--max_frames", type=int, metavar="N", help="stop a video or camera after N frames")
    group.add_argument(
        "--track",
        action=argparse.BooleanOptionalAction,
        help="of instance segmentation models: ids that stay through videos and cameras",
    )
    group.add_argument(
        "--save_tracks",
        nargs="+",
        choices=("csv", "mots", "ytvis"),
        help="of objects with ids: statistics per track (default), MOTS text, YouTube-VIS results",
    )
    group.add_argument(
        "--smooth",
        type=float,
        metavar="W",
        help="of semantic segmentation models: average with earlier frames of a video; their weight, for example 0.5",
    )
    group.add_argument("--times", action="store_true", help="draw frame rate and stage times on frames of videos")
    group.add_argument("--show", action="store_true", help="show videos in a window, with these times; q ends one")


def needs_converter(args: argparse.Namespace) -> bool:
    """Where an exported model shall run on Paddle Lite, and there is no wheel of it here."""
    return has_more_engines([args.engine])


def run(args: argparse.Namespace) -> int:
    """Segment everything; 0 when all of it could be used, else the code of a data error."""
    from mobileseg.prediction.predict import OUTPUTS, PredictionWriter
    from mobileseg.prediction.sources import find_sources
    from mobileseg.runtime.video import DEFAULT_FPS, Window
    from mobileseg.tracking.label_filter import checked_weight
    from mobileseg.tracking.options import TrackingOptions

    say_accepted(args)
    if args.model_path:
        args.model_path = own_path(args.model_path)
    inputs = [*args.inputs, *([args.image_path] if args.image_path else [])]
    if not inputs:
        raise ConfigError("there is nothing to segment", remedy="name an image, a folder, a list, a video or camera:0")
    for flag, value in (("--alpha", args.alpha), ("--min_score", args.min_score)):
        if value is not None and not 0.0 <= value <= 1.0:
            raise ConfigError(f"{flag} is {value}, expected 0 to 1")
    if args.max_frames is not None and args.max_frames < 1:
        raise ConfigError(f"--max_frames is {args.max_frames}, expected at least 1")
    _check_frames(args, inputs)
    segmenter = open_segmenter(args)
    if args.custom_color:
        segmenter = _Recoloured(segmenter, args.custom_color)
    print(f"{segmenter.name} on {segmenter.engine_name}, {_named(segmenter.classes)}")
    writer = PredictionWriter(
        segmenter,
        args.output,
        outputs=args.write or OUTPUTS,
        suffix=f".{args.format}",
        opacity=args.alpha,
        min_score=args.min_score,
        max_frames=args.max_frames,
        times=args.times,
        window=Window(segmenter.name) if args.show else None,
        folders=_PADDLESEG_FOLDERS if args.paddleseg_folders else {},
        tracking=TrackingOptions() if args.track else args.track,
        track_files=args.save_tracks,
        frame_rate=DEFAULT_FPS if args.fps is None else args.fps,
        camera=args.live,
        smooth=None if args.smooth is None else checked_weight(args.smooth),
        say=_nothing if args.quiet else print,
    )
    summary = writer.run(find_sources(inputs, args.output, as_video=args.as_video))
    done = summary.images + summary.frames
    if done:
        means = ", ".join(f"{stage} {value / done:.1f}" for stage, value in summary.milliseconds.items())
        print(f"{summary.images} images and {summary.frames} frames (mean ms: {means}); results in {args.output}")
    if summary.errors:
        count = len(summary.errors)
        raise DataError(f"{count} of the inputs could not be used, see above")
    return 0


def _check_frames(args: argparse.Namespace, inputs: Sequence[str]) -> None:
    """Refuse flags about folders of frames that would change nothing.

    Raises:
        ConfigError: --as_video without a folder, --fps without --as_video, or no frame rate.
    """
    if args.as_video and not any(os.path.isdir(text) for text in inputs):
        raise ConfigError("--as_video is for folders of frames, and no folder is named", remedy="name the folder")
    if args.fps is None:
        return
    if not args.as_video:
        raise ConfigError("--fps has no effect without --as_video", remedy="add --as_video, or leave --fps out")
    if not _FPS[0] <= args.fps <= _FPS[1]:
        raise ConfigError(f"--fps is {args.fps:g}, expected {_FPS[0]:g} to {_FPS[1]:g}")


class _Recoloured:
    """A segmenter whose first classes have other colours.

    Args:
        segmenter: what is recoloured.
        values: R G B of class 0, of class 1, ...

    Raises:
        ConfigError: they are not three per class, or not 0 to 255.
    """

    def __init__(self, segmenter: Any, values: list[int]) -> None:
        import numpy as np

        classes = len(segmenter.classes)
        if len(values) % 3 or len(values) > 3 * classes or not all(0 <= value <= 255 for value in values):
            raise ConfigError(
                f"--custom_color has {len(values)} numbers, from {min(values)} to {max(values)}",
                remedy=f"give R G B, each 0 to 255, for up to {classes} classes",
            )
        self._segmenter = segmenter
        self.palette = np.asarray(segmenter.palette, np.uint8).copy()
        self.palette[: len(values) // 3] = np.reshape(values, (-1, 3))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._segmenter, name)

    def __call__(self, image: Any) -> Any:
        return self._segmenter(image)


def open_segmenter(args: argparse.Namespace) -> Any:
    """The exported graph where there is one, else the network in Paddle.

    Raises:
        ConfigError: the flags name no model, or contradict each other.
    """
    if bool(args.model) == bool(args.model_path):
        raise ConfigError("name one model", remedy="give --model FOLDER, or --model_path with --config")
    place = args.model or args.model_path
    from mobileseg.runtime.manifest import is_artefact

    if (args.precision or args.calibration) and args.engine != "tensorrt":
        raise ConfigError("--precision and --calibration are for TensorRT", remedy="add --engine tensorrt")
    as_network = args.engine == "network" or args.config is not None or bool(args.opts)
    views = view_section(args, {})
    exported = is_artefact(place)
    if exported and not as_network and not views:
        from mobileseg.runtime.segmenter import Segmenter

        return Segmenter(place, engine=args.engine, threads=args.threads, **_engine_options(args))
    if args.engine not in ("auto", "network"):
        if exported:
            raise ConfigError(
                f"scales, flips, windows, --config and -o need the network; --engine {args.engine} runs a graph",
                remedy="leave --engine out, or leave those out",
            )
        raise ConfigError(
            f"{place} is not an exported model, so the engine '{args.engine}' cannot run it",
            remedy="export it first with `mobileseg export`, or leave --engine out",
        )
    return _network(args, place)


def _engine_options(args: argparse.Namespace) -> dict[str, Any]:
    """Options of the engine alone that were given.

    Raises:
        ConfigError: a precision that is neither one for all nor a list of components.
    """
    from mobileseg.prediction.sources import find_sources

    options: dict[str, Any] = {}
    if args.precision:
        pairs = [item.split("=", 1) for item in args.precision]
        if len(pairs) > 1 and any(len(pair) == 1 for pair in pairs):
            raise ConfigError(
                f"--precision {' '.join(args.precision)} mixes one for all with components",
                remedy="write fp16, or backbone=int8 head=fp16",
            )
        options["precision"] = pairs[0][0] if len(pairs[0]) == 1 else dict(pairs)
    if args.calibration:
        options["calibration"] = [source.where for source in find_sources([args.calibration]) if source.kind == "image"]
    return options


def _network(args: argparse.Namespace, place: str) -> Any:
    """The network in Paddle, which only this way of predicting loads."""
    from pathlib import Path

    from mobileseg.config.load import load_config
    from mobileseg.training.network_segmenter import NetworkSegmenter

    if not Path(place).exists():
        raise ConfigError(f"{place} does not exist", remedy="name an exported model, a run folder or a weights file")
    choose_device(args.device)
    if args.config is None:
        if args.opts:
            raise ConfigError("-o overrides a configuration, and none is given", remedy="add --config")
        return NetworkSegmenter.of_folder(place, view_section(args, {}) or None)
    config = load_config(args.config, args.opts)
    return NetworkSegmenter(config, place, view_section(args, config.to_dict()["test_config"]))


def _named(classes: Sequence[str]) -> str:
    """How many classes, and which: who knows the data sees at once when names and network do not belong together."""
    shown = ", ".join(classes[:_NAMED]) + (", ..." if len(classes) > _NAMED else "")
    return f"{len(classes)} class{'es' if len(classes) != 1 else ''}: {shown}"


def _nothing(text: str) -> None:
    """Where the lines about single images go with --quiet."""
