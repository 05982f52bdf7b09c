"""How much the score drops when channels of one group of layers are ignored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from paddle import nn

from mobileseg.compress.channels.groups import ChannelSet, Groups
from mobileseg.compress.pruning.choose import producers
from mobileseg.compress.pruning.score import Scores
from mobileseg.compress.table import Table
from mobileseg.errors import CompressionError
from mobileseg.files import write_whole
from mobileseg.nn.width import set_arrays

FORMAT = 1
FILE = "sensitivity.json"


@dataclass(frozen=True)
class Group:
    """Channels that are judged together.

    Attributes:
        name: the layers that put them out.
        channels: the units.
        share: of the network's multiply-adds that goes when all of them but one go.
    """

    name: str
    channels: ChannelSet
    share: float


class SensitivityTable:
    """Scores by group and ratio in a JSON file that grows with every one of them.

    Args:
        path: the file; what it holds of the same settings is kept.
        settings: everything that decides the scores, JSON values.

    Raises:
        CompressionError: the file is of other settings, or of something else.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self.baseline: dict[str, float] | None = None
        self.scores: dict[str, dict[str, float]] = {}
        if not path.is_file():
            return
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']}")
            known = document["settings"]
            self.baseline, self.scores = document["baseline"], document["scores"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CompressionError(
                f"{path} is no table of sensitivities: {error}", remedy="name another --save_dir"
            ) from error
        if known != self.settings:
            differing = ", ".join(sorted(key for key in self.settings if known.get(key) != self.settings[key]))
            raise CompressionError(
                f"{path} was made with other settings ({differing})",
                remedy="name another --save_dir, or remove the file",
            )

    def set_baseline(self, scores: Mapping[str, float]) -> None:
        """Keep the scores of the whole network."""
        self.baseline = dict(scores)
        self._write()

    def get(self, name: str, ratio: float) -> float | None:
        """The score of a group and a ratio, None when it is not known yet."""
        return self.scores.get(name, {}).get(str(ratio))

    def add(self, name: str, ratio: float, score: float) -> None:
        """Keep a score."""
        self.scores.setdefault(name, {})[str(ratio)] = score
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "format": FORMAT,
            "settings": self.settings,
            "baseline": self.baseline,
            "scores": self.scores,
        }
        write_whole(self.path, json.dumps(document, indent=1) + "\n")


def groups_to_judge(groups: Groups, scores: Scores) -> list[Group]:
    """The groups of layers in the order of the network, those of one channel left out."""
    whole = groups.macs()
    found = []
    for channels in groups.sets:
        judged = [unit for unit in channels.units if unit in scores]
        if len(judged) < 2:
            continue
        share = 1 - groups.macs(judged[1:]) / whole
        if share <= 0:
            continue  # only training computes with them
        found.append(Group(" + ".join(producers(groups, channels)), channels, share))
    order = {name: index for index, name in enumerate(groups.layers)}
    return sorted(found, key=lambda group: order.get(f"{group.name.split(' + ')[0]}.weight", len(order)))


def least(group: Group, scores: Scores, ratio: float) -> set[int]:
    """The share of the group's units that has the lowest scores; one at least remains.

    Raises:
        CompressionError: the ratio would leave the layer empty or as it is.
    """
    judged = sorted((unit for unit in group.channels.units if unit in scores), key=lambda unit: (scores[unit], unit))
    if not 0 < ratio < 1:
        raise CompressionError(f"a ratio of {ratio:g} leaves {group.name} empty or as it is", remedy="0 < ratio < 1")
    return set(judged[: max(1, min(len(judged) - 1, round(ratio * len(judged))))])


@contextmanager
def ignored(network: nn.Layer, groups: Groups, units: set[int]) -> Iterator[None]:
    """Inside, nothing reads the units: the weights that read them are zero. That is what removal computes."""
    state = network.state_dict()
    stays = groups.stays(units)
    before: dict[str, np.ndarray] = {}
    changed: dict[str, np.ndarray] = {}
    for name, layer in groups.layers.items():
        axis = layer.in_axis
        if axis is None or (name, axis) not in groups.units or stays[groups.units[name, axis]].all():
            continue
        before[name] = state[name].numpy()
        mask = stays[groups.units[name, axis]].astype(before[name].dtype)
        changed[name] = before[name] * mask.reshape([-1 if other == axis else 1 for other in range(before[name].ndim)])
    set_arrays(network, changed)
    try:
        yield
    finally:
        set_arrays(network, before)


def analyse(
    network: nn.Layer,
    groups: Groups,
    scores: Scores,
    ratios: Sequence[float],
    evaluate: Callable[[nn.Layer], Mapping[str, float]],
    table: SensitivityTable,
    say: Callable[[str], None],
) -> list[Group]:
    """Fill the table; what it holds already is not computed again.

    Args:
        network: trained; unchanged in the end.
        groups: of the network.
        scores: which units of a group go first.
        ratios: shares of a group's units.
        evaluate: scores of a network; the first one decides.
        table: receives every score at once.
        say: a line per score.
    """
    if table.baseline is None:
        table.set_baseline(evaluate(network))
    baseline = table.baseline or {}
    metric = next(iter(baseline))
    judged = groups_to_judge(groups, scores)
    total = len(judged) * len(ratios)
    for number, group in enumerate(judged):
        for position, ratio in enumerate(ratios):
            if table.get(group.name, ratio) is None:
                with ignored(network, groups, least(group, scores, ratio)):
                    table.add(group.name, ratio, evaluate(network)[metric])
                value = table.get(group.name, ratio) or 0.0
                done = number * len(ratios) + position + 1
                say(f"{done}/{total}  {group.name} without {ratio:.0%}: {metric} {value - baseline[metric]:+.4f}")
    return judged


def render(table: SensitivityTable, judged: Sequence[Group], ratios: Sequence[float]) -> str:
    """The drops as a Markdown table, the most sensitive group first."""
    baseline = table.baseline or {}
    metric = next(iter(baseline))
    rows = []
    for group in judged:
        drops = [baseline[metric] - (table.get(group.name, ratio) or 0.0) for ratio in ratios]
        rows.append((drops, group))
    rows.sort(key=lambda row: -max(row[0]))
    head = ["group of layers", "channels", "multiply-adds", *(f"without {ratio:.0%}" for ratio in ratios)]
    body = [
        [group.name, len(group.channels.units), f"{group.share:.1%}", *(f"{-drop:+.4f}" for drop in drops)]
        for drops, group in rows
    ]
    return f"{metric} of the whole network: {baseline[metric]:.4f}\n\n{Table(head, body, words=1).markdown()}"
