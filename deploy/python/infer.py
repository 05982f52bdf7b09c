"""Segment images with an exported model, with the flags of PaddleSeg's script of this name.

    python deploy/python/infer.py --config output/export/deploy.yaml --image_path images --save_dir output/infer

Every image gives an index mask of its own size, ``<name>.png`` (readers see class indices or object numbers,
viewers colours); instance segmentation models also give ``<name>.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # so that the script also runs in a checkout that is not installed

from mobileseg import tasks  # noqa: E402
from mobileseg.cli import answered, refused_words  # noqa: E402
from mobileseg.data.io import read_image  # noqa: E402
from mobileseg.errors import ConfigError, DataError, MobileSegError  # noqa: E402
from mobileseg.files import write_whole  # noqa: E402
from mobileseg.prediction.sources import Source, distinct_names, find_sources  # noqa: E402
from mobileseg.runtime.deploy_yaml import DEPLOY_FILE  # noqa: E402
from mobileseg.runtime.segmenter import Segmenter  # noqa: E402

TUNED_ON = 10
"""Images from which shapes are collected."""

OTHER_DEVICES = ("xpu", "npu", "mlu")
"""Devices of PaddleSeg's script that this one names and refuses."""

_BENCHMARK_WARMUP = 5
_SHAPES = "auto_tune_tmp.pbtxt"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """PaddleSeg's flags, and below them ours."""
    parser = argparse.ArgumentParser(description="Segment images with an exported model.")
    parser.add_argument("--config", required=True, help="deploy.yaml of the folder, or the folder")
    parser.add_argument("--image_path", required=True, help="image, folder or list file")
    parser.add_argument("--batch_size", type=int, default=1, help="images that are prepared while the engine runs")
    parser.add_argument("--save_dir", default="./output", help="folder for results")
    parser.add_argument(
        "--device", choices=("cpu", "gpu", *OTHER_DEVICES), default="cpu", help="where to run (default: cpu)"
    )
    parser.add_argument("--use_trt", type=yes_or_no, default=False, help="TensorRT, with --device gpu")
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8"), default="fp32", help="of TensorRT")
    parser.add_argument("--min_subgraph_size", type=int, default=3, help="fewest operators of a TensorRT engine")
    parser.add_argument(
        "--enable_auto_tune", type=yes_or_no, default=False, help=f"collect shapes from the first {TUNED_ON} images"
    )
    parser.add_argument(
        "--auto_tuned_shape_file", help=f"where those are kept (default: {_SHAPES}); without --enable_auto_tune, read"
    )
    parser.add_argument("--cpu_threads", type=int, default=1, help="threads on the CPU (default: 1)")
    parser.add_argument("--enable_mkldnn", type=yes_or_no, default=True, help="oneDNN on the CPU (default: True)")
    parser.add_argument("--benchmark", type=yes_or_no, default=False, help="print the mean time of each stage")
    parser.add_argument("--model_name", default="", help="name to print with --benchmark (default: the folder's)")
    parser.add_argument("--with_argmax", action="store_true", help="check that the graph ends before the argmax")
    parser.add_argument("--print_detail", type=yes_or_no, default=False, help="show the log of Paddle Inference")
    own = parser.add_argument_group("not of PaddleSeg")
    own.add_argument("--warmup", type=int, help=f"runs before the first image (with --benchmark: {_BENCHMARK_WARMUP})")
    own.add_argument("--engine", default="paddle", help="another engine for the CPU: onnxruntime, lite, ncnn, auto")
    own.add_argument("--calibration_path", metavar="INPUT", help="images for --precision int8")
    own.add_argument(
        "--component_precision",
        nargs="+",
        default=[],
        metavar="NAME=PRECISION",
        help="precision of single components with --use_trt, for example head=fp16",
    )
    own.add_argument("--cache_dir", help="folder for built TensorRT engines")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser.parse_args(argv)


