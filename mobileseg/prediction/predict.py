"""Segment sources one after the other and write what was found: overlay, index mask, JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np

from mobileseg.data.pixel_format import PixelFormat
from mobileseg.errors import ConfigError, DataError, MobileSegError, RuntimeEngineError
from mobileseg.files import growing_text, write_whole
from mobileseg.folders import held
from mobileseg.locks import remove_partial_files
from mobileseg.prediction.sources import Source, distinct_names
from mobileseg.runtime.folder_reader import FolderReader
from mobileseg.runtime.live import LiveFrames, Policy
from mobileseg.runtime.video import DEFAULT_FPS, FrameReader, VideoReader, VideoWriter, Window
from mobileseg.tasks import stage
from mobileseg.tracking.options import TrackingOptions
from mobileseg.viz.hud import FrameMeter, draw_lines
from mobileseg.viz.task import Model, ObjectVisualization, ResultsFile, TrackOutputs, Visualization

OUTPUTS = ("overlay", "labels", "json")
"""Kinds of results, and the names of the folders they are written to."""

MARKER = ".predict"
"""File in a folder of results that says who wrote it."""

_JPEG_QUALITY = 92


class Segments(Model, Protocol):
    """What prediction needs of a segmenter; `Segmenter` has it, and the network's own."""

    @property
    def engine_name(self) -> str: ...

    @property
    def pixels(self) -> PixelFormat: ...

    def __call__(self, image: np.ndarray, /) -> Any: ...

    def stream(self, *, track: TrackingOptions | Literal[False] | None = None, smooth: float | None = None) -> Any: ...


@dataclass
class PredictionSummary:
    """What a prediction run did.

    Attributes:
        images: images segmented.
        frames: frames of videos and cameras segmented.
        errors: one message per source that could not be used.
        milliseconds: time spent per stage, summed.
    """

    images: int = 0
    frames: int = 0
    errors: list[str] = field(default_factory=list)
    milliseconds: dict[str, float] = field(default_factory=dict)

    def add(self, times: dict[str, float]) -> None:
        """Take in the stages of one image."""
        for name, value in times.items():
            self.milliseconds[name] = self.milliseconds.get(name, 0.0) + value


