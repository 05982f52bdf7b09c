"""`mobileseg benchmark`: where the time of an image goes, per engine and thread count."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mobileseg.converter import has_more_engines
from mobileseg.errors import ConfigError

HELP = "time decoding, preprocessing, inference, postprocessing and drawing per engine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Folders, engines, threads, runs, and files of other devices."""
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="exported model; two are compared in one run")
    parser.add_argument("--engines", nargs="+", metavar="ENGINE", help="default: all installed that the folder fits")
    parser.add_argument("--threads", nargs="+", type=int, metavar="N", help="thread counts (default: 1)")
    parser.add_argument(
        "--preset", choices=("v100", "sd855"), help="published protocol: engine, threads, and the input that is needed"
    )
    parser.add_argument("--runs", type=int, default=200, metavar="N", help="timed runs of each (default: 200)")
    parser.add_argument("--warmup", type=int, default=5, metavar="N", help="untimed runs of each (default: 5)")
    parser.add_argument(
        "--image", metavar="FILE", help="image to segment (default: a synthetic one of the input's size)"
    )
    parser.add_argument("--merge", nargs="+", default=[], metavar="JSON", help="add rows of these files to the table")
    parser.add_argument("--output", default="output/benchmark", metavar="DIR", help="folder for JSON and plot")


def needs_converter(args: argparse.Namespace) -> bool:
    """Where Paddle Lite is timed, and there is no wheel of it here."""
    from mobileseg.benchmarking.presets import PRESETS

    wanted = args.engines or (PRESETS[args.preset].engines if args.preset else None)
    return bool(args.folders) and has_more_engines(wanted or None)


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write benchmark.json, benchmark.png and benchmark.svg."""
    from mobileseg.benchmarking.presets import PRESETS
    from mobileseg.benchmarking.rows import load_rows, ratios, render_table, save_rows
    from mobileseg.viz.latency import plot_latency

    if not args.folders and not args.merge:
        raise ConfigError("there is nothing to measure", remedy="name an exported model, or files with --merge")
    if args.preset and (args.threads or not args.folders or (args.engines and PRESETS[args.preset].engines)):
        raise ConfigError(
            f"preset {args.preset} says how a folder is measured",
            remedy="name a folder, and drop --threads; --engines too where the preset has an engine",
        )
    if args.runs < 1 or args.warmup < 0 or min(args.threads or [1]) < 1:
        raise ConfigError("--runs and --threads must be at least 1, --warmup at least 0")
    rows = _measured(args) if args.folders else []
    for path in args.merge:
        rows.extend(load_rows(path))
    print(render_table(rows))
    for other in args.folders[1:]:
        print(ratios(rows, args.folders[0], other))
    target = Path(args.output)
    target.mkdir(parents=True, exist_ok=True)
    save_rows(target / "benchmark.json", rows)
    networks = list(dict.fromkeys(str(row["name"]) for row in rows))
    names = ", ".join(networks) if len(networks) < 3 else f"{len(networks)} networks"
    for suffix in ("png", "svg"):
        plot_latency(target / f"benchmark.{suffix}", rows, f"{names}, {rows[0]['image']}")
    print(f"rows and plot in {target}")
    return 0


def _measured(args: argparse.Namespace) -> list[dict[str, Any]]:
    from mobileseg.benchmarking.benchmark import Case, measure, synthetic_image
    from mobileseg.benchmarking.host_info import machine
    from mobileseg.benchmarking.presets import PRESETS, noted
    from mobileseg.folders import scratch_folder
    from mobileseg.runtime.engines.registry import choose, fitting
    from mobileseg.runtime.manifest import Manifest

    preset = PRESETS[args.preset] if args.preset else None
    threads = preset.threads if preset else args.threads or (1,)
    wanted = (preset.engines if preset else ()) or args.engines
    manifests = {folder: Manifest.read(folder) for folder in dict.fromkeys(args.folders)}
    cases = []
    for folder, manifest in manifests.items():
        if preset:
            preset.check(folder, manifest)
        engines = wanted or fitting(manifest) or [choose(manifest)]
        cases += [Case(folder, engine, count) for engine in dict.fromkeys(engines) for count in threads]
    facts = machine()
    print(f"{facts['cpu']}, {facts['cores']} cores; {args.runs} runs, engines interleaved")
    with scratch_folder() as scratch:
        image = args.image
        if image is None:
            spec = next(iter(manifests.values())).image
            image = str(Path(scratch, "generated.jpg"))
            synthetic_image(image, (spec.height, spec.width))
        return noted(measure(cases, image, runs=args.runs, warmup=args.warmup), preset)
