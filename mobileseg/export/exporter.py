"""From a network in memory to a verified exported model."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mobileseg.errors import ExportError, MobileSegError
from mobileseg.export import validation_gap
from mobileseg.export.atomic_folder import keep_failed, put_in_place, refuse_existing, staging
from mobileseg.export.conversion import converters
from mobileseg.export.conversion.pdmodel import Operator
from mobileseg.export.conversion.process import Failure
from mobileseg.export.conversion.tensorrt import ServerFiles, write_server_files
from mobileseg.export.diagnosis.bisect import locate_difference, locate_failure
from mobileseg.export.diagnosis.bisect_trace import locate_trace_difference
from mobileseg.export.from_config import (
    dataset_from,
    images_from,
    options_from,
    subject_from,
    targets_from,
    warnings_of,
)
from mobileseg.export.golden import Reference
from mobileseg.export.manifest import GOLDEN_FILE, Subject, build_manifest
from mobileseg.export.options import ALL_TARGETS, NAME_A_SIZE, TARGETS, ExportOptions, check_targets
from mobileseg.export.programs import save_programs
from mobileseg.export.recording import build_reference
from mobileseg.export.sizes import verified_sizes
from mobileseg.export.task import ExportTask
from mobileseg.export.tasks import task_for
from mobileseg.export.verify import FAILED, NOT_JUDGED, SKIPPED, TargetRow, check_engines
from mobileseg.nn.compat import require_static_programs
from mobileseg.runtime.manifest import Manifest

if TYPE_CHECKING:
    from mobileseg.config.load import Config

_UNTRAINED = "the weights are untrained: for timing alone, nothing here was verified"
_CONVERSIONS = 2  # at once; they are processes, but each also takes memory


@dataclass(frozen=True)
class ExportResult:
    """What an export wrote.

    Attributes:
        folder: of the exported model.
        rows: the table, one row per target.
        manifest: content of deploy.yaml.
        warnings: what the reader should know.
        results: what the rows count as equal, in the plural.
    """

    folder: Path
    rows: tuple[TargetRow, ...]
    manifest: Manifest
    warnings: tuple[str, ...] = ()
    results: str = "results"


def export(
    network: Any,
    config: Config,
    folder: str | os.PathLike[str],
    *,
    options: ExportOptions | None = None,
    targets: Sequence[str] | None = None,
    images: Sequence[str | Path] = (),
    zoo: Path | None = None,
    overwrite: bool = False,
    accept_weak: bool = False,
    untrained: bool = False,
    tensorrt: bool = False,
    report: Callable[[str], None] = lambda _line: None,
) -> ExportResult:
    """Export the network of a configuration.

    Args:
        network: built from the configuration, with trained weights.
        config: says size, normalisation, classes and where the validation images are.
        folder: of the exported model, made here.
        options: form of the graphs; None takes them from the configuration.
        targets: from `TARGETS`; None takes those of the configuration, else all that are installed.
        images: files and folders to verify with, instead of the validation images.
        zoo: folder of the weights, whose artefact gives classes and images where the dataset is missing.
        overwrite: replace an exported model that is there; see `refuse_existing`.
        accept_weak: see :func:`export_network`.
        untrained: see :func:`export_network`.
        tensorrt: see :func:`export_network`.
        report: gets one line per step.

    Raises:
        ExportError, DependencyError: see :func:`export_network`.
        DataError: an image cannot be read.
    """
    options = options or options_from(config, {})
    dataset = dataset_from(config)
    chosen = images_from(images, dataset, zoo, (options.height, options.width), options.pixels)
    report(f"verify with images from {chosen.source}")
    result = export_network(
        network,
        folder,
        options,
        subject_from(config, network, dataset, zoo),
        chosen.pixels,
        targets=targets or targets_from(config),
        source=chosen.source,
        overwrite=overwrite,
        accept_weak=accept_weak,
        untrained=untrained,
        tensorrt=tensorrt,
        report=report,
    )
    warnings = [*result.warnings, *warnings_of(config, options, dataset)]
    if dataset is not None and len(dataset) and not untrained:
        report("compare deployment with validation")
        gap = validation_gap.warning(network, config, dataset, folder, options)
        warnings += [gap] if gap else []
    if not chosen.real:
        warnings.append(f"the images to verify with came from {chosen.source}: name real ones with --images")
    return replace(result, warnings=tuple(warnings))


def export_network(
    network: Any,
    folder: str | os.PathLike[str],
    options: ExportOptions,
    subject: Subject,
    images: Sequence[np.ndarray],
    *,
    targets: Sequence[str] | None = None,
    source: str = "the given images",
    overwrite: bool = False,
    accept_weak: bool = False,
    untrained: bool = False,
    tensorrt: bool = False,
    report: Callable[[str], None] = lambda _line: None,
) -> ExportResult:
    """Write, run and compare every graph; the folder appears only when all of them agree.

    Args:
        network: Paddle layer with trained weights; its attribute `task` says what it is.
        folder: of the exported model, made here.
        options: form of the graphs.
        subject: name, classes, palette.
        images: uint8 [h,w,3] RGB, at least four real ones.
        targets: from `TARGETS`; None writes every target whose converter is installed.
        source: where the images are from, for the notes in deploy.yaml.
        overwrite: replace an exported model that is there; see `refuse_existing`.
        accept_weak: accept a reference that shows too few classes to tell a right graph from a wrong one.
        untrained: the weights are random and the graphs are for timing alone: every graph is run, but none is judged
            (labels of a network without training hang on the last bit), and the manifest says so.
        tensorrt: also write the shapes of all tensors of the Paddle graph, and a graph per component of the network.
        report: gets one line per step.

    Raises:
        ExportError: the folder exists, the network cannot be traced, a conversion failed or a graph differs
            (the folder is then kept as ``<folder>.failed``).
        DependencyError: a requested target's converter is not installed, or the installed Paddle is not the
            converter's.
    """
    require_static_programs()
    folder = Path(folder)
    task = task_for(network, options, subject.settings)
    deployed = task.deployment(network, options)
    chosen, rows = _choose(targets, options, task)
    refuse_existing(folder, overwrite)
    if options.any_size:
        report("no size is named: the graph is for images of any size, and for Paddle alone")
        subject = replace(subject, multiple=1)
    sizes = verified_sizes(options, subject.multiple)
    converters.prepare(chosen)
    reference = _reference(task, network, options, images, sizes, source)
    warnings = _weakness(task.weakness(reference, len(subject.classes)), accept_weak or untrained)
    if untrained:
        warnings.append(_UNTRAINED)
    with staging(folder, overwrite) as (stage, work):
        with ThreadPoolExecutor(_CONVERSIONS) as pool:  # what is traced is converted while the next form is traced
            started: dict[str, list[Future[None]]] = {target: [] for target in chosen}

            def start(target: str, graph: converters.Graph) -> None:
                started[target].append(pool.submit(_convert, target, graph, stage, work))

            graphs = save_programs(network, task, options, chosen, sizes, work, report, start)
            for target in chosen:
                report(f"convert to {target}")
                for conversion in started[target]:
                    conversion.result()
        reference.save(stage / GOLDEN_FILE)
        task.write_files(stage)
        frames = reference.frames()
        server = None
        if tensorrt:
            report("collect shapes and cut the graph into components")
            server = _server_files(stage, graphs, network, [frame.input for frame in frames], work)

        def described(*more: Any) -> Manifest:
            built = build_manifest(stage, task, deployed, subject, options, chosen, reference, *more)
            return server.added_to(built) if server is not None else built

        described().write(stage)
        report("run every graph and compare it with the network")
        checked = check_engines(stage, Manifest.read(stage), task, reference, frames)
        checked = [row.unjudged() for row in checked] if untrained else checked
        rows = [*checked, *rows]
        failed = [row for row in checked if row.status == FAILED]
        if failed:
            raise _disagreement(network, task, options, failed, graphs, reference, stage, work, folder)
        kept = [row.to_manifest() for row in checked if row.status not in (SKIPPED, NOT_JUDGED)]
        notes = _notes(task, reference, sizes, warnings)
        manifest = described(kept, notes)
        manifest.write(stage)
        put_in_place(stage, folder)
    order = {target: index for index, target in enumerate(ALL_TARGETS)}
    rows.sort(key=lambda row: order.get(row.target, len(order)))
    return ExportResult(folder, tuple(rows), manifest, tuple(warnings), task.results)


def _reference(task: ExportTask, network: Any, options: ExportOptions, *arguments: Any) -> Reference:
    """What graphs are compared with; a network that is to take any size may turn out to have its own."""
    try:
        return build_reference(task, network, options, *arguments)
    except ValueError as error:  # what Paddle raises where shapes do not fit
        if not options.any_size:
            raise
        raise ExportError(f"the network does not take images of any size: {error}", remedy=NAME_A_SIZE) from error


def _server_files(
    stage: Path, graphs: dict[str, list[converters.Graph]], network: Any, inputs: Sequence[np.ndarray], work: Path
) -> ServerFiles:
    if "paddle" not in graphs:
        raise ExportError("TensorRT runs the Paddle graph, and it is not among the targets", remedy="add paddle")
    if len(graphs["paddle"]) > 1:
        return ServerFiles({})  # a network of several graphs is divided already; shapes are collected at the first run
    try:
        return write_server_files(stage, graphs["paddle"][0], network, inputs, work)
    except Failure as failure:
        raise ExportError(f"the files for TensorRT cannot be written: {failure}") from failure


def _choose(
    targets: Sequence[str] | None, options: ExportOptions, task: ExportTask
) -> tuple[tuple[str, ...], list[TargetRow]]:
    """The targets to write, and rows for those that are left out."""
    if targets is not None:
        chosen = check_targets(tuple(targets))
        for target in chosen:
            converters.require(target)
            reason = _unfit(target, options) or task.unfit(target, options)
            if reason:
                raise ExportError(f"the target {target} cannot be written: {reason}", remedy=f"drop {target}")
        return chosen, []
    reasons = {
        target: converters.missing(target) or _unfit(target, options) or task.unfit(target, options)
        for target in TARGETS
    }
    left_out = [TargetRow(target, "", SKIPPED, problems=(reason,)) for target, reason in reasons.items() if reason]
    return tuple(target for target in TARGETS if not reasons[target]), left_out


def _unfit(target: str, options: ExportOptions) -> str:
    """Why a target cannot have this form, '' when it can."""
    if options.any_size and target != "paddle":
        return "a graph for images of any size is for Paddle alone: name a size (--size H W) for this one"
    if target == "ncnn" and options.layout == "NHWC":
        return "NCNN takes planes (NCHW); pnnx converts graphs that begin with a transpose wrongly"
    if target == "ncnn" and options.dynamic:
        return "pnnx cannot write a resize to a size that is only known at run time"
    if target == "torchscript" and options.dynamic:
        return "TorchScript is traced, which keeps the sizes that it was traced with"
    return ""


def _weakness(message: str, accept: bool) -> list[str]:
    if message and not accept:
        raise ExportError(
            message, remedy="export trained weights (--model_path), name other --images, or add --accept_weak"
        )
    return [message] if message else []


def _convert(target: str, graph: converters.Graph, stage: Path, work: Path) -> None:
    try:
        converters.convert(target, graph, stage, work)
    except Failure as failure:
        if os.strerror(errno.ENOSPC) in f"{failure}{failure.log}":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(stage.parent)) from failure
        culprit = _searched(lambda: locate_failure(target, graph))
        where = f"\n  first failing: {culprit}" if culprit else ""
        log = f"\n  last output: {failure.log.splitlines()[-1]}" if failure.log else ""
        raise ExportError(
            f"conversion to {target} failed: {failure}{where}{log}",
            remedy="see `mobileseg export --audit` for operators that a target lacks and how to write them",
        ) from failure


def _disagreement(
    network: Any,
    task: ExportTask,
    options: ExportOptions,
    failed: Sequence[TargetRow],
    graphs: dict[str, list[converters.Graph]],
    reference: Reference,
    stage: Path,
    work: Path,
    folder: Path,
) -> ExportError:
    """Keep the folder for inspection and say which graph differs, where it starts, and by how much."""
    lines: list[str] = []
    for row in failed:
        lines.extend(f"  {row.target} ({row.engine}): {problem}" for problem in row.problems[:4])
        if len(graphs.get(row.target, ())) != 1:  # several, or components, whose operators are the Paddle graph's
            continue
        (graph,), form = graphs[row.target], task.form(row.target, options)
        culprit = _searched(partial(locate_difference, row.target, graph, reference, work))
        if culprit:
            lines.append(f"  {row.target}: the first result that differs is of {culprit}")
            continue
        culprit = _searched(partial(locate_trace_difference, network, form, graph, reference, work))
        if culprit:
            lines.append(f"  {row.target}: traced, the network computes something else; first seen after {culprit}")
    kept = keep_failed(stage, folder)
    remedy = f"the folder was not put into place; it is kept as {kept} for inspection"
    if options.any_size:
        remedy = f"{NAME_A_SIZE}; {remedy}"
    return ExportError("\n".join(["exported graphs do not agree with the network:", *lines]), remedy=remedy)


def _searched(search: Callable[[], Operator | None]) -> Operator | None:
    """The search is a service: when it fails itself, the failure that it was to explain is still reported."""
    try:
        return search()
    except (Failure, MobileSegError, OSError, ValueError, KeyError):
        return None


def _notes(
    task: ExportTask, reference: Reference, sizes: Sequence[tuple[int, int]], warnings: Sequence[str]
) -> dict[str, str]:
    listed = ", ".join(f"{height}x{width}" for height, width in sizes)
    notes = {
        "verification": f"{len(reference.items)} images from {reference.source}, at {listed} (height x width), "
        f"{len(reference.classes_present)} classes present",
        "golden": task.golden_note,
    }
    return notes | ({"warning": " ".join(warnings)} if warnings else {})
