"""CVAT for video 1.1 (https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/): an XML file of tracks.

The file is parsed as a stream. A document type is refused as soon as it begins, so that no entity is ever declared.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

import numpy as np

from mobileseg.data.formats.exported_tracks import Canvas, ExportedTrack, ExportedVideo, Rle, frame_number
from mobileseg.errors import DataError
from mobileseg.limits import MAX_TEXT_BYTES, read_regular, size_fault

_EXPORT = "export the task as 'CVAT for video 1.1'"
_DEPTH = 32
_SHAPES = ("polygon", "box", "mask", "polyline", "points", "ellipse", "cuboid", "skeleton")
_META_TEXT = 64  # characters of a number in the head of the file


def read_cvat(path: Path, *, boxes: bool = False) -> ExportedVideo:
    """The tracks of a CVAT export; polygons and masks, and boxes as rectangles if ``boxes``.

    CVAT writes a shape for every frame in which a track can be seen, interpolated ones included; a frame without one,
    or with ``outside``, does not show the object. Lines, points and other shapes without an area are left out.

    Raises:
        DataError: no such file, or something in it that cannot be used.
    """
    try:
        data = read_regular(path, MAX_TEXT_BYTES)
    except OSError as error:
        raise DataError(f"the export {path} cannot be read: {error.strerror}", remedy=_EXPORT) from error
    reader = _Reader(path, boxes=boxes)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise DataError(f"{path} is no XML: {error}", remedy=_EXPORT) from error
    return reader.finished()


class _Reader:
    """Handlers of the parser; keeps the path of open elements and the track that is being read."""

    def __init__(self, path: Path, *, boxes: bool) -> None:
        self.path = path
        self.boxes = boxes
        self.video = ExportedVideo()
        self.open: list[str] = []
        self.characters = ""
        self.width = self.height = 0
        self.canvas: Canvas | None = None
        self.track: ExportedTrack | None = None

    def refuse_doctype(self, *_: object) -> NoReturn:
        raise DataError(f"{self.path} declares a document type, which no export of CVAT does", remedy=_EXPORT)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.open) >= _DEPTH:
            raise DataError(f"{self.path} is nested too deeply to be an export of CVAT", remedy=_EXPORT)
        if not self.open and name != "annotations":
            raise DataError(f"{self.path} begins with <{name[:40]}>, expected <annotations>", remedy=_EXPORT)
        self.open.append(name)
        self.characters = ""
        if name == "image" and len(self.open) == 2:
            raise DataError(f"{self.path} is an export of CVAT for images", remedy=_EXPORT)
        if name == "track":
            label = attributes.get("label", "")
            if not label:
                raise DataError(f"{self.path}: track {attributes.get('id')} has no label", remedy=_EXPORT)
            self.track = ExportedTrack(label)
        elif self.track is not None and name in _SHAPES:
            self._shape(name, attributes)

    def end(self, name: str) -> None:
        self.open.pop()
        text = self.characters.strip()
        if self.open[-1:] == ["original_size"] and name in ("width", "height"):
            setattr(self, name, frame_number(text, f"{self.path}: {name} of the frames"))
        elif name == "size" and self.open[-1:] == ["task"] and text:
            self.video.length = frame_number(text, f"{self.path}: size of the task")
        elif name == "track" and self.track is not None:
            if self.track.masks:
                self.video.tracks.append(self.track)
            self.track = None

    def text(self, characters: str) -> None:
        if len(self.characters) < _META_TEXT:
            self.characters += characters[:_META_TEXT]

    def finished(self) -> ExportedVideo:
        self.video.size = None if self.canvas is None else self.canvas.size
        return self.video

    def _shape(self, name: str, attributes: dict[str, str]) -> None:
        assert self.track is not None
        where = f"track '{self.track.label[:40]}'"
        frame = frame_number(attributes.get("frame"), f"{self.path}: {where}")
        if attributes.get("outside") == "1" or name not in ("polygon", "box", "mask"):
            return
        if name == "box" and not self.boxes:
            self.video.boxes += 1
            return
        where = f"{where}, frame {frame}"
        canvas = self._canvas()
        mask: Rle
        if name == "polygon":
            points = attributes.get("points", "").replace(";", ",").split(",")
            mask = canvas.polygon([self._number(value, where) for value in points], where)
        elif name == "box":
            x1, y1, x2, y2 = (self._number(attributes.get(key), where) for key in ("xtl", "ytl", "xbr", "ybr"))
            mask = canvas.box(x1, y1, x2, y2, where)
        else:
            mask = self._mask(canvas, attributes, where)
        before = self.track.masks.get(frame)
        if before is not None:
            raise DataError(f"{self.path}: {where} is there twice", remedy="give every object a track of its own")
        self.track.masks[frame] = mask

    def _mask(self, canvas: Canvas, attributes: dict[str, str], where: str) -> Rle:
        """CVAT's own run lengths: along the rows of the rectangle, background first."""
        left, top, width, height = (
            frame_number(attributes.get(key), f"{self.path}: {where}, {key}")
            for key in ("left", "top", "width", "height")
        )
        runs = [
            frame_number(value.strip(), f"{self.path}: {where}, rle") for value in attributes.get("rle", "").split(",")
        ]
        fits = top + height <= canvas.size[0] and left + width <= canvas.size[1]
        if not fits or sum(runs) != width * height:
            raise DataError(
                f"{self.path}: {where} has a mask of {sum(runs)} pixels for {width}x{height} at ({left}, {top}), in a "
                f"frame of {canvas.size[1]}x{canvas.size[0]}",
                remedy=_EXPORT,
            )
        values = np.zeros(len(runs), np.uint8)
        values[1::2] = 1
        return canvas.bitmap(top, left, np.repeat(values, runs).reshape(height, width))

    def _canvas(self) -> Canvas:
        if self.canvas is None:
            fault = size_fault(self.height, self.width)
            if fault:
                raise DataError(f"{self.path} does not say how large the frames are ({fault})", remedy=_EXPORT)
            self.canvas = Canvas((self.height, self.width), self.path)
        return self.canvas

    def _number(self, text: str | None, where: str) -> float:
        try:
            return float(text or "")
        except ValueError as error:
            seen = repr((text or "")[:40])
            raise DataError(f"{self.path}: {where} has {seen} in place of a number", remedy=_EXPORT) from error
