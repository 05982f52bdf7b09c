"""Names of classes: what they may be, and whether two lists of them mean the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from mobileseg.errors import ConfigError
from mobileseg.limits import broken_character

_GENERATED = re.compile(r"class \d+")
_SHOWN = 3


def checked_names(names: Sequence[object], source: str) -> tuple[str, ...]:
    """The names as text.

    Raises:
        ConfigError: one is empty, stands twice, or has characters that cannot be written or drawn.
    """
    found = tuple(str(name) for name in names)
    for index, name in enumerate(found):
        if not name.strip():
            raise ConfigError(
                f"class {index} of {source} has no name", remedy="give every class a name; an empty line is none"
            )
        broken = broken_character(name)
        if broken:
            raise ConfigError(
                f"the name of class {index} of {source} has the character {broken}: {name!a}",
                remedy="write names in letters that can be shown, as UTF-8",
            )
    twice = [name for name, count in Counter(found).items() if count > 1]
    if twice:
        raise ConfigError(f"{source} names a class twice: '{twice[0]}'", remedy="give every class its own name")
    return found


def generated_names(count: int) -> tuple[str, ...]:
    """'class 0', 'class 1', ...: names of classes of which only the number is known."""
    return tuple(f"class {index}" for index in range(count))


def class_problems(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """How two lists of classes differ in content or order, one line each; [] when an index means the same in both.

    Lists of one length of which one was generated (:func:`generated_names`) agree: it says nothing about meanings.

    Args:
        names: of what comes first (a checkpoint, the training dataset, ...).
        others: of what is compared with it.
    """
    first, second = list(map(str, names)), list(map(str, others))
    if first == second:
        return []
    if len(first) == len(second) and any(all(map(_GENERATED.fullmatch, part)) for part in (first, second)):
        return []
    problems = []
    if len(first) != len(second):
        problems.append(f"{len(first)} classes against {len(second)}")
    for part, whole, text in ((first, second, "only the first has"), (second, first, "only the second has")):
        lonely = [name for name in part if name not in whole]
        if lonely:
            problems.append(f"{text} {_quoted(lonely)}")
    moved = [
        f"class {index} is '{one}' in the first and '{other}' in the second"
        for index, (one, other) in enumerate(zip(first, second, strict=False))
        if one != other and one in second and other in first
    ]
    if moved:
        problems.append("; ".join(moved[:_SHOWN]) + (f" and {len(moved) - _SHOWN} more" if len(moved) > _SHOWN else ""))
    return problems


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
