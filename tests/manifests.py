"""Manifests of networks that are one graph, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mobileseg.names import MAIN
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.specs import GraphFiles, GraphSpec, ImageSpec, OutputSpec
from mobileseg.tasks import SEMANTIC


def one_graph(
    name: str,
    image: ImageSpec,
    outputs: tuple[OutputSpec, ...],
    engines: Mapping[str, GraphFiles],
    *,
    task: str = SEMANTIC,
    **fields: Any,
) -> Manifest:
    """A manifest with the graph 'main' alone; ``fields`` are further ones of `Manifest`."""
    graphs = {MAIN: GraphSpec((image.tensor(),), outputs, dict(engines))}
    return Manifest(name=name, task=task, image=image, graphs=graphs, pipelines={MAIN: (MAIN,)}, **fields)


def changed(manifest: Manifest, **changes: Any) -> Manifest:
    """As `dataclasses.replace`, and ``outputs``, ``engines`` and ``image`` of the graph 'main'."""
    if not {"outputs", "engines", "image"} & set(changes):
        return replace(manifest, **changes)
    graph = manifest.graphs[MAIN]
    if "outputs" in changes:
        graph = replace(graph, outputs=changes.pop("outputs"))
    if "engines" in changes:
        graph = replace(graph, files=dict(changes.pop("engines")))
    if "image" in changes:
        graph = replace(graph, inputs=(changes["image"].tensor(),))
    return replace(manifest, graphs={**manifest.graphs, MAIN: graph}, **changes)


def rewritten(folder: Path, manifest: Manifest, **changes: Any) -> Manifest:
    """The manifest with some fields changed (:func:`changed`), written over the old one."""
    made = changed(manifest, **changes)
    made.write(folder)
    return made
