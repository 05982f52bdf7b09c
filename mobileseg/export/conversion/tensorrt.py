"""What TensorRT wants beside the Paddle graph: shapes of all tensors, and a graph per component of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.errors import ExportError
from mobileseg.export.conversion.converters import Graph
from mobileseg.export.conversion.pdmodel import Program
from mobileseg.export.conversion.process import run_task
from mobileseg.names import IMAGE, MAIN
from mobileseg.nn.components import component_paths, is_inside
from mobileseg.runtime.manifest import COMPONENTS, Manifest
from mobileseg.runtime.specs import GraphFiles, GraphSpec, OutputSpec, TensorSpec

SHAPES_FILE = "model.shapes.pbtxt"


@dataclass(frozen=True)
class Piece:
    """A run of operators that belongs to one component.

    Attributes:
        name: of the component.
        inputs: tensors that it takes.
        outputs: tensors that it gives to others, or that the graph returns.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class ServerFiles:
    """What was written for TensorRT.

    Attributes:
        components: the component graphs, in the order in which they run.
        shapes: file of collected shapes of the whole graph, None when they were not collected.
    """

    components: dict[str, GraphSpec]
    shapes: str | None = None

    def added_to(self, manifest: Manifest) -> Manifest:
        """The manifest with these files in it."""
        results = {spec.name: spec for spec in manifest.outputs_of()}
        parts = {
            name: replace(graph, outputs=tuple(results.get(spec.name, spec) for spec in graph.outputs))
            for name, graph in self.components.items()
        }
        graphs, pipelines = {**manifest.graphs, **parts}, dict(manifest.pipelines)
        if self.shapes is not None:
            main = manifest.graphs[MAIN]
            files = {**main.files, "paddle": replace(main.files["paddle"], shapes=self.shapes)}
            graphs[MAIN] = replace(main, files=files)
        if self.components:
            pipelines[COMPONENTS] = tuple(self.components)
        return replace(manifest, graphs=graphs, pipelines=pipelines)


def write_server_files(
    stage: Path, graph: Graph, network: Any, inputs: Sequence[np.ndarray], work: Path
) -> ServerFiles:
    """Write the shapes, and a graph with shapes per component, into an exported model.

    Args:
        stage: folder to write into.
        graph: the Paddle graph of the folder.
        network: has `components()`; without that, or with one component, the graph is not divided.
        inputs: what to feed for the shapes, of all sizes that the graph is verified at.
        work: for intermediate files.

    Raises:
        ExportError: the components of the network do not run one after the other.
        Failure: Paddle refused a graph, or died.
    """
    fed = work / "server-inputs.npz"
    np.savez(fed, **{f"{index}/{IMAGE}": value for index, value in enumerate(inputs)})
    run_task(
        "shapes",
        {
            "model": str(graph.model),
            "params": str(graph.params),
            "inputs": str(fed),
            "take": [IMAGE],
            "give": Program.read(graph.model).outputs(),
            "out": str(stage / SHAPES_FILE),
            "outputs": str(work / "server-outputs.npz"),
        },
    )
    pieces = divide(Program.read(graph.model), component_paths(network))
    if len(pieces) < 2:
        return ServerFiles({}, SHAPES_FILE)
    found: dict[str, GraphSpec] = {}
    values = fed
    for piece in pieces:
        stem = f"component.{piece.name}"
        names = f"{stem}.pdmodel", f"{stem}.pdiparams", f"{stem}.shapes.pbtxt"
        after = work / f"{stem}.npz"
        request = {"take": list(piece.inputs), "give": list(piece.outputs)}
        files = {"model": str(graph.model), "params": str(graph.params), "out": str(stage / stem)}
        run_task("divide", {**request, **files})
        program = Program.read(stage / names[0])
        program.name_outputs(piece.outputs)
        program.write(stage / names[0])
        files = {"model": str(stage / names[0]), "params": str(stage / names[1]), "out": str(stage / names[2])}
        run_task("shapes", {**request, **files, "inputs": str(values), "outputs": str(after)})
        values = after
        taken = tuple(TensorSpec(name, *_form(values, name)) for name in piece.inputs)
        given = tuple(OutputSpec(name, "features", *_form(values, name)) for name in piece.outputs)
        entry = GraphFiles(model=names[0], params=names[1], shapes=names[2])
        found[piece.name] = GraphSpec(taken, given, {"paddle": entry})
    return ServerFiles(found, SHAPES_FILE)


