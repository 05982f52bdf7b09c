"""`mobileseg export`: write a network as an exported model, every graph run and compared."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobileseg.commands.arguments import add_accepted, add_config_arguments, config_path, own_path, say_accepted
from mobileseg.errors import ConfigError, ExportError
from mobileseg.export.options import ALL_TARGETS, OUTPUT_NAMES, TARGETS, ExportOptions, check_targets

if TYPE_CHECKING:
    from mobileseg.config.load import Config

HELP = "write Paddle, ONNX, Paddle Lite and NCNN graphs, each run and compared with the network"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of PaddleSeg's tools/export.py, and ours."""
    add_config_arguments(parser)
    parser.add_argument("--model_path", help="run folder, checkpoint folder, zoo folder or weights file")
    parser.add_argument("--model", metavar="FOLDER", help="zoo or run folder: configuration and weights in one")
    parser.add_argument("--save_dir", default="output/inference_model", help="folder of the exported model, to write")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--size", nargs=2, type=int, metavar=("H", "W"), help="input height and width")
    shape.add_argument("--input_shape", nargs=4, type=int, metavar=("1", "3", "H", "W"), help="as in PaddleSeg")
    parser.add_argument(
        "--output_op",
        choices=list(OUTPUT_NAMES),
        help="where pixels are labelled: the result, in the fastest form of each target (labels, the default; "
        "probabilities), or the last operator of every graph",
    )
    parser.add_argument(
        "--targets",
        nargs="+",
        choices=ALL_TARGETS,
        help="graphs to write (default: all but torchscript, as far as installed)",
    )
    parser.add_argument("--dynamic", action="store_true", default=None, help="height and width stay open")
    parser.add_argument(
        "--with_normalize", action="store_true", default=None, help="the graph is fed 0..255 and normalises"
    )
    parser.add_argument(
        "--uint8_input", action="store_true", help="the graph takes uint8 input; includes --with_normalize"
    )
    parser.add_argument("--layout", choices=("NCHW", "NHWC"), help="order of the input's dimensions (default: NCHW)")
    parser.add_argument(
        "--resize_in_graph", nargs=2, type=int, metavar=("H", "W"), help="logits are resized to this in the graph"
    )
    parser.add_argument(
        "--nms_in_graph",
        action="store_true",
        default=None,
        help="graphs of instance segmentation models end with NMS",
    )
    parser.add_argument(
        "--tensorrt",
        action="store_true",
        help="also write the shapes of all tensors and a graph per component, for TensorRT (docs/deploy.md)",
    )
    parser.add_argument("--opset_version", type=int, help="ONNX operator set, 11 to 17 (default: 13)")
    parser.add_argument("--images", nargs="+", default=[], metavar="PATH", help="images or folders to verify with")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier export at --save_dir; nothing else is replaced"
    )
    parser.add_argument(
        "--accept_weak", action="store_true", help="accept untrained weights or too few classes in the reference"
    )
    add_accepted(parser, for_fd="the folder has deploy.yaml; FastDeploy reads another form")
    parser.add_argument(
        "--untrained",
        action="store_true",
        help="random weights, for timing: graphs are run and not judged, deploy.yaml says so",
    )
    parser.add_argument(
        "--audit", action="store_true", help="only say which operators the targets lack; needs no weights"
    )


def needs_converter(_args: argparse.Namespace) -> bool:
    """Always: every graph begins with a program of Paddle 2."""
    return True


