"""Short streams of frames that calibrate a network, and the tensors that they hand to each of its graphs.

A network that computes an image from nothing else has streams of one frame. For the others a stream has as many frames
as :attr:`mobileseg.export.task.ExportTask.pipelines` says, so that every graph is fed with what it gets in use: a
graph behind another one with that one's results, and a graph that builds on a key frame with what the key frame left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import paddle

from mobileseg.compress.precision.images import read_chosen
from mobileseg.export.recording import to_input, to_network
from mobileseg.names import IMAGE
from mobileseg.pixels import resize_bilinear

if TYPE_CHECKING:
    from mobileseg.compress.precision.prepare import Prepared
    from mobileseg.export.task import ExportTask
    from mobileseg.nn.graphs import GraphRun

Stream: TypeAlias = Sequence[np.ndarray]
"""Frames that follow each other, uint8 [h,w,3] RGB."""


def read_streams(dataset: Any, indices: Sequence[int], task: ExportTask) -> list[Stream]:
    """A stream for every index: the frames of a video from there on, or those that are made of the image.

    Args:
        dataset: any dataset of the suite, or a part of one.
        indices: where the streams begin. A video that ends too early counts as an image.
        task: says how many frames a stream has.

    Raises:
        DataError: names the first image that cannot be read.
    """
    length = len(task.pipelines)
    following = {
        index: list(sequence[place : place + length])
        for sequence in dataset.sequences()
        for place, index in enumerate(sequence)
    }
    streams: list[Stream] = []
    for index in indices:
        frames = following[index]
        if len(frames) == length:
            streams.append(read_chosen(dataset, frames))
        else:
            streams.append(task.frames(*read_chosen(dataset, [index])))
    return streams


def run_stream(prepared: Prepared, stream: Stream) -> Iterator[tuple[GraphRun, np.ndarray]]:
    """Run a stream through the network in memory, as it is; gives every graph that ran, and the image as graphs get it.

    Args:
        prepared: the network.
        stream: as many frames as its task has pipelines.
    """
    options = prepared.options
    deployed = prepared.task.deployment(prepared.network, options)
    kept: dict[str, Any] = {}
    with paddle.no_grad():
        for pipeline, frame in zip(prepared.task.pipelines, stream, strict=True):
            pixels = resize_bilinear(frame.astype(np.float32), (options.height, options.width))
            known = {IMAGE: paddle.to_tensor(to_network(pixels, options)), **kept}
            made: dict[str, Any] = {}
            for run in deployed.run(pipeline, known):
                made |= run.outputs
                yield run, to_input(pixels, options)
            kept |= deployed.kept(pipeline, made)


def record_inputs(prepared: Prepared, streams: Sequence[Stream], folder: Path) -> dict[str, list[Path]]:
    """Write what every graph is fed, in the form of the export.

    Args:
        prepared: the network, in float32.
        streams: see :func:`run_stream`.
        folder: for the files; those of graphs behind others can be large.

    Returns:
        Graph -> one .npz of its inputs by name for every time that it ran.
    """
    files: dict[str, list[Path]] = {graph.name: [] for graph in prepared.graphs}
    for stream in streams:
        for run, image in run_stream(prepared, stream):
            own = files[run.graph.name]
            own.append(folder / f"{run.graph.name}.{len(own)}.npz")
            given = {name: image if name == IMAGE else tensor.numpy() for name, tensor in run.inputs.items()}
            np.savez(own[-1], **given)
    return files
