"""Before any training: does this network convert to its targets?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobileseg.errors import ExportError
from mobileseg.export.conversion import converters
from mobileseg.export.conversion.pdmodel import Operator, Program
from mobileseg.export.conversion.process import Failure
from mobileseg.export.conversion.tracing import save_paddle_graph
from mobileseg.export.diagnosis.bisect import locate_failure
from mobileseg.export.diagnosis.operator_support import OperatorFinding, check_operators
from mobileseg.export.options import ExportOptions
from mobileseg.export.task import ExportTask
from mobileseg.export.tasks import task_for
from mobileseg.folders import scratch_folder
from mobileseg.names import IMAGE


@dataclass(frozen=True)
class Audit:
    """Result of an audit.

    Attributes:
        operators: operator type -> how often the graph has it.
        findings: what the targets do not take, errors first.
        targets: target -> 'converts', 'fails' or why it was not tried.
    """

    operators: dict[str, int]
    findings: tuple[OperatorFinding, ...]
    targets: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether every target that could be tried converts and no rule is broken."""
        return not any(finding.level == "error" for finding in self.findings) and "fails" not in self.targets.values()


def audit(network: Any, options: ExportOptions, targets: Sequence[str]) -> Audit:
    """Trace a network as it is (weights do not matter), look its operators up, and try every converter.

    Nothing is run and nothing is kept: numbers are compared by an export.

    Args:
        network: Paddle layer of any task.
        options: form of the export.
        targets: from `TARGETS`.

    Raises:
        ExportError: the network cannot be traced, or a fixed size leaves open dimensions (names the layer).
    """
    task = task_for(network, options)
    with scratch_folder() as work:
        graphs = {"": _save(network, task, options, work)}
        programs = [Program.read(graph.model) for graph in graphs[""]]
        for target in targets:
            if task.form(target, options) != options:
                graphs[target] = _save(network, task, task.form(target, options), work, target)
        findings = [finding for program in programs for finding in check_operators(program, tuple(targets))]
        states: dict[str, str] = {}
        for target in targets:
            known = [item for item in findings if item.target == target and item.level == "error"]
            for graph in graphs.get(target, graphs[""]):
                state, found = _try(target, graph, work, known)
                findings.extend(found)
                if states.get(target) != "fails":
                    states[target] = state
    counts: dict[str, int] = {}
    for op in (op for program in programs for op in program.operators()):
        if op.type not in ("feed", "fetch"):
            counts[op.type] = counts.get(op.type, 0) + 1
    findings.sort(key=lambda finding: (finding.level != "error", finding.target, finding.operator.index))
    return Audit(dict(sorted(counts.items())), tuple(findings), states)


def format_audit(result: Audit, limit: int = 12) -> str:
    """The audit as text: operators, findings grouped by target and message, state of every target."""
    lines = ["operators: " + ", ".join(f"{name} {count}" for name, count in result.operators.items())]
    groups: dict[tuple[str, str, str, str], list[Operator]] = {}
    for item in result.findings:
        groups.setdefault((item.target, item.level, item.message, item.remedy), []).append(item.operator)
    for (target, level, message, remedy), operators in groups.items():
        lines.append(f"{level}: {target}: {message}" + (f"\n  hint: use {remedy}" if remedy else ""))
        if level == "error":
            lines.extend(f"    {operator}" for operator in operators[:limit])
        if level != "error" or len(operators) > limit:
            lines.append(f"    {len(operators)} operators in all")
    lines.extend(f"{target}: {state}" for target, state in result.targets.items())
    return "\n".join(lines)


def _save(
    network: Any, task: ExportTask, options: ExportOptions, work: Path, prefix: str = "graph"
) -> list[converters.Graph]:
    """Trace every graph of the network."""
    found = []
    for graph in task.deployment(network, options).graphs:
        stem = work / f"{prefix}-{graph.name}"
        save_paddle_graph(network, options, stem, task, graph.name)
        shapes = tuple(tuple(options.input_shape()) if spec.name == IMAGE else spec.shape for spec in graph.inputs)
        model, params = stem.with_suffix(".pdmodel"), stem.with_suffix(".pdiparams")
        found.append(converters.Graph(model, params, (shapes,), options.opset, graph.name))
    return found


def _try(
    target: str, graph: converters.Graph, work: Path, known: Sequence[OperatorFinding]
) -> tuple[str, list[OperatorFinding]]:
    """Convert; when that fails and no rule has said why, look for the operator."""
    reason = converters.missing(target)
    if reason:
        return f"not tried: {reason}", []
    try:
        converters.convert(target, graph, work, work)
    except Failure as failure:
        if known:
            return "fails", []
        culprit = locate_failure(target, graph)
        if culprit is None:
            raise ExportError(f"conversion to {target} failed: {failure}\n{failure.log}") from failure
        last = f" ({failure.log.splitlines()[-1].strip()})" if failure.log else ""
        return "fails", [OperatorFinding(target, "error", culprit, f"{failure.reason}{last}")]
    return "converts", []
