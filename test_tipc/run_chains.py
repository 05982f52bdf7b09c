"""Run chains, print a table; the exit code is 1 when one of them fails.

    python test_tipc/run_chains.py                                            # all of them (`make tipc`)
    python test_tipc/run_chains.py --models mobileseg_mobilenetv2 --modes lite_train_lite_infer

A row is one text file of test_tipc/configs in one mode. What the commands printed is below test_tipc/output, which is
also where summary.json goes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mobileseg.files import write_whole
from mobileseg.runtime.engines.registry import unavailable

HERE = Path(__file__).parent
ROOT = HERE.parent
MODES = ("lite_train_lite_infer", "whole_infer")
FIRST = "train_infer_python"
SCRIPTS = {
    FIRST: "test_train_inference_python.sh",
    "paddle2onnx": "test_inference_paddle2onnx.sh",
    "lite": "test_inference_lite.sh",
    "ncnn": "test_inference_ncnn.sh",
    "ptq_infer_python": "test_ptq_inference_python.sh",
}
"""Text file -> script that runs it, in the order in which they can run."""

OK, FAILED, SKIPPED = "ok", "failed", "skipped"
_CPU = re.compile(r" - ([\d.]+) s CPU - ")


@dataclass
class Row:
    """One text file in one mode.

    Attributes:
        model: name of the chain.
        mode: one of `MODES`.
        chain: the text file, without its ending.
        status: 'ok', 'failed' or 'skipped'.
        seconds: of the whole chain.
        cpu_seconds: processor time of its steps.
        metric: score of the checkpoint.
        agreement: per engine, the share that equals the checkpoint's predictions.
        reason: why it failed or was skipped.
    """

    model: str
    mode: str
    chain: str
    status: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    metric: str = ""
    agreement: str = ""
    reason: str = ""


def models() -> list[str]:
    """Names of all chains."""
    return sorted(path.parent.name for path in HERE.glob(f"configs/*/{FIRST}.txt"))


def run_model(model: str, modes: Sequence[str], variants: Sequence[str]) -> Iterator[Row]:
    """Run everything of one network; what cannot work after a failure is named and not tried."""
    broken = ""
    for mode in modes:
        for chain in (FIRST, *variants):
            if broken:
                yield Row(model, mode, chain, FAILED, reason=f"not run, because {broken} failed")
                continue
            row = run_chain(model, mode, chain)
            if row.status == FAILED and chain == FIRST:
                broken = f"{FIRST} ({mode})"
            yield row


def run_chain(model: str, mode: str, chain: str) -> Row:
    """Run the script of one text file, after prepare.sh where it is the first."""
    text = HERE / "configs" / model / f"{chain}.txt"
    row = Row(model, mode, chain, OK)
    missing = [reason for engine in engines_of(text) if (reason := unavailable(engine))]
    if missing:
        row.status, row.reason = SKIPPED, missing[0]
        return row
    output = HERE / "output" / model / mode
    for old in output.glob("*/compare_*.json") if chain == FIRST else ():
        old.unlink()
    began = time.perf_counter()
    for script in ("prepare.sh", SCRIPTS[chain]):
        command = ["bash", str(HERE / script), str(text), mode]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if answer.returncode:
            row.status = FAILED
            row.reason = (answer.stderr.strip() or answer.stdout.strip())[-2000:]
            break
    row.seconds = time.perf_counter() - began
    log = output / f"results_{chain}.log"
    row.cpu_seconds = sum(map(float, _CPU.findall(log.read_text(encoding="utf-8")))) if log.is_file() else 0.0
    if row.status == OK:
        scores = json.loads((output / "scores.json").read_text(encoding="utf-8"))
        row.metric = f"{scores['metric']} {scores['score']:.4f}"
        row.agreement = ", ".join(_agreements(output / chain, engines_of(text)))
    return row


def engines_of(text: Path) -> list[str]:
    """Engines that a text file names."""
    lines = text.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("--engine:")).partition(":")[2].split("|")


def _agreements(output: Path, engines: Sequence[str]) -> Iterator[str]:
    for engine in engines:
        for path in sorted(output.glob(f"compare_{engine}_*.json")):
            found = json.loads(path.read_text(encoding="utf-8"))
            yield f"{engine} {found['equal']:.6f} of {found['count']}"


def render(rows: Sequence[Row]) -> str:
    """The table, and below it what went wrong."""
    titles = ("model", "mode", "chain", "status", "seconds", "CPU", "metric", "equal to the checkpoint")
    cells = [titles] + [
        (
            row.model,
            row.mode,
            row.chain,
            row.status,
            f"{row.seconds:.1f}",
            f"{row.cpu_seconds:.1f}",
            row.metric,
            row.agreement,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(titles))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    notes = [f"\n{row.model} {row.mode} {row.chain} {row.status}:\n{row.reason}" for row in rows if row.reason]
    return "\n".join([*lines, *notes])


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print the table, write summary.json."""
    known = models()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=known, default=known, metavar="MODEL", help=", ".join(known))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES, metavar="MODE", help=", ".join(MODES))
    variants = [name for name in SCRIPTS if name != FIRST]
    parser.add_argument(
        "--variants", nargs="*", choices=variants, default=variants, help="after train_infer_python (default: all)"
    )
    args = parser.parse_args(argv)
    rows = []
    for model in args.models:
        modes = [mode for mode in MODES if mode in args.modes]  # whole_infer takes the network of the one before
        for row in run_model(model, modes, [name for name in variants if name in args.variants]):
            print(f"{row.status}: {row.model} {row.mode} {row.chain}, {row.seconds:.1f} s", flush=True)
            rows.append(row)
    print(f"\n{render(rows)}")
    summary = HERE / "output" / "summary.json"
    summary.parent.mkdir(exist_ok=True)
    write_whole(summary, json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    failed = sum(row.status == FAILED for row in rows)
    print(f"\n{len(rows)} chains, {failed} failed; logs below {HERE / 'output'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
