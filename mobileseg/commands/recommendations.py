"""Which network to take: published accuracy and speed on a phone beside costs and times that were measured here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("recommended.json")
"""Networks by configuration below configs/ or folder of the zoo. What was published stands there by hand, what can be
measured is written by tools/measure_models.py."""

HEAD = ("", "network", "score", "device ms", "input", "MMACs", "parameters")


def read() -> dict[str, Any]:
    """The content of :data:`FILE`: ``networks``, and ``measured``, the circumstances of the times or None."""
    document: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return document


def groups(networks: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Networks whose published numbers can be compared, by what they have in common; the best score first.

    Those without published numbers stand by themselves: scores on other data say nothing about them.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for network in networks:
        facts = network["published"]
        title = f"{network['task']}: " + (
            f"{facts['metric']} on {facts['data']} and milliseconds on {facts['phone']}, as published"
            if facts
            else "no published numbers"
        )
        found.setdefault(title, []).append(network)
    for rows in found.values():
        rows.sort(key=lambda network: network["published"]["score"] if network["published"] else 0, reverse=True)
    return dict(sorted(found.items(), key=lambda item: "no published" in item[0]))


def recommended(network: Mapping[str, Any], group: Sequence[Mapping[str, Any]]) -> bool:
    """Whether no other network of the group is at least as accurate and as fast on the phone, and better in one."""
    if not network["published"]:
        return False

    def beats(other: Mapping[str, Any]) -> bool:
        gain = other["published"]["score"] - network["published"]["score"]
        saved = network["published"]["phone_ms"] - other["published"]["phone_ms"]
        return bool(gain >= 0 and saved >= 0 and (gain > 0 or saved > 0))

    return len(group) > 1 and not any(beats(other) for other in group)


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The tables as text."""
    measured = document["measured"]
    engines = measured["engines"] if measured else []
    for title, group in groups(document["networks"]).items():
        yield title
        cells = [[*HEAD, *engines], *(_cells(network, group, engines) for network in group)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            yield "  " + "  ".join(map(str.ljust, row, widths)).rstrip()
    yield "* no other of its table is both more accurate and faster on the device"
    if measured:
        yield (
            f"milliseconds per engine: whole pipeline of one image, median of {measured['runs']} runs, one thread, "
            f"{measured['cpu']}; {measured['command']}"
        )


def _cells(network: Mapping[str, Any], group: Sequence[Mapping[str, Any]], engines: Sequence[str]) -> list[str]:
    facts = network["published"] or {}
    height, width = network["input"]
    times = network.get("latency_ms", {})
    return [
        "*" if recommended(network, group) else "",
        Path(network["config"]).stem,
        f"{facts['score']:.2f}" if facts else "-",
        f"{facts['phone_ms']:.1f}" if facts else "-",
        f"{width}x{height}",
        f"{network['mmacs']:.0f}" if "mmacs" in network else "-",
        f"{network['parameters']:,}" if "parameters" in network else "-",
        *(f"{times[engine]:.1f}" if engine in times else "-" for engine in engines),
    ]
