"""Seeded damage to bytes, texts and JSON documents."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import yaml

Path = tuple[str | int, ...]


def nested(depth: int) -> list[Any]:
    """A list in a list in a list ..."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 255, 256, 2**31, 2**40, 2**63, 2**64, -(2**63) - 1, 10**400,
    0.5, 1.0, -1e-9, 1e308, -1e308, math.nan, math.inf, -math.inf,
    "", " ", "7", "0", "cat", "a" * 5000, "\0", "\ud800", "../../x", "~", "/dev/zero", "C:\\x\\y", "NaN",
    "\u202e\u0301",
    [], [[]], [0], [1, 2], [None], [["a"]], {}, {"a": 1}, {"size": 5, "counts": 3},
)  # fmt: skip
"""Values that stand where others were expected."""


def damaged_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three of: a flipped bit, a changed byte, bytes taken out, put in, repeated, a cut end, bytes behind it."""
    result = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        if not result:
            break
        at, length = int(rng.integers(len(result))), int(rng.integers(1, 40))
        kind = int(rng.integers(8))
        if kind == 0:
            result[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            result[at] = int(rng.choice([0, 1, 127, 128, 255]))
        elif kind == 2:
            del result[at : at + length]
        elif kind == 3:
            result[at:at] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
        elif kind == 4:
            result[at:at] = result[at : at + length]
        elif kind == 5:
            del result[at:]
        elif kind == 6:
            result += bytes(int(rng.integers(1, 5000)))
        else:
            result[at : at + 4] = rng.choice([0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000]).astype(">u4").tobytes()
    return bytes(result)


def damaged_text(text: str, rng: np.random.Generator) -> bytes:
    """A damaged line: characters that do not belong there, other separators, lines twice, empty, joined, or bytes."""
    lines = text.split("\n")
    at = int(rng.integers(len(lines)))
    line = lines[at]
    kind = int(rng.integers(10))
    place = int(rng.integers(len(line) + 1))
    if kind == 0:
        strange = str(rng.choice(["\0", "\t", "\\", "\u202e", "\x1c", "\ufeff", "  ", "\r", "é", "\x85"]))
        lines[at] = line[:place] + strange + line[place:]
    elif kind == 1:
        lines[at] = line[:place]
    elif kind == 2:
        lines.insert(at, line)
    elif kind == 3:
        lines[at : at + 2] = ["".join(lines[at : at + 2])]
    elif kind == 4:
        lines[at] = line.replace(" ", str(rng.choice(["\t", ",", ";", "  ", "\\", ""])))
    elif kind == 5:
        lines[at] = str(rng.choice(["/dev/zero /dev/zero", "~ ~", ".. ..", "/ /", "a" * 5000, "images labels", ". ."]))
    elif kind == 6:
        lines[at] = " ".join(reversed(line.split(" ")))
    elif kind == 7:
        return damaged_bytes(text.encode(), rng)
    elif kind == 8:
        return text.encode(str(rng.choice(["utf-16", "utf-8-sig", "utf-32"])))
    else:
        lines[at] = ""
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def places(document: Any, path: Path = ()) -> Iterator[Path]:
    """Key paths of every value in a JSON document, the document itself excepted."""
    parts = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in parts:
        yield (*path, key)
        yield from places(value, (*path, key))


def find(document: Any, path: Path) -> Any:
    """The value at a key path."""
    for key in path:
        document = document[key]
    return document


def damaged_document(document: Any, rng: np.random.Generator) -> tuple[Any, Path, Any]:
    """A copy of a JSON document with one value replaced, removed or repeated.

    Returns:
        The copy, the key path, and the value that stands there now; ``...`` when none does.
    """
    result = copy.deepcopy(document)
    known = list(places(result))
    # First the kind of place, then one of it: the many coordinates must not hide the few sizes.
    kinds = sorted({tuple("*" if isinstance(key, int) else key for key in path) for path in known}, key=str)
    kind = kinds[int(rng.integers(len(kinds)))]
    alike = [path for path in known if tuple("*" if isinstance(key, int) else key for key in path) == kind]
    path = alike[int(rng.integers(len(alike)))]
    holder, key = find(result, path[:-1]), path[-1]
    what = int(rng.integers(10))
    if what == 0:
        del holder[key]
        return result, path, ...
    if what == 1 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
        return result, (), ...
    if what == 2:
        other = find(result, known[int(rng.integers(len(known)))])
        holder[key] = copy.deepcopy(other)
    elif what == 3:
        holder[key] = nested(int(rng.choice([3, 40, 400])))
    elif what == 4 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        holder[key] = holder[key] * float(rng.choice([-1, 1e6, 1e-6, 1e30])) + float(rng.choice([0, 0.5]))
    else:
        holder[key] = copy.deepcopy(STRANGE[int(rng.integers(len(STRANGE)))])
    return result, path, holder[key]


def yaml_bytes(document: Any, **options: Any) -> bytes:
    """A document as YAML; PyYAML calls itself several times for each level that it writes."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        return yaml.safe_dump(document, sort_keys=False, **options).encode("utf-8", "surrogatepass")
    finally:
        sys.setrecursionlimit(limit)
