"""Verification: every graph of a folder is run and compared with the network it came from.

Export calls :func:`check_engines` with the network's own outputs; `mobileseg doctor model` calls
:func:`verify`, which replays what export stored in ``golden.npz``, stage by stage.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.errors import ExportError, MobileSegError
from mobileseg.export.conversion.process import Failure, run_task
from mobileseg.export.golden import Frame, GoldenItem, Reference, load_reference, subsample
from mobileseg.export.options import ENGINES
from mobileseg.export.task import ExportTask
from mobileseg.export.tasks import task_of
from mobileseg.export.tolerance import INPUT_LIMIT, ROUNDED_SHARE, Agreement
from mobileseg.folders import scratch_folder
from mobileseg.runtime.engines.registry import unavailable
from mobileseg.runtime.manifest import COMPONENTS, Manifest, twin_problems, verified_path
from mobileseg.runtime.preprocess import Preprocessor
from mobileseg.runtime.specs import ImageSpec, VerificationRow

OK, FAILED, NOT_RUN, SKIPPED, NOT_JUDGED = "ok", "failed", "converted-not-run", "skipped", "not-judged"


@dataclass(frozen=True)
class TargetRow:
    """One target in the table that export and doctor print.

    Attributes:
        target: key of the graph in the manifest; 'components' for its component graphs, one after the other.
        engine: engine that ran it, '' when none can.
        status: 'ok', 'failed', 'converted-not-run', 'skipped' or 'not-judged'.
        max_diff: see :class:`~mobileseg.export.tolerance.Agreement`.
        equal: share of equal results (labels, detections), 0..1.
        size_bytes: graphs and weights together.
        latency_ms: median of the frames like the first, with one thread.
        problems: why it failed or was skipped.
    """

    target: str
    engine: str
    status: str
    max_diff: float | None = None
    equal: float | None = None
    size_bytes: int | None = None
    latency_ms: float | None = None
    problems: tuple[str, ...] = ()

    def unjudged(self) -> TargetRow:
        """The row of a graph that was run for its time alone; one that could not be run stays failed."""
        return replace(self, status=NOT_JUDGED, problems=()) if self.latency_ms is not None else self

    def to_manifest(self) -> VerificationRow:
        """The row as deploy.yaml keeps it; only for graphs that are in the folder."""
        if self.status == OK:
            return VerificationRow(self.target, "ok", self.max_diff, self.equal, self.size_bytes, self.latency_ms)
        if self.status == NOT_RUN:
            return VerificationRow(self.target, "converted-not-run", size_bytes=self.size_bytes)
        raise ValueError(f"a row with status '{self.status}' is not written into a manifest")


def verify(folder: str | os.PathLike[str], engines: Sequence[str] | None = None) -> list[TargetRow]:
    """Check an exported model against its own golden.npz.

    In this order: file hashes, agreement of the written preprocessing with the reference, the
    preprocessing itself, every engine, the postprocessing.

    Args:
        folder: of the exported model.
        engines: engines to run ('paddle', 'onnxruntime', 'lite', 'ncnn'); None for all that are installed.

    Returns:
        One row per graph; all are 'ok', 'converted-not-run' or 'skipped' (engine not installed).

    Raises:
        ExportError: some stage failed; the message lists everything found.
    """
    rows, problems = replay(folder, engines)
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise ExportError(
            f"{folder} does not give what was verified when it was exported:\n{listed}",
            remedy="export it again; do not deploy this folder",
        )
    return rows


def replay(folder: str | os.PathLike[str], engines: Sequence[str] | None = None) -> tuple[list[TargetRow], list[str]]:
    """As :func:`verify`, but returns the rows and the problems instead of raising for them.

    Raises:
        RuntimeEngineError: deploy.yaml, or a file that the task needs to understand the outputs, cannot be used.
        ExportError: golden.npz cannot be read, or an unknown engine was asked for.
    """
    folder = Path(folder)
    _check_engine_names(engines)
    manifest = Manifest.read(folder)
    problems = _hash_problems(folder, manifest)
    if manifest.golden is None:
        return [], [
            *problems,
            "deploy.yaml names no golden file, so nothing can be replayed; `mobileseg export` writes one",
        ]
    task = task_of(folder, manifest)
    reference = load_reference(folder / manifest.golden, task.load_item)
    problems += _preprocess_problems(manifest.image, reference)
    frames = reference.frames([_input_of(item, manifest.image) for item in reference.items])
    rows = check_engines(folder, manifest, task, reference, frames, engines)
    problems += [f"{row.target}: {problem}" for row in rows if row.status == FAILED for problem in row.problems]
    problems += task.result_problems(manifest, reference)
    return rows, problems


def check_engines(
    folder: Path,
    manifest: Manifest,
    task: ExportTask,
    reference: Reference,
    frames: Sequence[Frame],
    engines: Sequence[str] | None = None,
) -> list[TargetRow]:
    """Run the graphs of every target in processes of their own and compare; one row per target."""
    rows = []
    for target in manifest.targets():
        files = [manifest.graph_files(graph, target) for graph in manifest.deployed]
        size = _size(folder, [name for entry in files for name in entry.names()])
        engine = ENGINES.get(target)
        if engine is None:
            rows.append(TargetRow(target, "", NOT_RUN, size_bytes=size))
        elif engines is not None and engine not in engines:
            continue
        elif reason := unavailable(engine):
            rows.append(TargetRow(target, engine, SKIPPED, size_bytes=size, problems=(reason,)))
        else:
            rows.append(_check_engine(folder, manifest, task, target, engine, reference, frames, size))
    asked = COMPONENTS in manifest.pipelines and (engines is None or "paddle" in engines)
    if asked and not unavailable("paddle"):
        parts = [manifest.graph_files(graph, "paddle") for graph in manifest.pipelines[COMPONENTS]]
        size = _size(folder, [name for entry in parts for name in entry.names()])
        own = {"components": True}
        row = _check_engine(folder, manifest, task, "paddle", "paddle", reference, frames, size, own)
        rows.append(replace(row, target=COMPONENTS))
    return rows


def _size(folder: Path, names: Sequence[str]) -> int:
    return sum((folder / name).stat().st_size for name in names if (folder / name).is_file())


def _check_engine(
    folder: Path,
    manifest: Manifest,
    task: ExportTask,
    target: str,
    engine: str,
    reference: Reference,
    frames: Sequence[Frame],
    size: int,
    own: Mapping[str, Any] | None = None,
) -> TargetRow:
    try:
        answers, latency = run_engine(folder, engine, frames, options=own)
        agreement = task.compare(answers, reference.items, manifest.outputs_of(target))
        if manifest.least_equal is not None:
            agreement = _loose(agreement, task.shared(answers, reference.items, agreement), manifest.least_equal)
    except Failure as failure:
        reason = f"engine '{engine}' {failure.reason}" if failure.died else failure.reason
        detail = f"\n    {failure.log.splitlines()[-1]}" if failure.died and failure.log else ""
        return TargetRow(target, engine, FAILED, size_bytes=size, problems=(reason + detail,))
    return TargetRow(
        target,
        engine,
        FAILED if agreement.problems else OK,
        max_diff=agreement.max_diff,
        equal=agreement.equal,
        size_bytes=size,
        latency_ms=latency,
        problems=agreement.problems,
    )


def _loose(agreement: Agreement, share: float, least: float) -> Agreement:
    """The agreement by the rule for graphs of lower precision: a share of the results must be the same."""
    wrong = f"{share:.2%} of the results are equal, at least {least:.2%} must be"
    return Agreement(agreement.max_diff, share, () if share >= least else (wrong,))


def run_engine(
    folder: Path,
    engine: str,
    frames: Sequence[Frame],
    *,
    threads: int = 1,
    options: Mapping[str, Any] | None = None,
) -> tuple[list[dict[str, np.ndarray]], float]:
    """Run one engine of an artefact over frames in a process of its own.

    Args:
        folder: artefact.
        engine: engine name.
        frames: what to feed, in order.
        threads: CPU threads.
        options: of the engine alone, as JSON can write them.

    Returns:
        Outputs of all graphs by name per frame, and the median latency in milliseconds of the frames that run the
        first one's pipeline at its size, an indication (`mobileseg benchmark` measures).

    Raises:
        Failure: the engine refused, or died.
    """
    with scratch_folder() as work:
        fed, answered = work / "inputs.npz", work / "outputs.npz"
        np.savez(fed, **{str(index): frame.input for index, frame in enumerate(frames)})
        request = {
            "folder": str(folder),
            "engine": engine,
            "threads": threads,
            "options": dict(options or {}),
            "frames": [(frame.pipeline, frame.sequence) for frame in frames],
            "inputs": str(fed),
            "outputs": str(answered),
        }
        latency = run_task("run", request, threads=threads)["latency_ms"]
        answers: list[dict[str, np.ndarray]] = [{} for _ in frames]
        with np.load(answered, allow_pickle=False) as archive:
            for key in archive.files:
                index, _, name = key.partition("/")
                answers[int(index)][name] = archive[key]
    return answers, latency


def _check_engine_names(engines: Sequence[str] | None) -> None:
    unknown = sorted(set(engines or ()) - set(ENGINES.values()))
    if unknown:
        raise ExportError(f"unknown engine {', '.join(unknown)}", remedy=f"choose from {', '.join(ENGINES.values())}")


def _hash_problems(folder: Path, manifest: Manifest) -> list[str]:
    problems = []
    for name in manifest.files:
        try:
            verified_path(folder, manifest, name)
        except MobileSegError as error:
            problems.append(f"files: {error.message}")
    return problems + [f"files: {problem}" for problem in twin_problems(folder)]


def _preprocess_problems(spec: ImageSpec, reference: Reference) -> list[str]:
    problems = []
    for row, key in zip(reference.normalize, ("mean", "std"), strict=True):
        written = np.array(getattr(spec, key), np.float32)
        if not np.allclose(written, row, rtol=0, atol=1e-6):
            problems.append(f"preprocess: {key} is {written.tolist()}, the network was trained with {row.tolist()}")
    preprocessor = Preprocessor(spec)
    for index, item in enumerate(reference.items):
        made = subsample(preprocessor(item.image), item.stride)
        problem = _input_difference(made, item.input, preprocessor.largest)
        if problem:
            problems.append(f"preprocess: image {index}: {problem} (colour order {spec.color}, mean {list(spec.mean)})")
    return problems


def _input_difference(made: np.ndarray, expected: np.ndarray, largest: float) -> str:
    """What is wrong with an input; ``largest`` is the largest value that a pixel can become."""
    if made.shape != expected.shape or made.dtype != expected.dtype:
        return f"input is {made.dtype} {list(made.shape)}, the reference is {expected.dtype} {list(expected.shape)}"
    difference = np.abs(made.astype(np.float64) - expected.astype(np.float64))
    worst = float(difference.max(initial=0))
    if expected.dtype == np.uint8:
        off = float((difference > 0).mean())
        return f"{off:.1%} of the input values differ" if worst > 1 or off > ROUNDED_SHARE else ""
    allowed = INPUT_LIMIT * largest
    return f"input differs by {worst:.2e} (allowed {allowed:.0e})" if not worst <= allowed else ""


def _input_of(item: GoldenItem, spec: ImageSpec) -> np.ndarray:
    """The stored input, or (where only samples of it are stored) the one that the preprocessing makes."""
    return item.input if item.stride == 1 else Preprocessor(spec)(item.image)