class PredictionWriter:
    """Segments sources and writes results below a folder; a source that fails does not stop the next.

    Args:
        segmenter: the network.
        folder: results go to ``overlay/``, ``labels/`` and ``json/`` in it.
        outputs: which of `OUTPUTS` to write.
        suffix: '.jpg' or '.png', format of overlays of images.
        opacity: of the colours in overlays; None takes the task's own.
        min_score: of instance segmentation models: leave out instances below it; None takes the usual one.
        max_frames: stop a video or camera after so many frames.
        times: draw frame rate and stage times on the frames of videos and cameras.
        folders: other names of the folders, by kind of result.
        tracking: objects of videos and cameras have ids that stay, and tracks begin from ``min_score`` on where it is
            given; False for no tracking, None for what the model does by itself.
        smooth: of semantic segmentation models whose graph gives scores: weight of earlier frames of videos, 0..1.
        track_files: kinds of files about the tracks: 'csv', 'mots', 'ytvis'; None writes the first where there are
            tracks.
        frame_rate: frames per second of folders that are videos; images do not say it.
        camera: what becomes of the frames of a camera that come while one is worked on: 'drop' or 'queue'
            (:class:`~mobileseg.runtime.live.LiveFrames`).
        window: show the frames of videos and cameras in it, with these times; the user ends a video there.
        say: told each source that is done.
        warn: told each source that failed; standard error by default.

    Raises:
        ConfigError: ``min_score`` for a model of a task without scores, tracking for one that finds no objects, or
            files about tracks without tracking.
    """

    def __init__(
        self,
        segmenter: Segments,
        folder: str | os.PathLike[str],
        *,
        outputs: Collection[str] = OUTPUTS,
        suffix: str = ".jpg",
        opacity: float | None = None,
        min_score: float | None = None,
        max_frames: int | None = None,
        times: bool = False,
        window: Window | None = None,
        folders: Mapping[str, str] | None = None,
        tracking: TrackingOptions | Literal[False] | None = None,
        track_files: Collection[str] | None = None,
        frame_rate: float = DEFAULT_FPS,
        camera: Policy = "drop",
        smooth: float | None = None,
        say: Callable[[str], None] = print,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.segmenter = segmenter
        self.folder = Path(folder)
        self.outputs = set(outputs)
        self.suffix = suffix
        self._task: Visualization = stage(segmenter, "visualize")
        self._show = self._task.visualizer(segmenter, opacity=opacity, min_score=min_score)
        self._results: ResultsFile | None = None
        if tracking is None and getattr(self._task, "TRACKS_BY_DEFAULT", False):
            tracking = TrackingOptions()
        self._tracking = tracking.beginning_at(min_score) if tracking and min_score is not None else tracking
        if track_files and not tracking:
            raise ConfigError("there are no tracks to write files about", remedy="add --track")
        self._track_files = (("csv",) if tracking else ()) if track_files is None else track_files
        self._camera: Policy = camera
        self._frame_rate = frame_rate
        self._smooth = smooth
        self._tracks: TrackOutputs | None = None
        if tracking and not hasattr(self._task, "track_files"):
            raise ConfigError(
                f"{segmenter.name} finds no objects that could be tracked",
                remedy="leave tracking out, or use an instance segmentation model",
            )
        self.max_frames = max_frames
        self._draws_times = times or window is not None
        self._window = window
        self._folders = folders or {}
        self.say = say
        self.warn = warn or _to_standard_error
        self.summary = PredictionSummary()

    def run(self, sources: Iterable[Source]) -> PredictionSummary:
        """Segment all sources.

        Raises:
            OSError: results cannot be written (a full disk, a read-only folder).
            ConfigError: another process writes there, or the folder holds files of somebody else.
            DataError: an input that was named does not exist, or results cannot be written.
        """
        named = distinct_names(sources)
        first = list(islice(named, 1))  # what is wrong with it is said before anything is written
        with ExitStack() as open_files:
            open_files.enter_context(held(self.folder, ConfigError))
            self._claim()
            results = self._task.results_file(self.folder) if "json" in self.outputs else None
            self._results = None if results is None else open_files.enter_context(results)
            if self._track_files:
                task: ObjectVisualization = self._task  # type: ignore[assignment]  # it has `track_files`
                made = task.track_files(self.folder, self._track_files, self.segmenter)
                self._tracks = open_files.enter_context(made)
            for source in chain(first, named):
                if source.kind == "image":
                    self._image(source)
                else:
                    self._video(source)
        return self.summary

    def _claim(self) -> None:
        """Mark the folder as one of results, or tidy up in one that is marked.

        A folder that holds labels or JSON of somebody else is left alone.
        """
        marker = self.folder / MARKER
        kinds = [*sorted(self.outputs), *(["tracks"] if self._track_files else [])]
        names = [self._folders.get(kind, kind) for kind in kinds]
        if marker.exists():
            remove_partial_files(self.folder)
            for name in names:
                remove_partial_files(self.folder / name, below=True)
            return
        taken = [name for name in names if (self.folder / name).is_dir() and any((self.folder / name).iterdir())]
        if taken:
            raise ConfigError(
                f"{self.folder / taken[0]} holds files that were not written by predict, and could be overwritten",
                remedy="name another folder with --output",
            )
        marker.touch()

    def _image(self, source: Source) -> None:
        try:
            start = time.perf_counter()
            image = self.segmenter.pixels.read(source.where)
            decode = (time.perf_counter() - start) * 1000.0
            result = self.segmenter(image)
        except (DataError, RuntimeEngineError) as error:
            self._failed(error)
            return
        times = {"decode": decode, **result.times}
        if "overlay" in self.outputs:
            _write_image(
                self._path("overlay", source.name, self.suffix),
                self._show.image(self.segmenter.pixels.shown(image), result),
            )
        if "labels" in self.outputs:
            self._show.write_mask(self._path("labels", source.name, ".png"), result)
        if "json" in self.outputs:
            document = {"source": source.where, **self._facts(result, source.name), "times_ms": _rounded(times)}
            write_whole(self._path("json", source.name, ".json"), json.dumps(document, indent=1) + "\n")
            if self._results is not None:
                self._results.add(document)
        self.summary.images += 1
        self.summary.add(times)
        self.say(f"{source.where}: {self._show.summary(result)}")

    def _video(self, source: Source) -> None:
        try:
            reader = self._reader(source)
        except DataError as error:
            self._failed(error)
            return
        before = self.summary.frames
        with reader, self._live(source, reader) as frames:
            try:
                self._frames(source, reader, frames)
            except (DataError, RuntimeEngineError) as error:
                self._failed(error)
                return
            except KeyboardInterrupt:
                if source.kind != "camera":
                    raise
                self.say("stopped by Ctrl-C")  # the only way to end a camera; what was recorded is complete
        where = source.name if source.kind == "camera" else source.where
        self.say(f"{where}: {self.summary.frames - before} frames")

    def _reader(self, source: Source) -> FrameReader:
        if source.kind == "frames":
            return FolderReader(Path(source.where), self._frame_rate, self.segmenter.pixels.read)
        return VideoReader(int(source.where) if source.kind == "camera" else source.where)

    def _live(self, source: Source, reader: FrameReader) -> AbstractContextManager[Iterable[np.ndarray]]:
        """The frames of a source, those of a camera read beside the work on them."""
        return LiveFrames(reader, self._camera) if source.kind == "camera" else nullcontext(reader)

    def _frames(self, source: Source, reader: FrameReader, frames: Iterable[np.ndarray]) -> None:
        """Segment a video.

        Raises:
            DataError: the video ends early (what was found until there is kept), a frame cannot be read, or results
                cannot be written.
            RuntimeEngineError: the model fails.
        """
        video = self._path("overlay", source.name, ".mp4") if "overlay" in self.outputs else None
        masks = self._path("labels", source.name, "") if "labels" in self.outputs else None
        lines = self._path("json", source.name, ".jsonl") if "json" in self.outputs else None
        if masks:
            masks.mkdir(exist_ok=True)
        meter, drawing = FrameMeter(), 0.0
        step = self.segmenter.stream(track=self._tracking, smooth=self._smooth).step
        with (
            self._tracks.video(source.name, reader.fps) if self._tracks else nullcontext() as tracks,
            VideoWriter(video or os.devnull, reader.fps) as writer,
            growing_text(lines) as log,
        ):
            for index, (decode, frame) in enumerate(_timed(frames)):
                result = step(frame)
                times = {"decode": decode, **result.times}
                watched = True
                if video or self._window:
                    meter.add({**times, "draw": drawing} if index else times)
                    start = time.perf_counter()
                    shown = self._show.frame(self.segmenter.pixels.shown(frame), result)
                    if self._draws_times:
                        shown = draw_lines(shown, meter.lines())
                    drawing = (time.perf_counter() - start) * 1000.0  # known, and shown, with the next frame
                    if video:
                        writer.write(shown)
                    watched = self._window is None or self._window.show(shown)
                if tracks:
                    tracks.add(result)
                if masks:
                    self._show.write_mask(masks / f"{index:06d}.png", result)
                if log:
                    facts = {"frame": index, "seconds": round(reader.seconds, 3), **self._facts(result, index)}
                    log.write(json.dumps({**facts, "times_ms": _rounded(times)}) + "\n")
                self.summary.frames += 1
                self.summary.add(times)
                if index + 1 == self.max_frames or not watched:
                    return
        reader.check_complete()

    def _facts(self, result: Any, name: str | int) -> dict[str, Any]:
        """What the JSON says of an image or frame beside its source."""
        found = self._show.facts(result, name)
        about = {"model": self.segmenter.name, "engine": self.segmenter.engine_name}
        return {"height": found.pop("height"), "width": found.pop("width"), **about, **found}

    def _path(self, kind: str, name: str, suffix: str) -> Path:
        # Not with_suffix: a name such as 'frame.0001' has dots of its own.
        path = self.folder / self._folders.get(kind, kind) / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _failed(self, error: MobileSegError) -> None:
        self.summary.errors.append(str(error))
        self.warn(f"error: {error}")


def _timed(frames: Iterable[np.ndarray]) -> Iterator[tuple[float, np.ndarray]]:
    """Frames, each with the milliseconds that it took to get it."""
    start = time.perf_counter()
    for frame in frames:
        yield (time.perf_counter() - start) * 1000.0, frame
        start = time.perf_counter()


def _to_standard_error(text: str) -> None:
    print(text, file=sys.stderr)


def _write_image(path: Path, image: np.ndarray) -> None:
    """JPEG or PNG by the suffix."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    _, encoded = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    write_whole(path, encoded.tobytes())


def _rounded(times: dict[str, float]) -> dict[str, float]:
    return {stage: round(value, 3) for stage, value in times.items()}
