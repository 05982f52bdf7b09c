"""Peak memory of an engine in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from mobileseg.benchmarking.benchmark import Case
from mobileseg.errors import RuntimeEngineError

_ROOT = Path(__file__).resolve().parents[2]


def measure_memory(cases: Sequence[Case], image: str | os.PathLike[str], *, rounds: int = 3) -> dict[Case, int]:
    """Peak resident bytes of processes that load a folder, segment one picture and end; the cases take turns.

    Args:
        cases: folder, engine and thread count of each process.
        image: picture that is segmented.
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
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(threads, str(case.threads))}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), environment.get("PYTHONPATH")]))
    answer = subprocess.run(
        [sys.executable, "-m", "mobileseg.benchmarking.memory", case.folder, case.engine, str(case.threads), image],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    lines = answer.stdout.strip().splitlines()
    if answer.returncode or not lines:
        reason = answer.stderr.strip().splitlines()[-1:] or [f"exit code {answer.returncode}"]
        raise RuntimeEngineError(f"{case}: its memory cannot be measured: {reason[0]}")
    return int(lines[-1])


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


def main(arguments: Sequence[str]) -> int:
    """Entry of the process: FOLDER ENGINE THREADS IMAGE; prints the bytes on the last line."""
    from mobileseg.data.io import read_image
    from mobileseg.runtime.segmenter import Segmenter

    folder, engine, threads, image = arguments
    Segmenter(folder, engine=engine, threads=int(threads))(read_image(image))
    print(f"\n{peak_memory()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
