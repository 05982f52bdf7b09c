#!/usr/bin/env python3
"""Time exported models on a phone: threads x power modes x folders, with temperature and clock before and after.

    python deploy/lite/device/benchmark_on_device.py fp32=output/fp32 int8=output/int8 --threads 1 2 4 --power high low
    python deploy/lite/device/benchmark_on_device.py output/256 --preset sd855
    mobileseg benchmark output/fp32 --merge output/device.json

Each folder is first replayed on the device (`selftest`): a graph that answers something else is not timed. Every case
is then a run of its own of the program, at least 200 images. The rows are written in the form of `mobileseg
benchmark`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phone.adb import Adb
from phone.arguments import POWERS, add_device_arguments
from phone.artefact import Artefact, read_artefact
from phone.errors import INPUT, USAGE, DeviceError, ended
from phone.facts import hottest, identity, state, title
from phone.rows import completed, read_rows, write_rows
from phone.session import Session, session

FEWEST = 200
"""Timed runs below which a 95th percentile and a maximum say little."""


@dataclass(frozen=True)
class Preset:
    """A published protocol: what was measured, and on which chip."""

    input: str
    threads: tuple[int, ...]
    powers: tuple[str, ...]
    chip: str


PRESETS = {"sd855": Preset("256x256", (1,), ("high",), "SM8150")}
"""Snapdragon 855 with Paddle Lite, one thread, 1x3x256x256, as MobileSeg's speeds were published."""


@dataclass(frozen=True)
class Case:
    """One run of the program."""

    artefact: Artefact
    model: str  # the folder on the device
    threads: int
    power: str

    def __str__(self) -> str:
        return f"{self.artefact}: {self.threads} thread{'s' if self.threads != 1 else ''}, {self.power}"


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Time exported models on a phone.")
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="[fp32=|fp16=|int8=]FOLDER or FOLDER/FILE.nb; the word before '=' is noted in the rows",
    )
    add_device_arguments(parser)
    parser.add_argument("--threads", type=int, nargs="+", metavar="N", help="thread counts (default: 1)")
    parser.add_argument(
        "--power", choices=POWERS, nargs="+", metavar="MODE", help=f"{', '.join(POWERS)}; default: high"
    )
    parser.add_argument("--runs", type=int, default=FEWEST, metavar="N", help=f"timed runs (default: {FEWEST})")
    parser.add_argument("--warmup", type=int, default=10, metavar="N", help="untimed runs before (default: 10)")
    parser.add_argument(
        "--pause", type=float, default=5, metavar="S", help="seconds of rest before a case (default: 5)"
    )
    parser.add_argument(
        "--image", type=Path, metavar="FILE", help="image (default: a synthetic one of the input's size)"
    )
    parser.add_argument(
        "--preset",
        choices=(*PRESETS, "v100"),
        help="sd855: 1 thread, high, 256x256; v100 is for a server: `mobileseg benchmark --preset v100`",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("output/device.json"), metavar="JSON", help="default: output/device.json"
    )
    return parser.parse_args(words)


