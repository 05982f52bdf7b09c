"""Latency per stage, engine and thread count, all of them interleaved in one run.

Every case is a process of its own, so that no engine sees another's threads or libraries. They take turns: in each
round every case does a few runs while the others sleep, so a change of the machine's speed meets all alike.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import cv2
import numpy as np

from mobileseg import __version__
from mobileseg.benchmarking.host_info import load_of_others, machine
from mobileseg.child import Child, Failure
from mobileseg.data.io import read_image
from mobileseg.errors import MobileSegError, RuntimeEngineError
from mobileseg.pixels import resize

PER_TURN = 5
"""Timed runs of a case before the next one has its turn; one untimed run comes before them, because the others have
emptied the caches."""

FIELDS = ("name", "folder", "engine", "threads", "image", "input", "runs", "stages", "total", "cpu", "versions", "date")
"""What every row has; `load_rows` refuses rows without."""


STREAM = "stream"
"""Kind of frame of the row of all frames."""


class TimedFrame(NamedTuple):
    """A timed run.

    Attributes:
        pipeline: that the frame ran.
        stages: milliseconds of each.
    """

    pipeline: str
    stages: dict[str, float]


@dataclass(frozen=True)
class Case:
    """What one process runs.

    Attributes:
        folder: of the exported model.
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
        image: path of the image that every run decodes and segments.
        runs: timed runs per case.
        warmup: untimed runs per case before the first round.
        say: told a case that cannot run, the others go on; warned when other programs are running.

    Returns:
        A row per case that ran, see `FIELDS`: ``stages`` and ``total`` hold ``median_ms``, ``p95_ms`` and ``max_ms``.
        Every run is a frame of a stream; where frames run different graphs there is a row for each kind of frame, and
        one for all of them with their mean (``frame``: the pipeline's name, or 'stream').

    Raises:
        RuntimeEngineError: no case could run.
        DataError: the image cannot be read.
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
        samples: dict[Case, list[TimedFrame]] = {worker.case: [] for worker in workers}
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
        return [row for worker in workers for row in _rows(worker, samples[worker.case], facts)]
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
        self._child = Child("mobileseg.benchmarking.worker", threads=case.threads)
        self.facts = self._ask("open", {**asdict(case), "image": os.fspath(image)})

    @property
    def alive(self) -> bool:
        """Whether the process can be asked for runs."""
        return self._child.alive

    def run(self, count: int) -> list[TimedFrame]:
        """Do ``count`` runs, frames that follow those of the call before."""
        found = self._ask("run", {"count": count})
        return [TimedFrame(*pair) for pair in zip(found["pipelines"], found["runs"], strict=True)]

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def _ask(self, task: str, payload: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._child.ask(task, payload)
        except Failure as failure:
            self._child.close()
            if failure.error is not None:
                raise failure.error from None
            last = f": {failure.log.splitlines()[-1]}" if failure.log else ""
            raise RuntimeEngineError(f"{self.case}: the process {failure.reason}{last}") from None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def synthetic_image(path: str | os.PathLike[str], size: tuple[int, int], seed: int = 0) -> None:
    """Write a JPEG with shapes and noise, for want of a photograph: decoding costs about as much.

    Args:
        path: file to write.
        size: (height, width).
        seed: of the noise.
    """
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, size[0] // 24), max(2, size[1] // 24), 3), dtype=np.uint8)
    pixels = resize(coarse, size, cv2.INTER_CUBIC).astype(np.int16)
    pixels += rng.normal(0, 6, pixels.shape).astype(np.int16)
    _, encoded = cv2.imencode(".jpg", np.clip(pixels, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
    Path(path).write_bytes(encoded.tobytes())


def _rows(worker: Worker, samples: Sequence[TimedFrame], facts: dict[str, Any]) -> list[dict[str, Any]]:
    """One row, or one for every kind of frame and one for the stream."""
    kinds = dict.fromkeys(sample.pipeline for sample in samples)
    whole = _row(worker, [sample.stages for sample in samples], facts)
    if len(kinds) == 1:
        return [whole]
    rows = []
    for kind in kinds:
        runs = [sample.stages for sample in samples if sample.pipeline == kind]
        rows.append({**_row(worker, runs, facts), "frame": kind})
    mean = float(np.mean([sum(sample.stages.values()) for sample in samples]))
    whole["total"]["mean_ms"] = round(mean, 4)
    return [*rows, {**whole, "frame": STREAM}]


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
