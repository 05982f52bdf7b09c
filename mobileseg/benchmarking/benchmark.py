"""Latency per stage, engine and thread count, all of them interleaved in one run.

Every case is a process of its own, so that no engine sees another's threads or libraries. They take turns: in each
round every case does a few runs while the others sleep, so a change of the machine's speed meets all alike.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from mobileseg import __version__, errors
from mobileseg.benchmarking.host_info import load_of_others, machine
from mobileseg.data.io import read_image
from mobileseg.errors import MobileSegError, RuntimeEngineError
from mobileseg.pixels import resize

PER_TURN = 5
"""Timed runs of a case before the next one has its turn; one untimed run comes before them, because the others have
emptied the caches."""

FIELDS = ("name", "folder", "engine", "threads", "image", "input", "runs", "stages", "total", "cpu", "versions", "date")
"""What every row has; `load_rows` refuses rows without."""

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """What one process runs.

    Attributes:
        folder: artefact folder.
        engine: name of the engine.
        threads: CPU threads of the engine and of OpenCV.
    """

    folder: str
    engine: str
    threads: int

    def __str__(self) -> str:
        return f"{self.folder} on {self.engine}, {self.threads} thread{'s' if self.threads != 1 else ''}"


def measure(
    cases: Sequence[Case],
    image: str | os.PathLike[str],
    *,
    runs: int,
    warmup: int = 5,
    say: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Time all cases.

    Args:
        cases: folder, engine and thread count of each process.
        image: picture that every run decodes and segments.
        runs: timed runs per case.
        warmup: untimed runs per case before the first round.
        say: told a case that cannot run, the others go on; warned when other programs are running.

    Returns:
        A row per case that ran, see `FIELDS`: ``stages`` and ``total`` hold ``median_ms``, ``p95_ms`` and ``max_ms``.

    Raises:
        RuntimeEngineError: no case could run.
        DataError: the picture cannot be read.
    """
    pixels = read_image(os.fspath(image))
    load = load_of_others(say)
    workers: list[Worker] = []
    try:
        for case in cases:
            try:
                worker = Worker(case, image)
                workers.append(worker)
                worker.run(warmup)
            except MobileSegError as error:
                say(f"left out: {case}: {error}")
        workers = [worker for worker in workers if worker.alive]
        if not workers:
            raise RuntimeEngineError("none of the engines could run", remedy="see the reasons above")
        samples: dict[Case, list[dict[str, float]]] = {worker.case: [] for worker in workers}
        started = datetime.now(timezone.utc)
        while (left := runs - len(samples[workers[0].case])) > 0:
            for worker in workers:
                worker.run(1)
                samples[worker.case].extend(worker.run(min(PER_TURN, left)))
        facts = {
            **machine(),
            "load": load,
            "image": f"{pixels.shape[1]}x{pixels.shape[0]}",
            "date": started.isoformat(timespec="seconds"),
        }
        return [_row(worker, samples[worker.case], facts) for worker in workers]
    finally:
        for worker in workers:
            worker.close()


class Worker:
    """A process that runs one case on request.

    Raises:
        MobileSegError: what the process reported (engine missing, folder unusable), or that it died.
    """

    def __init__(self, case: Case, image: str | os.PathLike[str]) -> None:
        self.case = case
        count = str(case.threads)
        environment = {
            **os.environ,
            **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count),
        }
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), environment.get("PYTHONPATH")]))
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process, `close` ends both
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mobileseg.benchmarking.worker",
                case.folder,
                case.engine,
                count,
                os.fspath(image),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=environment,
        )
        self.facts = self._read()

    @property
    def alive(self) -> bool:
        """Whether the process can be asked for runs."""
        return self._process.poll() is None

    def run(self, count: int) -> list[dict[str, float]]:
        """Do ``count`` runs; milliseconds of every stage of each."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{count}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._death() from None
        found: list[dict[str, float]] = self._read()["runs"]
        return found

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):  # it died with a request unread
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._death()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            self._process.wait()
            kind: type[MobileSegError] = getattr(errors, answer["kind"])
            raise kind(answer["error"], remedy=answer["remedy"])
        return answer

    def _death(self) -> RuntimeEngineError:
        code = self._process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._log.seek(0)
        last = self._log.read().decode("utf-8", "replace").strip().splitlines()[-1:]
        return RuntimeEngineError(f"{self.case}: the process ended with {how}{': ' + last[0] if last else ''}")

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def generated_picture(path: str | os.PathLike[str], size: tuple[int, int], seed: int = 0) -> None:
    """Write a JPEG with shapes and noise, for want of a photograph: decoding costs about as much.

    Args:
        path: file to write.
        size: (height, width).
        seed: of the noise.
    """
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, size[0] // 24), max(2, size[1] // 24), 3), dtype=np.uint8)
    picture = resize(coarse, size, cv2.INTER_CUBIC).astype(np.int16)
    picture += rng.normal(0, 6, picture.shape).astype(np.int16)
    _, encoded = cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
    Path(path).write_bytes(encoded.tobytes())


def _row(worker: Worker, samples: Sequence[dict[str, float]], facts: dict[str, Any]) -> dict[str, Any]:
    stages = {stage: _statistics([run[stage] for run in samples]) for stage in samples[0]}
    return {
        "folder": worker.case.folder,
        **{key: worker.facts[key] for key in ("name", "engine", "input")},
        "threads": worker.case.threads,
        "runs": len(samples),
        "stages": stages,
        "total": _statistics([sum(run.values()) for run in samples]),
        **facts,
        "versions": {"mobileseg": __version__, "python": platform.python_version(), **worker.facts["versions"]},
    }


def _statistics(values: Sequence[float]) -> dict[str, float]:
    median, high = np.percentile(values, [50, 95])
    return {"median_ms": round(float(median), 4), "p95_ms": round(float(high), 4), "max_ms": round(max(values), 4)}