def run(args: argparse.Namespace) -> int:
    """Export, or audit; returns 0, or 6 when an audit finds something."""
    say_accepted(args)
    if args.model_path:
        args.model_path = own_path(args.model_path)
    os.environ.setdefault("GLOG_minloglevel", "2")  # read when Paddle is imported: no 'New Executor is Running'
    import paddle

    from mobileseg.config.build import build_network
    from mobileseg.config.load import load_config
    from mobileseg.export.from_config import options_from
    from mobileseg.export.tasks import refuse_foreign_flags

    config_file = _config_path(args)
    if not args.audit:
        from mobileseg.export.atomic_folder import refuse_existing

        named = (config_file, args.model, args.model_path)
        refuse_existing(Path(args.save_dir), args.overwrite, [Path(path) for path in named if path])
    config = load_config(config_file, args.opts)
    changes = _changes(args)
    options = options_from(config, changes, any_size=not args.audit)
    paddle.seed(config.to_dict()["seed"])  # random weights, with --accept_weak, are the same each time
    network = build_network(config, load_pretrained=False)
    refuse_foreign_flags(network, changes)
    if args.audit:
        return _audit(args, config, options, network)
    weights = args.model_path or args.model
    if weights is not None and args.untrained:
        raise ExportError(f"--untrained exports random weights, and {weights} is named", remedy="drop one of the two")
    if weights is None and not (args.accept_weak or args.untrained):
        raise ExportError(
            "no weights are named: random ones cannot show that a graph is right",
            remedy="--model_path RUN (or a .pdparams file); --audit checks operators; --untrained exports for timing",
        )
    if weights is not None:
        from mobileseg.compress.gate import check_gate
        from mobileseg.config.classes import class_names
        from mobileseg.training.weights import load_checkpoint_weights

        check_gate(weights)
        print(f"weights: {load_checkpoint_weights(weights, network, class_names(config))}")
    return _export(args, config, options, network)


def _export(args: argparse.Namespace, config: Config, options: ExportOptions, network: Any) -> int:
    from mobileseg.export.exporter import export
    from mobileseg.export.table import format_rows

    result = export(
        network,
        config,
        args.save_dir,
        options=options,
        targets=check_targets(args.targets) if args.targets else None,
        images=args.images,
        zoo=_zoo(args),
        overwrite=args.overwrite,
        accept_weak=args.accept_weak,
        untrained=args.untrained,
        tensorrt=args.tensorrt,
        report=lambda line: print(line, flush=True),
    )
    print(format_rows(result.rows, result.results))
    for warning in result.warnings:
        print(f"warning: {warning}")
    print(f"{'written' if args.untrained else 'verified and written'} to {result.folder}")
    return 0


def _audit(args: argparse.Namespace, config: Config, options: ExportOptions, network: Any) -> int:
    from mobileseg.export.diagnosis.audit import audit, format_audit
    from mobileseg.export.from_config import targets_from
    from mobileseg.export.tasks import task_for

    task = task_for(network, options)
    graphs = task.deployment(network, options).graphs
    outputs = ", ".join(name for graph in graphs for name in task.output_names(graph.name, options))
    targets = check_targets(args.targets) if args.targets else targets_from(config) or TARGETS
    size = "dynamic shape" if options.dynamic else f"{options.height}x{options.width} (height x width)"
    print(f"audit of {config.name} at {size}, random weights, output {outputs}")
    result = audit(network, options, targets)
    print(format_audit(result))
    return 0 if result.passed else ExportError.exit_code


def _config_path(args: argparse.Namespace) -> str:
    from mobileseg.config.load import RUN_CONFIG

    if args.model:
        if args.config_file or args.config or args.model_path:
            raise ConfigError(
                "--model names configuration and weights in one", remedy="drop --config and --model_path, or --model"
            )
        path = Path(args.model, RUN_CONFIG)
        if not path.is_file():
            raise ConfigError(f"{args.model} has no {RUN_CONFIG}", remedy="name a zoo or run folder")
        return str(path)
    return config_path(args)


def _zoo(args: argparse.Namespace) -> Path | None:
    """A folder with weights that may also hold classes and images."""
    folder = args.model or args.model_path
    return Path(folder) if folder is not None and Path(folder).is_dir() else None


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    """Fields of the export options that the flags set."""
    size = args.size
    if args.input_shape:
        batch, channels, *size = args.input_shape
        if size == [-1, -1]:
            size = None
        if batch not in (1, -1) or channels != 3:
            raise ExportError(
                f"--input_shape is {args.input_shape}, expected 1 3 HEIGHT WIDTH: graphs are written for one image",
                remedy="--input_shape 1 3 360 480",
            )
    changes: dict[str, Any] = {
        "output_op": args.output_op,
        "dynamic": args.dynamic,
        "normalize_in_graph": args.with_normalize,
        "layout": args.layout,
        "output_size": tuple(args.resize_in_graph) if args.resize_in_graph else None,
        "opset": args.opset_version,
        "nms_in_graph": args.nms_in_graph,
    }
    if size:
        changes |= {"height": size[0], "width": size[1]}
    if args.uint8_input:
        changes |= {"input_dtype": "uint8", "normalize_in_graph": True}
    return changes