def yes_or_no(text: str) -> bool:
    """'True' or 'False', in any case."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"'{text}' is neither True nor False")
    return text.lower() == "true"


def check(args: argparse.Namespace) -> None:
    """Flags that contradict each other.

    Raises:
        ConfigError: the first contradiction.
    """
    if args.device in OTHER_DEVICES:
        raise ConfigError(
            f"--device {args.device} needs another build of Paddle, which this script does not drive",
            remedy="use --device cpu, or an engine of --engine",
        )
    trt = args.use_trt
    told = {
        "--use_trt True": trt and args.device != "gpu",
        f"--precision {args.precision}": args.precision != "fp32" and not trt,
        "--enable_auto_tune True": args.enable_auto_tune and not trt,
        "--auto_tuned_shape_file": args.auto_tuned_shape_file and not trt,
        "--component_precision": args.component_precision and not trt,
        "--calibration_path": args.calibration_path and not trt,
        "--cache_dir": args.cache_dir and not trt,
    }
    for flag, wrong in told.items():
        if wrong:
            raise ConfigError(f"{flag} is for TensorRT", remedy="add --device gpu --use_trt True, or leave it out")
    if args.print_detail and args.engine != "paddle":
        raise ConfigError(f"--print_detail shows the log of Paddle, and the engine is '{args.engine}'")
    if args.device == "gpu" and args.engine != "paddle":
        raise ConfigError(f"the engine '{args.engine}' runs on the CPU", remedy="leave --engine or --device gpu out")
    for flag, value, least in (("--batch_size", args.batch_size, 1), ("--warmup", args.warmup or 0, 0)):
        if value < least:
            raise ConfigError(f"{flag} is {value}, expected at least {least}")


def engine_of(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Name and options of the engine that the flags ask for."""
    if args.use_trt:
        return "tensorrt", {
            "precision": precisions(args),
            "min_subgraph_size": args.min_subgraph_size,
            "calibration": [source.where for source in sources_of(args.calibration_path)]
            if args.calibration_path
            else [],
            "cache": args.cache_dir,
            "shape_file": tuned(args) if args.enable_auto_tune else args.auto_tuned_shape_file,
            "print_details": args.print_detail,
        }
    if args.engine != "paddle":
        return args.engine, {}
    return "paddle", {"device": args.device, "onednn": args.enable_mkldnn, "print_details": args.print_detail}


def precisions(args: argparse.Namespace) -> str | dict[str, str]:
    """One precision, or those of components; the others then have the common one."""
    if not args.component_precision:
        return str(args.precision)
    from mobileseg.runtime.manifest import COMPONENTS, Manifest

    table = dict.fromkeys(Manifest.read(folder_of(args)).pipelines.get(COMPONENTS, ()), args.precision)
    for item in args.component_precision:
        name, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"--component_precision {item} is not NAME=PRECISION")
        table[name] = value
    return table


def tuned(args: argparse.Namespace) -> Path:
    """The file with the shapes that the first images give, collected on the CPU."""
    segmenter: Any = Segmenter(folder_of(args), engine="paddle")
    images = [read_image(source.where) for source in islice(sources_of(args.image_path), TUNED_ON)]
    target = Path(args.auto_tuned_shape_file or _SHAPES)
    segmenter.engine.collect_shapes([segmenter.preprocess(image) for image in images], target)
    return target


def folder_of(args: argparse.Namespace) -> Path:
    """The exported model."""
    path = Path(args.config)
    return path.parent if path.name == DEPLOY_FILE else path


def sources_of(where: str, results: str | None = None) -> Iterator[Source]:
    """The images of a file, folder (but for that of results) or list; videos are left to `mobileseg predict`."""
    found = False
    for source in distinct_names(find_sources([where], results)):
        if source.kind == "image":
            found = True
            yield source
    if not found:
        raise DataError(f"{where} has no image", remedy="videos and cameras are for `mobileseg predict`")


