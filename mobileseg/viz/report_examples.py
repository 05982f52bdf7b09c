"""Pictures of a report: as they are, as annotated, as predicted."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np

from mobileseg.data.instances import Instances
from mobileseg.resize import resize
from mobileseg.structures import InstanceMasks, InstanceResult
from mobileseg.viz.draw import overlay
from mobileseg.viz.draw_instances import instance_overlay
from mobileseg.viz.report_parts import swatch

SHOWN = 0.3
"""Objects that were found with a lower score are not drawn."""

_WIDTH = 640  # pixels of an example picture in the file


@dataclass(frozen=True)
class Example:
    """A picture of the report.

    Attributes:
        name: caption.
        image: uint8 [H, W, 3], RGB.
        prediction: labels uint8 [H, W], or the objects that were found.
        truth: labels uint8 [H, W] or annotated objects; None when there are none to compare with.
    """

    name: str
    image: np.ndarray
    prediction: np.ndarray | InstanceResult
    truth: np.ndarray | InstanceResult | Instances | None = None


def example_grid(examples: Sequence[Example], classes: Sequence[str], colours: np.ndarray) -> str:
    """Picture, truth and prediction side by side, and what the colours mean."""
    if not examples:
        return ""
    rows, present, found = [], np.zeros(max(256, len(classes)), bool), False
    for example in examples:
        cells = [(example.name, _small(example.image))]
        for caption, what in (("truth", example.truth), ("prediction", example.prediction)):
            if isinstance(what, Instances):
                what = annotated(what)
            if isinstance(what, InstanceResult):
                found = True
                what = what.above(SHOWN)
                present[np.unique(what.classes)] = True
                cells.append((caption, _objects(example.image, what, classes, colours, names=caption != "truth")))
            elif what is not None:
                present[np.unique(what)] = True
                cells.append((caption, _labels(cells[0][1], what, colours)))
        figures = "".join(
            f'<figure><img alt="{escape(caption)}" src="{_data_uri(picture)}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
            for caption, picture in cells
        )
        rows.append(f'<div class="example">{figures}</div>')
    keys = "".join(
        f"<span>{swatch(colours, index)}{escape(name)}</span>" for index, name in enumerate(classes) if present[index]
    )
    note = f'<p class="note">Objects with a score of at least {SHOWN:g}.</p>' if found else ""
    return f'<div class="examples">{"".join(rows)}</div><div class="keys">{keys}</div>{note}'


def annotated(objects: Instances) -> InstanceResult:
    """Annotated objects as if they had been found, all with score 1; crowd regions are left out."""
    real = objects.select(~objects.crowd)
    regions = [(region.top, region.left, region.bitmap.astype(bool)) for region in real.regions]
    return InstanceResult(
        boxes=real.boxes,
        scores=np.ones(len(real), np.float32),
        classes=real.classes,
        masks=InstanceMasks(real.size, regions),
    )


def _objects(
    image: np.ndarray, found: InstanceResult, classes: Sequence[str], colours: np.ndarray, *, names: bool
) -> np.ndarray:
    return _small(instance_overlay(image, found, classes, colours, names=names))


def _labels(image: np.ndarray, labels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    shown = resize(labels, image.shape[:2], cv2.INTER_NEAREST)
    return overlay(image, shown, colours, alpha=0.65)


def _small(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    if width <= _WIDTH:
        return image
    return resize(image, (max(1, round(height * _WIDTH / width)), _WIDTH), cv2.INTER_AREA)


def _data_uri(picture: np.ndarray) -> str:
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 86])
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"
