"""Peak memory of an engine in a fresh process."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from mobileseg.benchmarking.benchmark import Case
from mobileseg.child import Child, Failure
from mobileseg.errors import RuntimeEngineError


def measure_memory(cases: Sequence[Case], image: str | os.PathLike[str], *, rounds: int = 3) -> dict[Case, int]:
    """Peak resident bytes of processes that load a folder, segment one image and end; the cases take turns.

    Args:
        cases: folder, engine and thread count of each process.
        image: path of the image that is segmented.
        rounds: processes per case; the median counts.

    Raises:
        RuntimeEngineError: a process failed.
    """
    found: dict[Case, list[int]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            found[case].append(_peak(case, image))
    return {case: int(median(values)) for case, values in found.items()}


def _peak(case: Case, image: str | os.PathLike[str]) -> int:
    with Child("mobileseg.benchmarking.memory", threads=case.threads) as child:
        try:
            return int(child.ask("peak", {**asdict(case), "image": os.fspath(image)})["bytes"])
        except Failure as failure:
            raise RuntimeEngineError(f"{case}: its memory cannot be measured: {failure.reason}") from failure


def peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes.

    Linux keeps it per program in /proc; what getrusage says there includes the parent before the program was started.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)


def peak_of_one_image(request: dict[str, Any]) -> dict[str, Any]:
    """The child's task: load a folder, segment one image, and say what memory that took."""
    from mobileseg.data.io import read_image
    from mobileseg.runtime.segmenter import Segmenter

    Segmenter(request["folder"], engine=request["engine"], threads=int(request["threads"]))(
        read_image(request["image"])
    )
    return {"bytes": peak_memory()}


TASKS = {"peak": peak_of_one_image}
