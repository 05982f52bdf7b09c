"""Putting weights into a network, and saying exactly what did not fit.

Tensors are set one by one: Paddle's own ``set_state_dict`` only warns when a shape differs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mobileseg.errors import WeightsError
from mobileseg.weights.convert import convert, is_torch, strip_wrappers
from mobileseg.weights.quantised import refuse_quantised
from mobileseg.weights.read import read_weights

_CLASSIFIER = re.compile(
    r"(fc|_fc|fc_\d|out|classifier|head|conv_last|_last_conv|last_conv|last_second_conv|conv_head|_conv_head|_bn1|conv9|features\.18|conv5|bn2|conv8)"
    r"\."
)
"""Modules behind the last feature map in published ImageNet files (PaddleClas, torchvision, timm).

``conv8`` is MobileNetV2's last stage, which the backbone does not have under yolact_edge's taps. What a network
does have is never taken for a classifier.
"""

_LINES = 8


class Mismatch(NamedTuple):
    """A parameter whose shape in the file is not the network's."""

    name: str
    in_file: tuple[int, ...]
    in_network: tuple[int, ...]


@dataclass(frozen=True)
class LoadReport:
    """What became of every entry of a weights file.

    Attributes:
        source: the file, for messages.
        rule: how the names were matched.
        loaded: parameters that were set.
        missing: parameters of the network that the file lacks.
        mismatched: parameters with another shape.
        unexpected: entries of the file that the network lacks.
        ignored: entries that belong to another part: the ImageNet classifier behind a backbone, or the heads
            when only a backbone was asked for.
    """

    source: str
    rule: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    unexpected: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Every parameter was set and nothing was left over."""
        return not (self.missing or self.mismatched or self.unexpected)

    def __str__(self) -> str:
        lines = [f"{self.source} ({self.rule}): {len(self.loaded)} fit"]
        groups = (
            ("missing in the file", _short(self.missing)),
            ("other shape", [f"{name}: file {list(a)}, network {list(b)}" for name, a, b in self.mismatched]),
            ("not in the network", _short(self.unexpected)),
            ("not needed", _by_module(self.ignored)),
        )
        for title, entries in groups:
            rest = [f"... and {len(entries) - _LINES} more"] if len(entries) > _LINES else []
            for number, entry in enumerate([*entries[:_LINES], *rest]):
                lines.append(f"  {title + ':' if number == 0 else '':<20} {entry}")
        return "\n".join(lines)


def load_into(
    network: Any, source: str | os.PathLike[str] | Mapping[str, np.ndarray], *, strict: bool = True, prefix: str = ""
) -> LoadReport:
    """Set the parameters and buffers of a network from a weights file; all of them or, when strict, none.

    Names are matched as they are, with ``backbone.`` added or removed, or converted from torchvision's, timm's or
    YOLACT's; the way that fits the most entries is taken, and the report names it.

    Args:
        network: any Paddle layer.
        source: path or URL of a weights file, or arrays by name.
        strict: refuse a file that leaves a parameter unset, has another shape or entries of another network.
        prefix: load only the part of the network whose names start with it, for example ``backbone.``; the file
            may spell the names with or without it.

    Raises:
        WeightsError: the file cannot be read; nothing of it fits; or, strict, something does not fit.
    """
    what = "the given arrays" if isinstance(source, Mapping) else str(source)
    state = dict(source) if isinstance(source, Mapping) else read_weights(source)
    tensors = {name: tensor for name, tensor in network.state_dict().items() if name.startswith(prefix)}
    refuse_quantised(state, network.state_dict(), what)
    refuse_nonfinite(state, what)
    if not tensors:
        raise WeightsError(f"the network has no parameters under '{prefix}'", remedy="check the prefix")
    shapes = {name: tuple(int(size) for size in tensor.shape) for name, tensor in tensors.items()}
    arrays, rule, dropped = _match(state, shapes, prefix)
    report = _report(what, rule, arrays, shapes, dropped)
    if not report.loaded:
        raise WeightsError(_another_network(report, state, shapes), remedy="give the weights of this architecture")
    if strict and not report.complete:
        raise WeightsError(_refusal(report, len(shapes)), remedy=_remedy(report, len(shapes)))
    for name in report.loaded:
        # in the network's own type: files may hold half precision or float64
        tensors[name].set_value(
            np.ascontiguousarray(arrays[name], dtype=_numpy_dtype(tensors[name])).reshape(shapes[name])
        )
    return report


def refuse_nonfinite(state: Mapping[str, np.ndarray], what: str) -> None:
    """Refuse weights that would make every output meaningless.

    Raises:
        WeightsError: an array holds NaN or infinity; names the first.
    """
    bad = [name for name, array in state.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if bad:
        count = int((~np.isfinite(state[bad[0]])).sum())
        raise WeightsError(
            f"{what}: {count} of {state[bad[0]].size} numbers of '{bad[0]}' are NaN or infinite"
            + (f", and so are some of {len(bad) - 1} other entries" if len(bad) > 1 else ""),
            remedy="take a checkpoint from before the training diverged, or fetch the file again",
        )


def _numpy_dtype(tensor: Any) -> np.dtype[Any]:
    name = str(tensor.dtype).rsplit(".", 1)[-1]
    return np.dtype("uint16" if name == "bfloat16" else name)


def _match(
    state: dict[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], prefix: str
) -> tuple[dict[str, np.ndarray], str, list[str]]:
    """The spelling of the file's names that fits best: arrays under the network's names, rule, entries left out."""
    candidates: list[tuple[dict[str, np.ndarray], str, list[str]]] = [(state, "own names", [])]
    plain = strip_wrappers(state)
    bases = [("own names", state), ("own names", plain)]
    if is_torch(state):
        for head in {prefix, "backbone.", ""}:
            targets = {name.removeprefix(head) for name in shapes if name.startswith(head)}
            if targets:
                converted, family = convert(state, targets)
                bases.append((family, converted))
    for rule, base in bases:
        candidates.append((base, rule, []))
        candidates += [
            ({head + name: array for name, array in base.items()}, f"{rule}, '{head}' added", [])
            for head in {prefix, "backbone."} - {""}
        ]
        inner = {name.removeprefix("backbone."): array for name, array in base.items() if name.startswith("backbone.")}
        outer = [name for name in base if not name.startswith("backbone.")]
        candidates.append((inner, f"{rule}, the backbone of it", outer))
    if prefix:
        candidates = [
            (
                {name: array for name, array in arrays.items() if name.startswith(prefix)},
                rule,
                left + [name for name in arrays if not name.startswith(prefix)],
            )
            for arrays, rule, left in candidates
        ]

    def fit(candidate: tuple[dict[str, np.ndarray], str, list[str]]) -> tuple[int, int]:
        arrays = candidate[0]
        known = [name for name in arrays if name in shapes]
        return sum(_fits(arrays[name], shapes[name]) for name in known), len(known)

    return max(candidates, key=fit)  # the first of equals: the plainest rule


def _fits(array: np.ndarray, shape: tuple[int, ...]) -> bool:
    # Paddle keeps scalars as shape [] or [1], depending on its version
    return array.shape == shape or (array.size == 1 and int(np.prod(shape)) == 1)


def _report(
    what: str,
    rule: str,
    arrays: Mapping[str, np.ndarray],
    shapes: Mapping[str, tuple[int, ...]],
    dropped: Sequence[str],
) -> LoadReport:
    loaded = [name for name in shapes if name in arrays and _fits(arrays[name], shapes[name])]
    wrong = [name for name in shapes if name in arrays and not _fits(arrays[name], shapes[name])]
    extra = [name for name in arrays if name not in shapes]
    tops = {name.split(".")[0] for name in shapes}
    ignored = [name for name in extra if _is_classifier(name, tops)]
    return LoadReport(
        what,
        rule,
        tuple(loaded),
        tuple(name for name in shapes if name not in arrays),
        tuple(Mismatch(name, arrays[name].shape, shapes[name]) for name in wrong),
        tuple(name for name in extra if name not in set(ignored)),
        (*ignored, *dropped),
    )


def _is_classifier(name: str, tops: set[str]) -> bool:
    bare = name.removeprefix("backbone.")
    return bool(_CLASSIFIER.match(bare)) and bare.split(".")[0] not in tops


def _another_network(report: LoadReport, state: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> str:
    if report.mismatched:
        name, in_file, in_network = report.mismatched[0]
        return (
            f"{report.source} is of another network: the names are the same but no shape fits, for example {name} is "
            f"{list(in_file)} in the file and {list(in_network)} here"
        )
    return (
        f"{report.source} is of another network: none of its {len(state)} entries ({', '.join(list(state)[:2])}, ...) "
        f"fits one of the {len(shapes)} parameters here ({', '.join(list(shapes)[:2])}, ...)"
    )


def _refusal(report: LoadReport, total: int) -> str:
    fitting = len(report.loaded)
    if fitting == total:
        more = len(report.unexpected)
        head = (
            f"{report.source} is of a larger network: it has all {total} parameters, and {more} that the network lacks"
        )
    elif fitting < total // 2:
        head = f"{report.source} is of another network: only {fitting} of {total} parameters fit"
    else:
        head = f"{report.source} does not fit the network: {fitting} of {total} parameters fit"
    return f"{head}; nothing was changed\n{report}"


def _remedy(report: LoadReport, total: int) -> str:
    only_shapes = report.mismatched and not report.missing and not report.unexpected
    if only_shapes and len(report.mismatched) <= max(1, total // 20):
        return "if the file was trained with other classes, set num_classes to their number, or load it not strictly"
    return "give the weights of this architecture, or load not strictly to keep the initial values of what is missing"


def _by_module(names: Sequence[str]) -> list[str]:
    """``module (entries)`` for every module at the first, or behind ``backbone.`` the second, level."""
    return _counted(names, lambda name: 2 if name.startswith("backbone.") else 1)


def _short(names: Sequence[str]) -> list[str]:
    """The names themselves while they are few, else the modules two levels down."""
    return (
        list(names) if len(names) <= _LINES else _counted(names, lambda name: 3 if name.startswith("backbone.") else 2)
    )


def _counted(names: Sequence[str], levels: Callable[[str], int]) -> list[str]:
    modules: dict[str, int] = {}
    for name in names:
        top = ".".join(name.split(".")[: levels(name)])
        modules[top] = modules.get(top, 0) + 1
    return [f"{top} ({count} {'entry' if count == 1 else 'entries'})" for top, count in modules.items()]
