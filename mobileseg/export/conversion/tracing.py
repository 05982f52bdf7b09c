"""From a layer in memory to a Paddle Inference graph on disk."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import paddle
from paddle import nn
from paddle.jit.dy2static import convert_call_func, program_translator, utils

from mobileseg.errors import ExportError
from mobileseg.export.conversion.pdmodel import OperatorOrigin, Program, refuse_open_shapes
from mobileseg.export.options import NAME_A_SIZE, ExportOptions
from mobileseg.export.task import ExportTask
from mobileseg.export.tasks import task_for
from mobileseg.folders import scratch_folder
from mobileseg.names import IMAGE
from mobileseg.nn.compat import open_sides, require_static_programs
from mobileseg.nn.graphs import GraphInput, NetworkGraph, blocked_form
from mobileseg.nn.modes import evaluating
from mobileseg.nn.trace_failure import REMEDY, trace_failure

_PADDLE_FOLDER = str(Path(paddle.__file__).parent)


def save_paddle_graph(
    network: nn.Layer,
    options: ExportOptions,
    stem: str | os.PathLike[str],
    task: ExportTask | None = None,
    graph: str | None = None,
    *,
    blocked: bool = False,
) -> Program:
    """Trace a graph of a network and write ``<stem>.pdmodel``, ``<stem>.pdiparams`` and ``<stem>.origins.json``.

    The network is put into evaluation mode for the trace and back into its mode afterwards.

    Args:
        network: layer of any task.
        options: form of the graph.
        stem: path without suffix.
        task: of the network; None asks the network.
        graph: name; None is the first one.
        blocked: trace :func:`~mobileseg.nn.graphs.blocked_form` of the graph.

    Raises:
        ExportError: the network cannot be traced, or a static graph has an open dimension.
        DependencyError: the installed Paddle is not the converter's.
    """
    require_static_programs()
    stem = Path(stem)
    forwards = {id(layer): layer.__dict__.get("forward") for layer in network.sublayers(include_self=True)}
    task = task or task_for(network, options)
    deployed = task.deployment(network, options)
    chosen = deployed.graphs[0] if graph is None else deployed.graph(graph)
    if blocked:
        chosen = replace(chosen, layer=blocked_form(chosen.layer))
    wrapper = task.wrapper(chosen, options)
    try:
        with evaluating(network):
            wrapper.eval()
            origins = _trace_and_save(wrapper, network, chosen, options, stem)
    finally:
        for layer in network.sublayers(include_self=True):
            # Tracing leaves its rewritten forward on every layer instance; the class's own one comes back.
            layer.__dict__.pop("forward", None)
            if forwards.get(id(layer)) is not None:
                layer.__dict__["forward"] = forwards[id(layer)]
    model = stem.with_name(stem.name + ".pdmodel")
    program = Program.read(model)
    program.origins = origins
    program.name_outputs(task.output_names(chosen.name, options))
    if not options.dynamic:
        refuse_open_shapes(program)
    program.write(model, with_origins=True)
    return program


def _trace_and_save(
    wrapper: nn.Layer, network: nn.Layer, graph: NetworkGraph, options: ExportOptions, stem: Path
) -> dict[str, OperatorOrigin]:
    specs = _grouped(graph, options)
    sources = _sources()
    static = paddle.jit.to_static(wrapper, input_spec=specs, full_graph=True)
    try:
        with open_sides(options.any_size), _rewriting(sources), _recorded_layers(network) as layer_of:
            program = static.forward.concrete_program.main_program
        origins = {
            name: OperatorOrigin(layer_of.get(name, ""), _python_line(op))
            for op in program.global_block().ops
            for name in op.output_arg_names
        }
        paddle.jit.save(static, str(stem))
    except MemoryError:
        raise
    except Exception as error:  # Paddle raises many types here; all mean that the forward cannot be traced
        remedy = NAME_A_SIZE if options.any_size else REMEDY
        raise ExportError(trace_failure(error, (options.height, options.width)), remedy=remedy) from error
    finally:
        stem.with_name(stem.name + ".pdiparams.info").unlink(missing_ok=True)
    return origins


def _grouped(graph: NetworkGraph, options: ExportOptions) -> list[Any]:
    """Specifications of a wrapper's arguments: the image, if the graph takes it, and all others as one list."""
    image = [_input_spec(spec, options) for spec in graph.inputs if spec.name == IMAGE]
    others = [_input_spec(spec, options) for spec in graph.inputs if spec.name != IMAGE]
    return [*image, others] if others else image


