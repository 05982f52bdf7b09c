"""Traces that take long, kept as JSON in the cache folder and shown while they are made."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import paddle
from paddle import nn

from mobileseg.cache import cache_folder
from mobileseg.compress.channels.trace import TRACE_SIZE, NetworkTrace, Op, trace
from mobileseg.files import write_whole
from mobileseg.tasks import packages

FORMAT = 1
_SOURCES = ("mobileseg.nn", "mobileseg.backbones", "mobileseg.compress.channels.trace")
"""Beside the packages of the tasks."""
_PASSING = {"training", "_built", "_full_name"}
"""Attributes of layers that say nothing about what they compute."""


def cached_trace(network: nn.Layer, size: tuple[int, int] = TRACE_SIZE) -> NetworkTrace:
    """As :func:`.trace.trace` in training mode, from the cache when this network was traced before.

    The key covers the layers with their settings and shapes, the sources that define them and Paddle's version. While
    the network is traced a line with the time so far is shown on a terminal.

    Raises:
        CompressionError: the network cannot be traced.
    """
    file = cache_folder() / "traces" / f"{_key(network, size)}.json"
    try:
        return _from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or not whole: it is made anew
    with _clock("tracing the network"):
        graph = trace(network, size)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(_to_json(graph)))
    except OSError:
        pass  # a cache that cannot be written costs time alone
    return graph


@contextmanager
def _clock(what: str) -> Iterator[None]:
    """A line with the seconds so far, rewritten twice a second; nothing where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    start = time.monotonic()

    def show() -> None:
        while not done.wait(0.5):
            print(f"\r{what}: {time.monotonic() - start:.0f} s", end="", file=sys.stderr, flush=True)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        print(f"\r{what}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)


def _key(network: nn.Layer, size: tuple[int, int]) -> str:
    digest = hashlib.sha256(f"{FORMAT} {paddle.__version__} {size}\n".encode())
    files: set[Path] = set()
    for name in (*_SOURCES, *packages().values()):
        spec = find_spec(name)
        places = [] if spec is None else spec.submodule_search_locations or [str(spec.origin)]
        for place in map(Path, places):
            files.update(place.rglob("*.py") if place.is_dir() else [place])
    for name, layer in network.named_sublayers(include_self=True):
        source = sys.modules[type(layer).__module__].__file__
        if source and not type(layer).__module__.startswith("paddle."):
            files.add(Path(source))
        plain = {key: value for key, value in vars(layer).items() if isinstance(value, int | float | str | tuple)}
        shown = sorted((key, repr(value)) for key, value in plain.items() if key not in _PASSING)
        digest.update(f"{name} {type(layer).__qualname__} {layer.extra_repr()} {shown}\n".encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.shape}\n".encode())
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _to_json(graph: NetworkTrace) -> dict[str, Any]:
    names = list(graph.shapes)
    return {
        "ops": [[op.type, op.inputs, op.outputs, op.attrs] for op in graph.ops],
        "shapes": {name: graph.shapes[name] for name in names},
        "parameters": dict(graph.parameters),
        "outputs": list(graph.outputs),
    }


def _from_json(document: dict[str, Any]) -> NetworkTrace:
    def slots(found: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
        return {slot: tuple(names) for slot, names in found.items()}

    ops = tuple(Op(kind, slots(inputs), slots(outputs), attrs) for kind, inputs, outputs, attrs in document["ops"])
    shapes = {name: tuple(shape) for name, shape in document["shapes"].items()}
    return NetworkTrace(ops, shapes, document["parameters"], tuple(document["outputs"]))