def run(args: argparse.Namespace) -> int:
    """Self test of everything, then the cases; rows of those that ran are written even when others failed."""
    preset = check(args)
    artefacts = [read_artefact(text) for text in args.models]
    for artefact in artefacts:
        if preset and artefact.input != preset.input:
            raise DeviceError(
                f"{artefact} has input {artefact.input}, preset {args.preset} is for {preset.input}",
                f"export it with `mobileseg export --size {' '.join(preset.input.split('x')[::-1])}`",
                USAGE,
            )
    adb = Adb.connect(args.serial)
    device = identity(adb)
    name = title(device)
    print(f"{name or adb.serial}, Android {device.get('android', 'of unknown version')}")
    if preset and device.get("soc", preset.chip) != preset.chip:
        print(f"this is no {preset.chip}: the times are not comparable with those of preset {args.preset}")
    rows: list[dict[str, Any]] = []
    done = 0
    failed: list[DeviceError] = []
    with session(adb, args.app, args.lib, timeout=args.timeout) as made:
        models = [made.push_artefact(artefact, f"model{index}") for index, artefact in enumerate(artefacts)]
        extra = ["--any-version"] if args.any_version else []
        for artefact, model in zip(artefacts, models, strict=True):
            made.run("selftest", model, *extra)
            print(f"{artefact}: selftest ok")
        extra += ["--image", pushed_image(made, args.image)] if args.image else []
        threads, powers = args.threads or (1,), args.power or ("high",)
        cases = [
            Case(artefact, model, count, power)
            for artefact, model in zip(artefacts, models, strict=True)
            for power in dict.fromkeys(preset.powers if preset else powers)
            for count in dict.fromkeys(preset.threads if preset else threads)
        ]
        for case in cases:
            time.sleep(args.pause)
            try:
                before = state(adb)
                measured, after = measure(made, case, args, extra), state(adb)
                for row in measured:
                    rows.append(completed(row, case.artefact, device, name, before, after, args.preset))
                    print(f"{case}{', ' + row['frame'] if 'frame' in row else ''}: {summary(rows[-1])}")
                done += 1
            except DeviceError as error:
                failed.append(error)
                print(f"error: {case}: {error}", file=sys.stderr)
                if not still_there(adb):
                    break
    if rows:
        write_rows(args.output, rows)
        print(f"{done} of {len(cases)} cases, rows in {args.output}")
        print(f"next: mobileseg benchmark {rows[0]['folder']} --merge {args.output}")
    return failed[0].exit_code if failed else 0


def check(args: argparse.Namespace) -> Preset | None:
    """The preset that was asked for.

    Raises:
        DeviceError: options that contradict each other or make no sense.
    """
    if args.preset == "v100":
        raise DeviceError(
            "preset v100 is TensorRT on a server, not a phone", "run `mobileseg benchmark FOLDER --preset v100`", USAGE
        )
    if args.preset and (args.threads or args.power):
        raise DeviceError(f"preset {args.preset} says threads and power mode", "drop --threads and --power", USAGE)
    if args.runs < FEWEST:
        raise DeviceError(f"--runs is {args.runs}, p95 and maximum need at least {FEWEST}", exit_code=USAGE)
    if args.warmup < 0 or args.pause < 0 or min(args.threads or [1]) < 1:
        raise DeviceError("--threads must be at least 1, --warmup and --pause at least 0", exit_code=USAGE)
    if args.image and not args.image.is_file():
        raise DeviceError(f"there is no file {args.image}", exit_code=INPUT)
    return PRESETS.get(args.preset)


def pushed_image(made: Session, path: Path) -> str:
    """Where the image lies on the device."""
    target = f"{made.folder}/image{path.suffix}"
    made.adb.push(path, target)
    return target


def measure(made: Session, case: Case, args: argparse.Namespace, extra: Sequence[str]) -> list[dict[str, Any]]:
    """Run one case; its rows."""
    remote = f"{made.folder}/rows.json"
    words = ["benchmark", case.model, "--output", remote]
    words += ["--threads", str(case.threads), "--power", case.power]
    words += ["--runs", str(args.runs), "--warmup", str(args.warmup), *extra]
    made.run(*words)
    with tempfile.TemporaryDirectory(prefix="mobileseg-") as scratch:
        local = Path(scratch, "rows.json")
        made.adb.pull(remote, local)
        return read_rows(local, args.runs)


def summary(row: dict[str, Any]) -> str:
    """One line: latency, frames per second of the inference alone, temperatures."""
    inference, total = row["stages"]["inference"], row["total"]
    fps = 1000 / inference["median_ms"] if inference["median_ms"] else float("inf")
    degrees = [hottest(row[when]) for when in ("before", "after")]
    warmth = f", {degrees[0]:.0f} to {degrees[1]:.0f} °C" if None not in degrees else ""
    return (
        f"inference {inference['median_ms']:.2f} ms ({fps:.1f} fps, p95 {inference['p95_ms']:.2f}, "
        f"max {inference['max_ms']:.2f}), total {total['median_ms']:.2f} ms{warmth}"
    )


def still_there(adb: Adb) -> bool:
    """Whether the device still answers."""
    try:
        return adb.shell("true", timeout=20, what="a sign of life").code == 0
    except DeviceError:
        return False


def main(words: Sequence[str] | None = None) -> int:
    """Entry."""
    args = parsed(words)
    return ended(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