def _form(values: Path, name: str) -> tuple[str, tuple[int, ...]]:
    """Type and shape of a tensor in a file of several runs; -1 where its shape differs from run to run."""
    with np.load(values, allow_pickle=False) as archive:
        found = [archive[key] for key in archive.files if key.partition("/")[2] == name]
    shapes = [array.shape for array in found]
    if len({len(shape) for shape in shapes}) != 1:
        return str(found[0].dtype), ()
    return str(found[0].dtype), tuple(
        lengths[0] if len(set(lengths)) == 1 else -1 for lengths in zip(*shapes, strict=True)
    )


def divide(program: Program, paths: Mapping[str, tuple[str, ...]]) -> list[Piece]:
    """Cut a graph where one component ends and the next begins.

    Operators outside of all components (normalisation, resizing, argmax) belong to the component before them, those
    before the first one to the first.

    Args:
        program: a graph with the origins of its operators.
        paths: component -> paths of its layers.

    Raises:
        ExportError: a component runs, another runs, and then the first again.
    """
    operators = [op for op in program.operators() if op.type not in ("feed", "fetch")]
    owners: list[str] = []
    for op in operators:
        owner = next((name for name, own in paths.items() if is_inside(op.origin.layer, own)), "")
        owners.append(owner or (owners[-1] if owners else ""))
    first = next((owner for owner in owners if owner), "")
    owners = [owner or first for owner in owners]
    order = list(dict.fromkeys(owners))
    if [owner for index, owner in enumerate(owners) if index == 0 or owners[index - 1] != owner] != order:
        raise ExportError(
            f"the components {', '.join(order)} do not run one after the other, so they cannot be graphs of their own",
            remedy="export without --tensorrt",
        )
    parameters, results = program.parameters(), program.outputs()
    pieces = []
    for name in order:
        mine = [op for op, owner in zip(operators, owners, strict=True) if owner == name]
        others = [op for op, owner in zip(operators, owners, strict=True) if owner != name]
        made = _names(op.outputs for op in mine)
        read = _names(op.inputs for op in mine)
        elsewhere = {*_names(op.inputs for op in others), *results}
        pieces.append(
            Piece(
                name,
                tuple(tensor for tensor in read if tensor not in parameters and tensor not in set(made)),
                tuple(tensor for tensor in made if tensor in elsewhere),
            )
        )
    return pieces


def _names(slots: Any) -> list[str]:
    """Variable names of operators' inputs or outputs, without repetitions, in order."""
    return list(dict.fromkeys(name for slot in slots for names in slot.values() for name in names))


def collect(request: Mapping[str, Any]) -> None:
    """Write the shapes of one graph and what it answers (task 'shapes' of the worker)."""
    from mobileseg.runtime.engines.predictors import Part, collect_shapes

    part = Part(
        "graph", Path(request["model"]), Path(request["params"]), None, tuple(request["take"]), tuple(request["give"])
    )
    runs: dict[str, dict[str, np.ndarray]] = {}
    with np.load(request["inputs"], allow_pickle=False) as archive:
        for key in archive.files:
            index, _, name = key.partition("/")
            runs.setdefault(index, {})[name] = archive[key]
    fed = list(runs.values())
    made = collect_shapes(part, [{name: run[name] for name in part.inputs} for run in fed], Path(request["out"]))
    known = [{**run, **answer} for run, answer in zip(fed, made, strict=True)]
    np.savez(
        request["outputs"],
        **{f"{index}/{name}": value for index, run in enumerate(known) for name, value in run.items()},
    )


def cut_out(request: Mapping[str, Any]) -> None:
    """Save a part of a graph with the weights that it needs (task 'divide' of the worker)."""
    import paddle

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    model, params = Path(request["model"]), Path(request["params"])
    program = paddle.static.load_inference_model(
        str(model.parent), executor, model_filename=model.name, params_filename=params.name
    )[0]
    block = program.global_block()
    paddle.static.save_inference_model(
        request["out"],
        [block.var(name) for name in request["take"]],
        [block.var(name) for name in request["give"]],
        executor,
        program=program,
    )