def mask_file(save_dir: str, source: Source) -> Path:
    """Where the mask of an image goes."""
    return Path(save_dir, f"{source.name}.png")


def run(args: argparse.Namespace) -> int:
    """Segment everything and write the results."""
    check(args)
    name, options = engine_of(args)
    segmenter: Any = Segmenter(folder_of(args), engine=name, threads=args.cpu_threads, **options)
    kinds = [output.kind for output in segmenter.engine.results]
    if args.with_argmax and not {"logits", "probabilities"} & set(kinds):
        raise ConfigError(
            f"--with_argmax needs a graph that ends at class scores, this one returns {', '.join(kinds)}",
            remedy="leave --with_argmax out",
        )
    task = tasks.stage(segmenter, "visualize")
    show = task.visualizer(segmenter)
    sources = list(sources_of(args.image_path, args.save_dir))
    for source in sources:
        if mask_file(args.save_dir, source).resolve() == Path(source.where).resolve():
            raise ConfigError(f"the mask would replace the image {source.where}", remedy="name another --save_dir")
    warmup = args.warmup if args.warmup is not None else _BENCHMARK_WARMUP if args.benchmark else 0
    usable = next((source for source in sources if _is_readable(source)), None)
    for _ in range(warmup if usable is not None else 0):
        segmenter(usable.where)
    totals: dict[str, float] = {}
    failed: list[MobileSegError] = []
    for source, result in zip(sources, results(segmenter, sources, args.batch_size), strict=True):
        if isinstance(result, MobileSegError):
            print(f"error: {result}", file=sys.stderr)
            failed.append(result)
            continue
        target = mask_file(args.save_dir, source)
        target.parent.mkdir(parents=True, exist_ok=True)
        show.write_mask(target, result)
        if task.results_file(Path(args.save_dir)) is not None:  # its results are more than a mask
            facts = {"source": source.where, **show.facts(result, source.name)}
            write_whole(target.with_name(f"{Path(source.name).name}.json"), json.dumps(facts, indent=1) + "\n")
        for stage, value in result.times.items():
            totals[stage] = totals.get(stage, 0.0) + value
        print(f"{source.where}: {show.summary(result)}")
    done = len(sources) - len(failed)
    if args.benchmark and done:
        print("\n".join(benchmark(args, segmenter, totals, done, warmup)))
    print(f"{done} images, results in {args.save_dir}" + (f"; {len(failed)} could not be used" if failed else ""))
    return failed[0].exit_code if failed else 0


def _is_readable(source: Source) -> bool:
    try:
        read_image(source.where)
    except DataError:
        return False
    return True


def results(segmenter: Segmenter, sources: Iterable[Source], ahead: int) -> Iterator[Any]:
    """The result of every image, in order; an error in the place of one that cannot be used."""
    return segmenter.batch((source.where for source in sources), ahead, keep_errors=True)


def benchmark(
    args: argparse.Namespace, segmenter: Segmenter, totals: dict[str, float], count: int, warmup: int
) -> Iterator[str]:
    """What ran, and the mean milliseconds of each stage."""
    spec = segmenter.manifest.image
    yield f"model_name: {args.model_name or segmenter.name}"
    yield f"engine: {segmenter.engine_name}, device: {args.device}, precision: {args.precision}"
    yield f"data_shape: {'dynamic' if spec.dynamic else 'x'.join(map(str, spec.shape()))}"
    yield f"cpu_threads: {args.cpu_threads}, prepared ahead: {args.batch_size}, warmup: {warmup}, images: {count}"
    for stage, value in totals.items():
        yield f"{stage}_time(ms): {value / count:.3f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry: what a user can act on is one message and an exit code."""
    words = sys.argv[1:] if argv is None else argv
    if (code := refused_words(words)) is not None:
        return code
    args = arguments(words)
    return answered(lambda: run(args), debug=args.debug)


if __name__ == "__main__":
    sys.exit(main())
