"""Images of a report: as they are, as annotated, as predicted."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import cv2
import numpy as np

from mobileseg.pixels import resize
from mobileseg.tasks import stage
from mobileseg.viz.report_parts import swatch
from mobileseg.viz.task import Model, Visualization

_WIDTH = 640  # pixels of an example in the file


@dataclass(frozen=True)
class Example:
    """An image of the report.

    Attributes:
        name: caption.
        image: uint8 [H, W, 3], RGB.
        prediction: result of the model.
        truth: the annotation as a result (``truth`` of the task's module ``visualize``); None when there is none.
    """

    name: str
    image: np.ndarray
    prediction: Any
    truth: Any = None


def example_grid(examples: Sequence[Example], model: Model) -> str:
    """Image, truth and prediction side by side, and what the colours mean."""
    if not examples:
        return ""
    module: Visualization = stage(model, "visualize")
    show = module.visualizer(model)
    rows, present = [], np.zeros(256, bool)
    for example in examples:
        cells = [(example.name, example.image)]
        if example.truth is not None:
            present[show.present(example.truth)] = True
            cells.append(("truth", show.example(example.image, example.truth, names=False)))
        present[show.present(example.prediction)] = True
        cells.append(("prediction", show.example(example.image, example.prediction)))
        figures = "".join(
            f'<figure><img alt="{escape(caption)}" src="{_data_uri(_small(image))}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
            for caption, image in cells
        )
        rows.append(f'<div class="example">{figures}</div>')
    keys = "".join(
        f"<span>{swatch(model.palette, index)}{escape(name)}</span>"
        for index, name in enumerate(model.classes)
        if present[index]
    )
    note = f'<p class="note">{escape(show.note)}</p>' if show.note else ""
    return f'<div class="examples">{"".join(rows)}</div><div class="keys">{keys}</div>{note}'


def _small(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    if width <= _WIDTH:
        return image
    return resize(image, (max(1, round(height * _WIDTH / width)), _WIDTH), cv2.INTER_AREA)


def _data_uri(image: np.ndarray) -> str:
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 86])
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"
