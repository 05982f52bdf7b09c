"""From outputs of the graphs to a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.task import StepPlan


@dataclass(frozen=True)
class CountResult:
    """Level of a frame, frames so far, and their product by the graph."""

    level: float
    frames: int
    total: float
    times: dict[str, float] = field(default_factory=dict)


def problems(manifest: Any) -> list[str]:
    missing = {"first", "later"} - set(manifest.pipelines)
    return [f"pipelines has no {', '.join(sorted(missing))}"] if missing else []


class CountPipeline:
    def __init__(self, manifest: Any) -> None:
        self.manifest = manifest

    def next(self, memory: dict[str, Any], image: Any) -> StepPlan:
        return StepPlan("later" if memory else "first")

    def finish(self, tensors: Mapping[str, Any], place: Any, memory: dict[str, Any]) -> CountResult:
        memory["frames"] = round(float(tensors["frames"].item())) if "frames" in tensors else 1
        level = float(tensors["level"].item())
        return CountResult(level, memory["frames"], float(tensors["total"].item()) if "total" in tensors else level)


def pipeline(folder: Any, manifest: Any, engine: Any, options: Mapping[str, Any]) -> CountPipeline:
    if options:
        raise RuntimeEngineError(f"{', '.join(options)}: a counting model has no such option")
    return CountPipeline(manifest)
