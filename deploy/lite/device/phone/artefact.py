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
    """An exported model.

    Attributes:
        folder: as it was named on the command line.
        precision: 'fp32', 'fp16', 'int8', or '' when the command line does not say.
        name: of the network.
        input: 'WxH', or 'dynamic'.
        files: names of the files that the program reads.
    """

    folder: Path
    precision: str
    name: str
    input: str
    files: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.folder}{', ' + self.precision if self.precision else ''}"


def read_artefact(text: str) -> Artefact:
    """Read an argument: FOLDER, or PRECISION=FOLDER.

    Raises:
        DeviceError: no such folder, one without deploy.json, without a graph for Paddle Lite, or incomplete.
    """
    head, equals, rest = text.partition("=")
    precision = head if equals and head in PRECISIONS else ""
    folder = Path(rest if precision else text)
    try:
        document = json.loads((folder / "deploy.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise DeviceError(f"cannot read {folder / 'deploy.json'}: {error.strerror}", _AGAIN) from None
    except ValueError as error:
        raise DeviceError(f"{folder / 'deploy.json'} is not JSON: {error}", _AGAIN) from None
    try:
        return _artefact(folder, precision, document["mobileseg"])
    except (KeyError, TypeError, AttributeError) as error:
        raise DeviceError(f"{folder / 'deploy.json'} is no manifest of mobileseg: {error!r}", _AGAIN) from None


def _artefact(folder: Path, precision: str, block: dict[str, Any]) -> Artefact:
    spec = block["input"] if block.get("format") == 1 else block["image"]
    models = _models(block)
    if not models:
        raise DeviceError(f"{folder} has no graph for Paddle Lite", _AGAIN)
    names = ["deploy.json", "deploy.yaml", *models]
    settings = block if block.get("format") == 1 else block.get("settings") or {}
    names += [name for name in (block.get("golden"), (settings.get("detection") or {}).get("anchors")) if name]
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise DeviceError(f"{folder} lacks {', '.join(absent)}", "copy the whole folder, or export it again")
    size = "dynamic" if spec.get("dynamic") else f"{spec['width']}x{spec['height']}"
    return Artefact(folder, precision, block["name"], size, tuple(dict.fromkeys(names)))


def _models(block: dict[str, Any]) -> list[str]:
    """Files of Paddle Lite of the graphs that the program runs; none where one of them has no file."""
    if block.get("format") == 1:
        graphs = {"main": block["graphs"]["main"]}
    else:
        used = [name for key, pipeline in block["pipelines"].items() if key != "components" for name in pipeline]
        graphs = {name: block["graphs"][name].get("files", {}) for name in used}
    found = [
        [files["model"] for key, files in engines.items() if key.startswith("lite_")] for engines in graphs.values()
    ]
    return [model for models in found for model in models] if all(found) else []
