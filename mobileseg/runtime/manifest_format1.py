"""Manifests of format 1: one graph, one image, a task's section among the other fields.

Folders in that format are in use (the zoo's first ones among them) and stay readable; only format 2 is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mobileseg.tasks import SEMANTIC

_MOVED = ("input", "outputs", "graphs", "components", "detection", "category_ids", "verification", "format")


def upgraded(block: Mapping[str, Any]) -> dict[str, Any]:
    """The ``mobileseg:`` block of format 1 in the form of format 2.

    What is missing or of another type stays so, and is found when the result is validated.
    """
    found = {key: value for key, value in block.items() if key not in _MOVED}
    found.setdefault("task", SEMANTIC)
    image, outputs = block.get("input"), block.get("outputs", ())
    if image is not None:
        found["image"] = image
    main = {"inputs": [_tensor(image)], "outputs": outputs, "files": _mapping(block.get("graphs")).get("main", {})}
    found["graphs"] = {"main": main}
    found["pipelines"] = {"main": ["main"]}
    components = block.get("components", ())
    if components:
        found["graphs"] |= _component_graphs(components, found["graphs"]["main"])
        found["pipelines"]["components"] = [part.get("name") for part in components]
    settings = {key: block[key] for key in ("detection", "category_ids") if key in block}
    if settings:
        found["settings"] = settings
    rows = block.get("verification", ())
    found["verification"] = [_row(row) if isinstance(row, Mapping) else row for row in rows]
    return found


def _component_graphs(components: Any, main: Mapping[str, Any]) -> dict[str, Any]:
    """Graphs of the components; shapes between them were not written down and stay open."""
    known = {tensor["name"]: tensor for tensor in main["inputs"]}
    results = {output["name"]: output for output in main["outputs"]}
    found = {}
    for part in components:
        inputs = [known.get(name, {"name": name, "dtype": "float32", "shape": []}) for name in part["inputs"]]
        outputs = [
            results.get(name, {"name": name, "kind": "features", "dtype": "float32", "shape": []})
            for name in part["outputs"]
        ]
        files = {key: part[key] for key in ("model", "params", "shapes") if key in part}
        found[part["name"]] = {"inputs": inputs, "outputs": outputs, "files": {"paddle": files}}
    return found


def _tensor(image: Any) -> dict[str, Any]:
    """The input of the graph that the image is fed to."""
    spec = _mapping(image)
    size = [-1, -1] if spec.get("dynamic") else [spec.get("height"), spec.get("width")]
    shape = [1, *size, 3] if spec.get("layout") == "NHWC" else [1, 3, *size]
    return {"name": spec.get("name"), "dtype": spec.get("dtype", "float32"), "shape": shape}


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the verification: the share of equal results had a name per task."""
    found = dict(row)
    for name in ("labels_equal", "detections_equal"):
        share = found.pop(name, None)
        if share is not None:
            found["equal"] = share
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
