"""Instructions that the C++ core executes per image on a processor that is emulated, where no time means anything.

    python tools/count_instructions.py build/arm64/tests/mobileseg_passes output/256 output/256_int8

`mobileseg_passes` is built for the processor with -DMOBILESEG_BUILD_TESTS=ON. It runs under QEMU's user-mode emulation
with a plugin that counts (`count_instructions.c`, built on the spot with the C compiler `cc`): once with few passes and
once with more, so that loading and the first pass drop out. Debian's emulator with plugins is `qemu-aarch64` of the
package qemu-user; the static one has none. Counts repeat within a thousandth; a vector instruction counts as one.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PLUGIN = Path(__file__).with_suffix(".c")
LIBRARIES = "-"
"""What the plugin calls code without symbols: the engine and the libraries of C and C++."""

Counts = dict[str, int]
"""Function, as the compiler writes it -> executed instructions."""


class CountError(Exception):
    """A program that is needed is not there, or failed."""


def run(command: Sequence[str | Path]) -> None:
    """Run a command; raises CountError with the end of what it printed."""
    words = list(map(str, command))
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, errors="replace")
    except FileNotFoundError:
        raise CountError(f"there is no program {words[0]}\n  hint: install it (Debian: qemu-user, gcc)") from None
    if done.returncode:
        raise CountError(f"exit code {done.returncode} of {shlex.join(words)}\n{(done.stdout + done.stderr)[-2000:]}")


def build_plugin(folder: Path) -> Path:
    """Compile the plugin into a folder."""
    plugin = folder / "libcount_instructions.so"
    run(["cc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", PLUGIN, "-o", plugin])
    return plugin


def count(emulator: Sequence[str], plugin: Path, command: Sequence[str | Path], folder: Path) -> Counts:
    """Instructions of one run of a program.

    Args:
        emulator: the emulator and its options.
        plugin: what `build_plugin` made.
        command: the program and its arguments.
        folder: for the file with the counts.

    Raises:
        CountError: the program failed, or the emulator has no plugins.
    """
    counts = folder / "counts.txt"
    counts.unlink(missing_ok=True)
    run([*emulator, "-plugin", f"{plugin},out={counts}", *command])
    if not counts.is_file():
        raise CountError(f"{emulator[0]} ran the program, but not the plugin\n  hint: take one that knows -plugin")
    rows = (line.split(" ", 1) for line in counts.read_text(encoding="utf-8").splitlines())
    return {function: int(number) for number, function in rows}


def per_pass(few: Counts, many: Counts, more: int) -> dict[str, float]:
    """Instructions of one pass: what ``many`` has above ``few``, shared among ``more`` passes."""
    return {function: (number - few.get(function, 0)) / more for function, number in many.items()}


def stages(found: dict[str, float]) -> dict[str, float]:
    """Millions of instructions of the graph (all libraries), around it, and together."""
    parts = {"graph": 0.0, "preprocess": 0.0, "postprocess": 0.0}
    for function, number in found.items():
        stage = "graph" if function == LIBRARIES else "preprocess" if "Preprocessor" in function else "postprocess"
        parts[stage] += number / 1e6
    return {**parts, "total": sum(parts.values())}


def main(words: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", help="mobileseg_passes for the processor that is emulated")
    parser.add_argument("models", nargs="+", help="exported models")
    parser.add_argument(
        "--emulator", default="qemu-aarch64 -L /usr/aarch64-linux-gnu", help="the emulator and its options"
    )
    parser.add_argument("--passes", type=int, nargs=2, default=(1, 3), help="of the two runs that are compared")
    args = parser.parse_args(words)
    few, many = args.passes
    if not 0 < few < many:
        parser.error("--passes: a number from 1 on, and a larger one")
    emulator = shlex.split(args.emulator)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            plugin = build_plugin(folder)
            for number, model in enumerate(args.models):
                runs = [count(emulator, plugin, [args.program, model, str(n)], folder) for n in (few, many)]
                found = stages(per_pass(runs[0], runs[1], many - few))
                if number == 0:
                    print("million instructions per pass\n")
                    print("| model | " + " | ".join(found) + " |\n" + "|---" * (len(found) + 1) + "|")
                print(f"| {model} | " + " | ".join(f"{value:.2f}" for value in found.values()) + " |", flush=True)
    except CountError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
