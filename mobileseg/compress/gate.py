"""The accuracy gate: a compressed network that lost too much is not exported."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mobileseg.errors import CompressionError
from mobileseg.files import write_whole
from mobileseg.training.checkpoint import STATE
from mobileseg.training.store import BEST, run_folder_of

FILE = "compression.json"


@dataclass(frozen=True)
class Gate:
    """What a compressed network was allowed to lose, and what it lost.

    Attributes:
        metric: name of the score.
        baseline_score: of the network that was compressed.
        score: of the compressed network, on the same images.
        max_drop: largest loss allowed; None allows any.
        keep_in_float: of an int8 network, layers that gain by float, most harmful first.
        quantised: whether it is an int8 network.
    """

    metric: str
    baseline_score: float
    score: float
    max_drop: float | None = None
    keep_in_float: Sequence[str] = ()
    quantised: bool = False

    @property
    def drop(self) -> float:
        """How much the score fell."""
        return self.baseline_score - self.score

    def check(self, what: str) -> None:
        """Raise when too much was lost.

        Raises:
            CompressionError: the drop exceeds ``max_drop``.
        """
        if self.max_drop is None or self.drop <= self.max_drop:
            return
        if self.keep_in_float:
            shown = " ".join(self.keep_in_float[:8])
            remedy = f"keep the layers in float that gain by it, the most harmful first: --skip {shown}"
        elif self.quantised:
            remedy = (
                "no single layer gains by staying in float: train with simulated int8 (compress.quantize.qat), "
                "calibrate with more images (--images), or raise compress.max_drop"
            )
        else:
            remedy = "remove less (compress.prune.macs), train longer, or raise compress.max_drop"
        raise CompressionError(
            f"{what} lost {self.drop:.4f} {self.metric} ({self.baseline_score:.4f} to {self.score:.4f}), "
            f"compress.max_drop allows {self.max_drop:g}",
            remedy=remedy,
        )


def write_gate(folder: str | os.PathLike[str], gate: Gate) -> None:
    """Write ``compression.json`` into the folder of a run, of weights, or of an artefact."""
    write_whole(Path(folder) / FILE, json.dumps(asdict(gate), indent=1) + "\n")


def read_gate(path: str | os.PathLike[str]) -> Gate | None:
    """The gate of a folder, of the run that a checkpoint is in, or of the folder of a weights file; None without one.

    A run that was trained on since then has the better of the stored score and its best one.

    Raises:
        CompressionError: the file is damaged.
    """
    run = run_folder_of(Path(path))
    file = run / FILE
    if not file.is_file():
        return None
    try:
        gate = Gate(**json.loads(file.read_text(encoding="utf-8")))
        best = _best(run, gate.metric)
    except (ValueError, TypeError, KeyError) as error:
        raise CompressionError(f"{file} is damaged: {error}", remedy="compress again, or remove the file") from error
    return gate if best is None or best <= gate.score else Gate(**{**asdict(gate), "score": best})


def check_gate(path: str | os.PathLike[str]) -> None:
    """Raise when what is at the path was compressed and lost too much.

    Raises:
        CompressionError: the drop exceeds ``compress.max_drop``.
    """
    gate = read_gate(path)
    if gate is not None:
        gate.check(str(path))


def _best(run: Path, metric: str) -> float | None:
    """Best validation score of a run, None without one of this metric."""
    file = run / BEST / STATE
    if not file.is_file():
        return None
    best = json.loads(file.read_text(encoding="utf-8")).get("best") or {}
    return float(best["score"]) if best.get("metric") == metric else None
