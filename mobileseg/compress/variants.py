"""What is known about every network of a compression: one row each, kept in ``report.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mobileseg.errors import CompressionError
from mobileseg.files import write_whole

FORMAT = 1
FILE = "report.json"


@dataclass(frozen=True)
class Variant:
    """One network and what was measured of it; what was not measured is left out.

    Attributes:
        name: short and unique, for example 'pruned'.
        step: what was done, for the reader.
        parameters: trained numbers.
        macs: multiply-adds for one image of the export size.
        sizes: file -> bytes: 'weights' is the checkpoint's, others are export targets.
        latency_ms: engine -> median milliseconds of the network alone.
        memory_mb: engine -> peak resident memory of a fresh process that loads it and segments one image, 10^6 bytes.
        scores: metric -> value; the first one decides.
        note: what the reader must know of these numbers.
    """

    name: str
    step: str
    parameters: int | None = None
    macs: int | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    memory_mb: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


class Variants:
    """The rows of one folder; every change is on the disk at once, so that an interrupted command keeps its rows.

    Args:
        folder: folder of the results; ``report.json`` in it is read if it is there.
        recipe: that the rows are of.
        anew: start without the rows of an earlier call.

    Raises:
        CompressionError: the file is of another recipe, or of something else.
    """

    def __init__(self, folder: str | os.PathLike[str], recipe: str, *, anew: bool = False) -> None:
        self.folder = Path(folder)
        self.recipe = recipe
        self._rows: dict[str, Variant] = {}
        #: What all rows share: machine, configuration, settings; plain JSON values.
        self.facts: dict[str, Any] = {}
        path = self.folder / FILE
        if path.is_file():
            try:
                document = json.loads(path.read_text(encoding="utf-8"))
                if document["format"] != FORMAT:
                    raise ValueError(f"format {document['format']}")
                if document["recipe"] != recipe:
                    raise CompressionError(
                        f"{self.folder} holds the results of `mobileseg compress {document['recipe']}`",
                        remedy=f"name another --save_dir for `{recipe}`",
                    )
                if not anew:
                    self.facts = dict(document["facts"])
                    self._rows = {row["name"]: Variant(**row) for row in document["variants"]}
            except (ValueError, KeyError, TypeError) as error:
                raise CompressionError(
                    f"{path} is no report of `mobileseg compress`: {error}", remedy="name another --save_dir"
                ) from error

    def read(self) -> list[Variant]:
        """All rows, in the order in which they came."""
        return list(self._rows.values())

    def get(self, name: str) -> Variant | None:
        """The row of a name."""
        return self._rows.get(name)

    def add(self, variant: Variant) -> None:
        """Add a row, or replace the one of the same name."""
        self._rows[variant.name] = variant
        self._write()

    def update(self, name: str, **values: Any) -> None:
        """Set fields of a row that is there."""
        self.add(replace(self._rows[name], **values))

    def set_facts(self, **facts: Any) -> None:
        """Add to what all rows share."""
        self.facts |= facts
        self._write()

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = [asdict(row) for row in self._rows.values()]
        document = {"format": FORMAT, "recipe": self.recipe, "facts": self.facts, "variants": rows}
        write_whole(self.folder / FILE, json.dumps(document, indent=1) + "\n")
