"""What the runtime asks of a task: its module ``runtime`` gives what `RuntimeStage` lists, and imports no Paddle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from mobileseg.runtime.engines.base import Engine
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.preprocess import Geometry


class StepPlan(NamedTuple):
    """What a frame runs.

    Attributes:
        pipeline: of graphs, by its name in the manifest.
        ahead: another pipeline, whose tensors of this frame are what later frames take. Those of its graphs that the
            frame does not run anyway are run in the background.
        delay: frames from this one to the first that takes them; at least 1 with ``ahead``.
    """

    pipeline: str
    ahead: str | None = None
    delay: int = 0


class Pipeline(Protocol):
    """The way of one task from the frames of a stream to results."""

    manifest: Manifest
    """That of the folder, with the options of the caller in it."""

    def next(self, memory: dict[str, Any], image: np.ndarray) -> StepPlan:
        """What the next frame runs.

        Args:
            image: the frame, uint8 [H, W, 3] RGB.
            memory: what the task keeps from frame to frame, empty at the start of a stream. The tensors that graphs
                keep are not in it, they are the stream's.
        """

    def finish(self, tensors: Mapping[str, np.ndarray], place: Geometry, memory: dict[str, Any]) -> Any:
        """The result of a frame, without times.

        Args:
            tensors: outputs of the graphs that ran, by the names of the manifest.
            place: where the image lies in the input.
            memory: as above.
        """


class StreamingPipeline(Pipeline, Protocol):
    """A pipeline whose streams have options of their own; one without this method has none."""

    def for_stream(self, options: Mapping[str, Any]) -> Pipeline:
        """The pipeline of one stream.

        Args:
            options: what the caller asks of the stream: those that are not None. ``track`` is False, True or what
                `TrackingOptions.of` takes: whether objects have ids that stay; ``smooth`` the weight of earlier frames.

        Raises:
            RuntimeEngineError: the task has no such option.
            ConfigError: a value that cannot be used.
        """


class RuntimeStage(Protocol):
    """The module ``runtime`` of a task."""

    def problems(self, manifest: Manifest) -> list[str]:
        """What is wrong with the outputs and the settings of a manifest; empty when they make results."""

    def pipeline(
        self, folder: str | os.PathLike[str], manifest: Manifest, engine: Engine, options: Mapping[str, Any]
    ) -> Pipeline:
        """The pipeline of an artefact.

        Args:
            folder: artefact.
            manifest: its manifest.
            engine: knows what its graphs return (`Engine.results`).
            options: what the caller asks of the task: those that are not None.

        Raises:
            RuntimeEngineError: the folder's parts do not fit each other, or the task has no such option.
        """
