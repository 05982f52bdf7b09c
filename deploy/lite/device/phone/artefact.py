"""What of an exported model is copied to the device."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phone.errors import DeviceError

PRECISIONS = ("fp32", "fp16", "int8")

_AGAIN = "write the folder with `mobileseg export --targets lite_arm`"


@dataclass(frozen=True)
class Artefact:
    """One graph of an exported model.

    Attributes:
        folder: as it was named on the command line.
        precision: 'fp32', 'fp16', 'int8', or '' when the command line does not say.
        name: of the network.
        graph: key in the manifest's `graphs`.
        input: 'WxH', or 'dynamic'.
        files: names of the files that the program reads.
    """

    folder: Path
    precision: str
    name: str
    graph: str
    input: str
    files: tuple[str, ...]

    def __str__(self) -> str:
        graph = "" if self.graph == "main" else f", graph {self.graph}"
        return f"{self.folder}{graph}{', ' + self.precision if self.precision else ''}"


def read_artefact(text: str) -> Artefact:
    """Read an argument: FOLDER, or FOLDER/FILE.nb for the graph with that file, each with PRECISION= before it.

    Raises:
        DeviceError: no such folder, one without deploy.json, without a graph for Paddle Lite, or incomplete.
    """
    head, equals, rest = text.partition("=")
    precision = head if equals and head in PRECISIONS else ""
    path = Path(rest if precision else text)
    folder, file = (path.parent, path.name) if path.suffix == ".nb" else (path, "")
    try:
        document = json.loads((folder / "deploy.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise DeviceError(f"cannot read {folder / 'deploy.json'}: {error.strerror}", _AGAIN) from None
    except ValueError as error:
        raise DeviceError(f"{folder / 'deploy.json'} is not JSON: {error}", _AGAIN) from None
    try:
        return _artefact(folder, precision, file, document["mobileseg"])
    except (KeyError, TypeError, AttributeError) as error:
        raise DeviceError(f"{folder / 'deploy.json'} is no manifest of mobileseg: {error!r}", _AGAIN) from None


def _artefact(folder: Path, precision: str, file: str, block: dict[str, Any]) -> Artefact:
    models = {
        name: [files["model"] for key, files in engines.items() if key.startswith("lite_")]
        for name, engines in block["graphs"].items()
    }
    if file:
        graph = next((name for name, found in models.items() if file in found), "")
        if not graph:
            known = ", ".join(sorted({model for found in models.values() for model in found})) or "none"
            raise DeviceError(f"{folder} has no graph with the file {file}, it has {known}", _AGAIN)
    else:
        graph = "main"
        if not models.get(graph):
            raise DeviceError(f"{folder} has no graph for Paddle Lite", _AGAIN)
    spec = block["input"]
    names = ["deploy.json", "deploy.yaml", *models[graph]]
    names += [name for name in (block.get("golden"), (block.get("detection") or {}).get("anchors")) if name]
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise DeviceError(f"{folder} lacks {', '.join(absent)}", "copy the whole folder, or export it again")
    size = "dynamic" if spec.get("dynamic") else f"{spec['width']}x{spec['height']}"
    return Artefact(folder, precision, block["name"], graph, size, tuple(dict.fromkeys(names)))
