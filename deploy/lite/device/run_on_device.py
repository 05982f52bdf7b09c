#!/usr/bin/env python3
"""Segment an image or a video on a phone and show the result here.

    python deploy/lite/device/run_on_device.py output/inference_model street.jpg --app build/android/mobileseg_lite

Pushes the program, what it reads of the exported model, and the image over adb; runs it; pulls the overlay, the
masks and the stage times into OUTPUT/<name of the image>/; opens the page that shows them; removes everything from
the phone. Builds nothing. docs/phone.md tells how to build the program.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phone.adb import Adb
from phone.arguments import POWERS, add_device_arguments
from phone.artefact import Artefact, read_artefact
from phone.errors import INPUT, DeviceError, ended
from phone.facts import identity, title
from phone.page import show, stage_times, write_page
from phone.session import Session, session

IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
VIDEOS = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".3gp"}


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Segment an image or a video on a phone.")
    parser.add_argument("model", metavar="MODEL", help="exported model, or FOLDER/FILE.nb")
    parser.add_argument("input", type=Path, metavar="INPUT", help="image or video")
    add_device_arguments(parser)
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the engine (default: 1)")
    parser.add_argument("--power", choices=POWERS, default="high", help="cores of the engine (default: high)")
    parser.add_argument("--max-frames", type=int, metavar="N", help="stop a video after N frames")
    parser.add_argument("--output", type=Path, default=Path("output/device"), metavar="DIR", help="folder of results")
    parser.add_argument("--no-open", action="store_true", help="do not open the result")
    return parser.parse_args(words)


def run(args: argparse.Namespace) -> int:
    """Push, run, pull, open."""
    kind = kind_of(args.input)
    if not args.input.is_file():
        raise DeviceError(f"there is no file {args.input}", exit_code=INPUT)
    artefact = read_artefact(args.model)
    adb = Adb.connect(args.serial)
    facts = {"device": title(identity(adb)) or adb.serial, "model": str(artefact)}
    args.output.mkdir(parents=True, exist_ok=True)
    target = args.output / args.input.stem
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=args.output))
    try:
        with session(adb, args.app, args.lib, timeout=args.timeout) as made:
            print(f"{facts['device']}: {kind} {args.input}")
            pulled = segment(made, artefact, kind, args, partial / "result")
        records = read_records(pulled, kind, args.input)
        times = stage_times(records)
        overlay = next((pulled / "overlay").iterdir())
        facts["threads, power"] = f"{args.threads}, {args.power}"
        facts["note"] = "median of the frames" if kind == "video" else "one cold run; benchmark_on_device repeats it"
        write_page(pulled / "result.html", args.input.name, overlay, times, facts)
        if target.exists():
            shutil.rmtree(target)
        pulled.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(", ".join(f"{stage} {value:.2f} ms" for stage, value in times.items()))
    print(f"results in {target}")
    if not args.no_open:
        wanted = [target / "result.html"] + ([target / "overlay" / overlay.name] if kind == "video" else [])
        unseen = [str(path) for path in wanted if not show(path)]
        if unseen:
            print(f"nothing here can open files; see {' and '.join(unseen)}")
    return 0


def kind_of(path: Path) -> str:
    """'image' or 'video', the verb of the program.

    Raises:
        DeviceError: neither.
    """
    suffix = path.suffix.lower()
    if suffix not in IMAGES | VIDEOS:
        known = " ".join(sorted(IMAGES | VIDEOS))
        raise DeviceError(f"{path} is neither image nor video, expected one of {known}", exit_code=INPUT)
    return "image" if suffix in IMAGES else "video"


def segment(made: Session, artefact: Artefact, kind: str, args: argparse.Namespace, target: Path) -> Path:
    """Run the program on the device; the folder here with what it wrote."""
    model = made.push_artefact(artefact, "model")
    name = re.sub(r"[^\w.-]", "_", args.input.name, flags=re.ASCII)  # becomes the name of the results
    source = f"{made.folder}/{name.lstrip('.-')}"
    made.adb.push(args.input, source)
    words = [kind, model, source, "--output", f"{made.folder}/out"]
    words += ["--threads", str(args.threads), "--power", args.power]
    words += ["--any-version"] if args.any_version else []
    words += ["--max-frames", str(args.max_frames)] if args.max_frames and kind == "video" else []
    made.run(*words)
    made.adb.pull(f"{made.folder}/out", target)
    return target


def read_records(pulled: Path, kind: str, source: Path) -> list[dict[str, Any]]:
    """What the program wrote about each frame; of an image, the path here replaces the one on the device.

    Raises:
        DeviceError: it wrote something else.
    """
    try:
        path = next((pulled / "json").iterdir())
        text = path.read_text(encoding="utf-8")
        records: list[dict[str, Any]] = (
            [json.loads(text)] if kind == "image" else list(map(json.loads, text.splitlines()))
        )
        stage_times(records)
        next((pulled / "overlay").iterdir())
    except (OSError, StopIteration, ValueError, KeyError, TypeError) as error:
        raise DeviceError(
            f"the program wrote no results that can be read: {error!r}", "build it from the same checkout"
        ) from None
    if kind == "image":
        records[0]["source"] = str(source)
        path.write_text(json.dumps(records[0], indent=1) + "\n", encoding="utf-8")
    return records


def main(words: Sequence[str] | None = None) -> int:
    """Entry."""
    args = parsed(words)
    return ended(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
