"""Segment sources one after the other and write what was found: overlay, index mask, JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from mobileseg.data.io import read_image
from mobileseg.errors import DataError, MobileSegError, RuntimeEngineError
from mobileseg.files import write_whole
from mobileseg.runtime.sources import Source, distinct_names
from mobileseg.runtime.video import VideoReader, VideoWriter
from mobileseg.structures import SemanticResult
from mobileseg.viz.draw import class_shares, legend, overlay, with_legend, write_index_mask

OUTPUTS = ("overlay", "labels", "json")
"""Kinds of results, and the names of the folders they are written to."""

_JPEG_QUALITY = 92


class Segments(Protocol):
    """What prediction needs of a segmenter; `Segmenter` has it, and the network's own."""

    name: str
    engine_name: str
    classes: tuple[str, ...]
    palette: np.ndarray

    def __call__(self, image: np.ndarray) -> SemanticResult: ...


@dataclass
class Summary:
    """What a prediction run did.

    Attributes:
        images: pictures segmented.
        frames: frames of videos and cameras segmented.
        errors: one message per source that could not be used.
        milliseconds: time spent per stage, summed.
    """

    images: int = 0
    frames: int = 0
    errors: list[str] = field(default_factory=list)
    milliseconds: dict[str, float] = field(default_factory=dict)

    def add(self, times: dict[str, float]) -> None:
        """Take in the stages of one picture."""
        for stage, value in times.items():
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + value


class PredictionWriter:
    """Segments sources and writes results below a folder; a source that fails does not stop the next.

    Args:
        segmenter: the network.
        folder: results go to ``overlay/``, ``labels/`` and ``json/`` in it.
        outputs: which of `OUTPUTS` to write.
        suffix: '.jpg' or '.png', format of overlays of pictures.
        alpha: share of the class colour in overlays.
        max_frames: stop a video or camera after so many frames.
        say: told each source that is done.
        warn: told each source that failed; standard error by default.
    """

    def __init__(
        self,
        segmenter: Segments,
        folder: str | os.PathLike[str],
        *,
        outputs: Collection[str] = OUTPUTS,
        suffix: str = ".jpg",
        alpha: float = 0.55,
        max_frames: int | None = None,
        say: Callable[[str], None] = print,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.segmenter = segmenter
        self.folder = Path(folder)
        self.outputs = set(outputs)
        self.suffix = suffix
        self.alpha = alpha
        self.max_frames = max_frames
        self.say = say
        self.warn = warn or _to_standard_error
        self.summary = Summary()

    def run(self, sources: Iterable[Source]) -> Summary:
        """Segment all sources.

        Raises:
            OSError: results cannot be written (a full disk, a read-only folder).
            DataError: an input that was named does not exist, or results cannot be written.
        """
        for source in distinct_names(sources):
            if source.kind == "image":
                self._image(source)
            else:
                self._video(source)
        return self.summary

    def _image(self, source: Source) -> None:
        try:
            start = time.perf_counter()
            image = read_image(source.where)
            decode = (time.perf_counter() - start) * 1000.0
            result = self.segmenter(image)
        except (DataError, RuntimeEngineError) as error:
            self._failed(error)
            return
        times = {"decode": decode, **result.times}
        shares = class_shares(result.labels, len(self.segmenter.classes))
        if "overlay" in self.outputs:
            picture = overlay(image, result.labels, self.segmenter.palette, alpha=self.alpha)
            strip = legend(image.shape[1], self.segmenter.classes, self.segmenter.palette, shares=shares)
            _write_picture(self._path("overlay", source.name, self.suffix), with_legend(picture, strip))
        if "labels" in self.outputs:
            write_index_mask(self._path("labels", source.name, ".png"), result.labels, self.segmenter.palette)
        if "json" in self.outputs:
            document = {"source": source.where, **self._facts(result.labels), "times_ms": _rounded(times)}
            write_whole(self._path("json", source.name, ".json"), json.dumps(document, indent=1) + "\n")
        self.summary.images += 1
        self.summary.add(times)
        self.say(f"{source.where}: {_most(shares, self.segmenter.classes)}")

    def _video(self, source: Source) -> None:
        where = int(source.where) if source.kind == "camera" else source.where
        try:
            reader = VideoReader(where)
        except DataError as error:
            self._failed(error)
            return
        before = self.summary.frames
        with reader:
            try:
                self._frames(source, reader)
            except RuntimeEngineError as error:
                self._failed(error)
                return
            except KeyboardInterrupt:
                if source.kind != "camera":
                    raise
                self.say("stopped by Ctrl-C")  # the only way to end a camera; what was recorded is complete
        self.say(f"{source.where if source.kind == 'video' else source.name}: {self.summary.frames - before} frames")

    def _frames(self, source: Source, reader: VideoReader) -> None:
        classes, colours = self.segmenter.classes, self.segmenter.palette
        strip = legend(reader.size[1], classes, colours)
        video = self._path("overlay", source.name, ".mp4") if "overlay" in self.outputs else None
        masks = self._path("labels", source.name, "") if "labels" in self.outputs else None
        lines = self._path("json", source.name, ".jsonl") if "json" in self.outputs else None
        if masks:
            masks.mkdir(exist_ok=True)
        with (
            VideoWriter(video or os.devnull, reader.fps) as writer,
            open(lines or os.devnull, "w", encoding="utf-8") as log,
        ):
            for index, (decode, frame) in enumerate(_timed(reader)):
                result = self.segmenter(frame)
                times = {"decode": decode, **result.times}
                if video:
                    writer.write(with_legend(overlay(frame, result.labels, colours, alpha=self.alpha), strip))
                if masks:
                    write_index_mask(masks / f"{index:06d}.png", result.labels, colours)
                if lines:
                    facts = {"frame": index, "seconds": round(index / reader.fps, 3), **self._facts(result.labels)}
                    log.write(json.dumps({**facts, "times_ms": _rounded(times)}) + "\n")
                self.summary.frames += 1
                self.summary.add(times)
                if index + 1 == self.max_frames:
                    break

    def _facts(self, labels: np.ndarray) -> dict[str, Any]:
        """What the JSON says of a picture beside its source."""
        classes = self.segmenter.classes
        pixels = np.bincount(labels.ravel(), minlength=256)
        return {
            "height": int(labels.shape[0]),
            "width": int(labels.shape[1]),
            "model": self.segmenter.name,
            "engine": self.segmenter.engine_name,
            "classes": [
                {"index": i, "name": name, "pixels": int(pixels[i]), "share": round(float(pixels[i]) / labels.size, 6)}
                for i, name in enumerate(classes)
                if pixels[i]
            ],
        }

    def _path(self, kind: str, name: str, suffix: str) -> Path:
        # Not with_suffix: a name such as 'frame.0001' has dots of its own.
        path = self.folder / kind / f"{name}{suffix}"
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


def _write_picture(path: Path, picture: np.ndarray) -> None:
    """JPEG or PNG by the suffix."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    _, encoded = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    write_whole(path, encoded.tobytes())


def _rounded(times: dict[str, float]) -> dict[str, float]:
    return {stage: round(value, 3) for stage, value in times.items()}


def _most(shares: np.ndarray, classes: tuple[str, ...], count: int = 3) -> str:
    """The largest classes of a picture in words."""
    largest = [index for index in np.argsort(-shares)[:count] if shares[index] > 0]
    return ", ".join(f"{classes[index]} {shares[index]:.0%}" for index in largest)
