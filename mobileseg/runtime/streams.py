"""Frames one after the other: graphs that hand tensors to each other, and what is kept from frame to frame."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.base import Engine
from mobileseg.runtime.task import StepPlan

if TYPE_CHECKING:
    from mobileseg.runtime.segmenter import Segmenter
    from mobileseg.runtime.task import Pipeline


@dataclass
class Coming:
    """Tensors that are computed in the background.

    Attributes:
        left: frames until they are taken.
        tensors: under the names by which later frames take them, or what will be them.
    """

    left: int
    tensors: Future[dict[str, np.ndarray]] | dict[str, np.ndarray]

    def wait(self) -> dict[str, np.ndarray]:
        """The tensors, as soon as they are there.

        Raises:
            RuntimeEngineError: an engine failed.
        """
        if isinstance(self.tensors, Future):
            self.tensors = self.tensors.result()
        return self.tensors


class TensorStream:
    """Runs pipelines of graphs and keeps the tensors that later frames take.

    Arrays are handed from graph to graph as they are; what an engine copies is its own affair.

    Args:
        engine: with its graphs loaded.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._manifest = engine.manifest
        self.kept: dict[str, np.ndarray] = {}
        self.coming: Coming | None = None
        self._worker: ThreadPoolExecutor | None = None

    def step(self, plan: StepPlan, image: np.ndarray) -> dict[str, np.ndarray]:
        """Run the graphs of one frame.

        Args:
            plan: names of pipelines in the manifest.
            image: tensor of the image, as the preprocessing makes it.

        Returns:
            The outputs of all graphs that ran, by the names of the manifest.

        Raises:
            RuntimeEngineError: there is no such pipeline, it takes a tensor that no earlier frame gave, or an engine
                failed.
        """
        if self.coming is not None:
            self.coming.left -= 1
            if self.coming.left <= 0:
                due, self.coming = self.coming, None  # should an engine have failed, the old goes on
                self.kept |= due.wait()
        known = {self._manifest.image.name: image, **self.kept}
        graphs = self._graphs(plan.pipeline)
        made = self._run(graphs, known)
        state = self._state(plan.pipeline, known, made)
        if state:
            self.kept |= state
            self.coming = None  # of an earlier frame
        if plan.ahead is not None:
            rest = [graph for graph in self._needed(plan.ahead) if graph not in graphs]
            known[self._manifest.image.name] = image.copy()  # its memory may be used again before the graphs have run
            self.coming = Coming(plan.delay, self._background().submit(self._ahead, plan.ahead, rest, known, made))
        return made

    def _ahead(
        self, pipeline: str, graphs: Sequence[str], known: dict[str, np.ndarray], made: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """What later frames take of a frame, of which some graphs have run."""
        return self._state(pipeline, known, made | self._run(graphs, known))

    def _needed(self, pipeline: str) -> list[str]:
        """Those graphs of a pipeline on which what it keeps depends, in their order."""
        wanted = set((self._manifest.state or {}).get(pipeline, {}).values())
        needed: list[str] = []
        for graph in reversed(self._graphs(pipeline)):
            if wanted & {spec.name for spec in self.engine.outputs(graph)}:
                needed.insert(0, graph)
                wanted |= {spec.name for spec in self.engine.inputs(graph)}
        return needed

    def _graphs(self, pipeline: str) -> tuple[str, ...]:
        graphs = self.engine.pipelines.get(pipeline)
        if graphs is None:
            raise RuntimeEngineError(
                f"artefact '{self._manifest.name}' has no pipeline '{pipeline}', it has "
                f"{', '.join(self.engine.pipelines)}"
            )
        return graphs

    def _run(self, graphs: Sequence[str], known: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run graphs on what is known; what they give is returned, and known from then on."""
        made: dict[str, np.ndarray] = {}
        for graph in graphs:
            wanted = [spec.name for spec in self.engine.inputs(graph)]
            missing = [name for name in wanted if name not in known]
            if missing:
                raise RuntimeEngineError(
                    f"the graph '{graph}' takes {', '.join(missing)} of an earlier frame, and there was none",
                    remedy="begin a stream with a frame of a pipeline that gives them",
                )
            outputs = self.engine.run(graph, {name: known[name] for name in wanted})
            known |= outputs
            made |= outputs
        return made

    def _state(
        self, pipeline: str, known: Mapping[str, np.ndarray], made: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """What later frames take of a frame."""
        state = (self._manifest.state or {}).get(pipeline, {})
        # The caller may use the memory of the image again; what graphs give is the stream's own.
        return {name: known[source] if source in made else known[source].copy() for name, source in state.items()}

    def _background(self) -> ThreadPoolExecutor:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1)
        return self._worker

    def reset(self) -> None:
        """Forget all frames."""
        self.kept.clear()
        self.coming = None


@dataclass(frozen=True)
class StreamState:
    """What a stream knows between two frames; pickling it, or sending it elsewhere, is the caller's affair.

    Attributes:
        artefact: identity of the artefact that it belongs to.
        size: (height, width) of the frames, None before the first.
        tensors: what graphs keep.
        memory: what the task keeps.
        coming: frames until other tensors take the place of these, and those tensors; None when none are on the way.
    """

    artefact: str
    size: tuple[int, int] | None
    tensors: Mapping[str, np.ndarray]
    memory: Mapping[str, Any]
    coming: tuple[int, Mapping[str, np.ndarray]] | None = None


class Stream:
    """Frames of one source, in their order; made by `Segmenter.stream`.

    Streams of one segmenter share its engine and nothing else, so several can be fed in turn.
    """

    def __init__(
        self, segmenter: Segmenter, state: StreamState | None = None, pipeline: Pipeline | None = None
    ) -> None:
        self._segmenter = segmenter
        self._pipeline = pipeline or segmenter.pipeline
        self._tensors = TensorStream(segmenter.engine)
        self._memory: dict[str, Any] = {}
        self._size: tuple[int, int] | None = None
        self.pipeline: str | None = None
        """Name of the pipeline that the latest frame ran, None before the first."""
        if state is not None:
            self._take(state)

    def step(self, image: Any) -> Any:
        """Segment the next frame.

        Args:
            image: uint8 [H, W, 3] in RGB, the path of a file, or a `PIL.Image` (EXIF rotation is applied to both).

        Returns:
            The result of the segmenter's task in the pixels of the frame, with the milliseconds of each stage
            ('decode' for a path, 'preprocess', 'inference', 'postprocess').

        Raises:
            DataError: the image cannot be read or used.
            RuntimeEngineError: the graph does not take this size, fails, or keeps tensors of frames of another size.
        """
        return self.finish(*self._segmenter.prepare(image, reuse=True))

    def finish(self, image: np.ndarray, fed: np.ndarray, times: Mapping[str, float]) -> Any:
        """As :meth:`step`, for what `Segmenter.prepare` made of a frame."""
        self._check_size((int(image.shape[0]), int(image.shape[1])))
        start = time.perf_counter()
        plan = self._pipeline.next(self._memory, image)
        self.pipeline = plan.pipeline
        outputs = self._tensors.step(plan, fed)
        inferred = time.perf_counter()
        result = self._pipeline.finish(outputs, self._segmenter.geometry(image), self._memory)
        stages = {"inference": (inferred - start) * 1e3, "postprocess": (time.perf_counter() - inferred) * 1e3}
        return replace(result, times={**times, **stages})

    def reset(self) -> None:
        """Forget all frames: the next one begins a stream."""
        self._tensors.reset()
        self._memory.clear()
        self._size = None
        self.pipeline = None

    def state(self) -> StreamState:
        """What is known now, to go on from later (`Segmenter.stream`)."""
        tensors, coming = self._tensors, self._tensors.coming
        return StreamState(
            self._segmenter.manifest.identity(),
            self._size,
            dict(tensors.kept),
            dict(self._memory),
            None if coming is None else (coming.left, coming.wait()),
        )

    def _take(self, state: StreamState) -> None:
        if state.artefact != self._segmenter.manifest.identity():
            raise RuntimeEngineError(
                f"the state is that of a stream of another artefact than '{self._segmenter.name}'",
                remedy="go on with the artefact that it was taken from, or begin a new stream",
            )
        self._size = state.size
        self._tensors.kept = dict(state.tensors)
        if state.coming is not None:
            self._tensors.coming = Coming(state.coming[0], dict(state.coming[1]))
        self._memory = dict(state.memory)

    def _check_size(self, size: tuple[int, int]) -> None:
        """Kept tensors belong to frames of one size; a network that keeps none takes any."""
        if self._size not in (None, size) and (self._tensors.kept or self._memory):
            seen, first = ("x".join(map(str, one)) for one in (size, self._size or ()))
            raise RuntimeEngineError(
                f"a frame is {seen} (height x width), those before it were {first}",
                remedy="call reset() before frames of another size, or bring all of them to one size",
            )
        self._size = size
