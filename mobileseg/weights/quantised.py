"""What was quantised and therefore cannot be trained on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mobileseg.errors import WeightsError

_MARK = "._fake_quant_"
"""In the names that PaddleSlim gives to the state of simulated int8."""

_MANIFEST, _WEIGHTS = "deploy.yaml", "model.pdparams"
_GRAPHS = (".pdiparams", ".pdmodel", ".onnx", ".nb")

REMEDY = "start from the checkpoint that was quantised (a run folder or its .pdparams) and quantise the result again"


def is_quantised(names: Iterable[str]) -> bool:
    """Whether parameters of these names are those of a network with simulated int8."""
    return any(_MARK in name for name in names)


def refuse_quantised(names: Iterable[str], known: Iterable[str], what: str) -> None:
    """Refuse weights of a training with simulated int8 for a network without it.

    Args:
        names: in the weights.
        known: in the network.
        what: the weights, for the message.

    Raises:
        WeightsError: they are.
    """
    if is_quantised(names) and not is_quantised(known):
        raise WeightsError(f"{what} holds a quantised network (trained with simulated int8)", remedy=REMEDY)


def refuse_exported(path: str | os.PathLike[str]) -> None:
    """Refuse an exported model, or a graph in it, where weights to train on are expected.

    Raises:
        WeightsError: it is one.
    """
    place = Path(path)
    graph = place.is_file() and place.suffix in _GRAPHS
    folder = place.parent if graph else place
    if graph or ((folder / _MANIFEST).is_file() and not (folder / _WEIGHTS).is_file()):
        quantised = " and quantised (int8)" if _says_int8(folder / _MANIFEST) else ""
        raise WeightsError(f"{place} is exported{quantised}: graphs to run, not weights to train on", remedy=REMEDY)


def _says_int8(manifest: Path) -> bool:
    return manifest.is_file() and "precision: int8" in manifest.read_text(encoding="utf-8", errors="replace")