def _input_spec(spec: GraphInput, options: ExportOptions) -> Any:
    """The image in the form of the options, every other tensor as it is."""
    if spec.name != IMAGE:
        return paddle.static.InputSpec(list(spec.shape), dtype=spec.dtype, name=spec.name)
    shape = options.input_shape(open_size=options.dynamic)
    return paddle.static.InputSpec(
        [None if side == -1 else side for side in shape], dtype=options.input_dtype, name=spec.name
    )


@contextmanager
def _rewriting(folder: str) -> Iterator[None]:
    """While active, Paddle rewrites the source of a method once for all instances of its class, in a folder of ours.

    Paddle caches what it has rewritten by a weak reference to the bound method, which is gone at once, so that it
    rewrites the same forward for every layer: half of the time of a trace. The function behind a method lives as long
    as its class, and is all that the rewriting looks at. The folder is otherwise in the home directory, which may be
    read-only.
    """
    convert, place = program_translator.convert_to_static, utils.get_temp_dir

    def convert_function(function: Any) -> Any:
        return convert(getattr(function, "__func__", function))

    users = (program_translator, convert_call_func)
    for module in users:
        module.convert_to_static = convert_function
    utils.get_temp_dir = lambda: folder
    try:
        yield
    finally:
        utils.get_temp_dir = place
        for module in users:
            module.convert_to_static = convert


@cache
def _sources() -> str:
    """Where the rewritten sources of this process are: Paddle's cache refers to them until it ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    return str(stack.enter_context(scratch_folder()))


@contextmanager
def _recorded_layers(network: nn.Layer) -> Iterator[dict[str, str]]:
    """While active, notes which sublayer's forward appended the operator that writes a variable."""
    layer_of: dict[str, str] = {}
    starts: list[int] = []
    handles = []

    def operators() -> Any:
        return paddle.static.default_main_program().current_block().ops

    def enter(_layer: nn.Layer, _inputs: Any) -> None:
        starts.append(len(operators()))

    def leave_as(path: str) -> Callable[[nn.Layer, Any, Any], None]:
        def leave(_layer: nn.Layer, _inputs: Any, _outputs: Any) -> None:
            for op in operators()[starts.pop() :]:
                for name in op.output_arg_names:
                    layer_of.setdefault(name, path)  # innermost layers leave first

        return leave

    for path, layer in network.named_sublayers():
        handles.append(layer.register_forward_pre_hook(enter))
        handles.append(layer.register_forward_post_hook(leave_as(path)))
    try:
        yield layer_of
    finally:
        for handle in handles:
            handle.remove()


def _python_line(op: Any) -> str:
    """The innermost Python line outside Paddle that made an operator."""
    stack = op.attr("op_callstack") if op.has_attr("op_callstack") else []
    for entry in reversed(stack):
        text = entry.strip()
        if not text.startswith('File "'):
            continue
        file, _, rest = text[len('File "') :].partition('", line ')
        if file.startswith(_PADDLE_FOLDER) or f"{os.sep}decorator" in file or file == __file__:
            continue
        return f"{_short(file)}:{rest.partition(',')[0]}"
    return ""


def _short(file: str) -> str:
    """Path from the package folder on, or the last three parts."""
    parts = Path(file).parts
    if "mobileseg" in parts:
        return "/".join(parts[len(parts) - 1 - parts[::-1].index("mobileseg") :])
    return "/".join(parts[-3:])
