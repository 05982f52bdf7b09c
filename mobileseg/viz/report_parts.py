"""The sections of a report as HTML; every value that comes from outside is escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from html import escape
from typing import Any

import cv2
import numpy as np

from mobileseg.viz.charts import Series, line_chart
from mobileseg.viz.draw import overlay

STAGES = ("decode", "preprocess", "inference", "postprocess", "draw")
"""Stages of a benchmark row, in the order in which a picture passes them."""

_WIDTH = 640  # pixels of an example picture in the file


@dataclass(frozen=True)
class Example:
    """A picture of the report.

    Attributes:
        name: caption.
        image: uint8 [H, W, 3], RGB.
        prediction: uint8 [H, W].
        truth: uint8 [H, W], or None.
    """

    name: str
    image: np.ndarray
    prediction: np.ndarray
    truth: np.ndarray | None = None


def as_mapping(row: Any) -> dict[str, Any]:
    """A dataclass or a mapping as a dict."""
    return asdict(row) if is_dataclass(row) and not isinstance(row, type) else dict(row)


def tiles(
    scores: Mapping[str, Any],
    history: Mapping[str, Sequence[Mapping[str, Any]]],
    verified: Sequence[Mapping[str, Any]],
    benchmark: Sequence[Mapping[str, Any]],
) -> str:
    """The numbers one looks for first."""
    found: list[tuple[str, str]] = []
    for key, label in (("miou", "mean IoU"), ("accuracy", "pixel accuracy"), ("boundary_iou", "boundary IoU")):
        if scores.get(key) is not None:
            found.append((f"{scores[key]:.3f}", label))
    if history["train"]:
        found.append((f"{history['train'][-1]['iter']:,}", "iterations"))
    ran = [row for row in verified if row.get("status") != "converted-not-run"]
    if ran:
        agreed = sum(row.get("status") == "ok" for row in ran)
        found.append((f"{agreed}/{len(ran)}", "graphs agree"))
    fastest = min(benchmark, key=lambda row: row["total"]["median_ms"], default=None)
    if fastest is not None:
        threads = fastest["threads"]
        plural = "s" if threads != 1 else ""
        found.append(
            (f"{fastest['total']['median_ms']:.1f} ms", f"per picture, {fastest['engine']}, {threads} thread{plural}")
        )
    cards = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(label)}</span></div>' for value, label in found
    )
    return f'<div class="tiles">{cards}</div>' if cards else ""


def curves(history: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Loss, validation mIoU and learning rate over iterations."""
    train, evals = history["train"], history["eval"]
    x = [event["iter"] for event in train]
    charts = [
        ("Loss", line_chart([Series("loss", x, [event.get("loss") for event in train])], label="loss", log=True)),
        (
            "Validation mIoU",
            line_chart(
                [Series("mIoU", [event["iter"] for event in evals], [event.get("miou") for event in evals], dots=True)],
                label="validation mean IoU by iteration",
            ),
        ),
        ("Learning rate", line_chart([Series("rate", x, [event.get("lr") for event in train])], label="learning rate")),
    ]
    cells = "".join(f"<div><h3>{escape(name)}</h3>{svg}</div>" for name, svg in charts if svg)
    if not cells:
        return ""
    rates = [event["images_per_s"] for event in train if event.get("images_per_s")]
    waits = [event["data_wait"] for event in train if event.get("data_wait") is not None]
    note = ""
    if rates:
        note = f"Throughput {np.median(rates):.1f} images/s (median of {len(rates)} log lines)"
        note += f", {np.mean(waits):.1%} of the time waiting for data." if waits else "."
        note = f'<p class="note">{escape(note)}</p>'
    return f'<div class="charts">{cells}</div>{note}'


def class_table(scores: Mapping[str, Any], classes: Sequence[str], colours: np.ndarray) -> str:
    """IoU of every class as a bar; absent classes are said to be absent."""
    values = scores.get("class_iou")
    if not values:
        return ""
    shares = _shares(scores.get("class_pixels"))
    rows = []
    for index, value in enumerate(values):
        name = classes[index] if index < len(classes) else f"class {index}"
        cell = "absent" if value is None else f"{value:.3f}"
        share = f"{shares[index]:.1%}" if shares else ""
        rows.append(
            f"<tr><td>{_swatch(colours, index)}{escape(name)}</td>"
            f'<td class="w">{_bar([(value or 0.0, "fill")])}</td><td class="n">{cell}</td>'
            f'<td class="n hide">{share}</td></tr>'
        )
    head = '<th>class</th><th></th><th class="n">IoU</th><th class="n hide">share of pixels</th>'
    means = [
        f"{label} {scores[key]:.3f}"
        for key, label in (("miou", "mIoU"), ("dice", "Dice"), ("mean_accuracy", "mean recall"), ("kappa", "kappa"))
        if scores.get(key) is not None
    ]
    return _table(head, rows) + f'<p class="note">{escape(", ".join(means))}. Absent classes count in no mean.</p>'


def example_grid(examples: Sequence[Example], classes: Sequence[str], colours: np.ndarray) -> str:
    """Picture, truth and prediction side by side, and what the colours mean."""
    if not examples:
        return ""
    rows, present = [], np.zeros(256, bool)
    for example in examples:
        image, cells = _small(example.image), [(example.name, _small(example.image))]
        for caption, labels in (("truth", example.truth), ("prediction", example.prediction)):
            if labels is not None:
                present[np.unique(labels)] = True
                shown = cv2.resize(labels, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
                cells.append((caption, overlay(image, shown, colours, alpha=0.65)))
        figures = "".join(
            f'<figure><img alt="{escape(caption)}" src="{_data_uri(picture)}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
            for caption, picture in cells
        )
        rows.append(f'<div class="example">{figures}</div>')
    keys = "".join(
        f"<span>{_swatch(colours, index)}{escape(name)}</span>" for index, name in enumerate(classes) if present[index]
    )
    return f'<div class="examples">{"".join(rows)}</div><div class="keys">{keys}</div>'


def verification_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every exported graph against the network it came from."""
    lines = []
    for row in rows:
        status = str(row.get("status", ""))
        tone = {"ok": "ok", "failed": "failed"}.get(status, "")
        cells = [
            f"<td>{escape(str(row.get('target') or row.get('engine') or ''))}</td>",
            f'<td><span class="{tone}">{escape(status.replace("-", ", ", 1).replace("-", " "))}</span></td>',
            _cell(row.get("max_diff"), "{:.1e}"),
            _cell(row.get("labels_equal"), "{:.3%}"),
            _cell(None if row.get("size_bytes") is None else row["size_bytes"] / 1e6, "{:.2f} MB"),
            _cell(row.get("latency_ms"), "{:.1f} ms"),
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    head = '<th>graph</th><th>status</th><th class="n">largest difference</th><th class="n">equal labels</th>'
    head += '<th class="n">size</th><th class="n">latency</th>'
    note = (
        '<p class="note">Differences of raw outputs in standard deviations of the network in Paddle. '
        "A graph that no engine here can run is converted, not run.</p>"
    )
    return _table(head, lines) + note if lines else ""


def latency_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Medians per engine and thread count, the stages as parts of one bar."""
    if not rows:
        return ""
    longest = max(row["total"]["median_ms"] for row in rows) or 1.0
    several = len({row["name"] for row in rows}) > 1
    lines = []
    for row in sorted(rows, key=lambda row: (str(row["name"]), row["total"]["median_ms"])):
        parts = [
            (row["stages"][stage]["median_ms"] / longest, f"s{index}")
            for index, stage in enumerate(STAGES)
            if stage in row["stages"]
        ]
        label = f"{row['name']}: {row['engine']}" if several else str(row["engine"])
        lines.append(
            f'<tr><td>{escape(label)}</td><td class="n">{row["threads"]}</td><td class="w">{_bar(parts)}</td>'
            f"{_cell(row['total']['median_ms'], '{:.1f} ms')}"
            f'<td class="n hide">{row["total"]["p95_ms"]:.1f} ms</td></tr>'
        )
    head = '<th>engine</th><th class="n">threads</th><th></th><th class="n">median</th><th class="n hide">p95</th>'
    used = [(i, stage) for i, stage in enumerate(STAGES) if any(stage in row["stages"] for row in rows)]
    keys = "".join(f'<span><i class="s{i}"></i>{stage}</span>' for i, stage in used)
    first = rows[0]
    note = f"{first['runs']} runs each, engines interleaved; {first['cpu']}, {first['image']}."
    return _table(head, lines) + f'<div class="keys">{keys}</div><p class="note">{escape(note)}</p>'


def fact_list(facts: Mapping[str, Any]) -> str:
    """Names and values."""
    items = "".join(f"<dt>{escape(str(key))}</dt><dd>{escape(str(value))}</dd>" for key, value in facts.items())
    return f'<dl class="facts">{items}</dl>' if items else ""


def _table(head: str, rows: Sequence[str]) -> str:
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _bar(parts: Sequence[tuple[float, str]]) -> str:
    fills = "".join(f'<i class="{tone}" style="width:{100 * share:.2f}%"></i>' for share, tone in parts)
    return f'<div class="bar">{fills}</div>'


def _cell(value: float | None, form: str) -> str:
    return f'<td class="n">{"–" if value is None else form.format(value)}</td>'


def _swatch(colours: np.ndarray, index: int) -> str:
    red, green, blue = (int(v) for v in colours[index]) if index < len(colours) else (128, 128, 128)
    return f'<i class="swatch" style="background:rgb({red},{green},{blue})"></i>'


def _shares(pixels: Sequence[int] | None) -> list[float]:
    total = sum(pixels or ())
    return [value / total for value in pixels or ()] if total else []


def _small(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    if width <= _WIDTH:
        return image
    return cv2.resize(image, (_WIDTH, max(1, round(height * _WIDTH / width))), interpolation=cv2.INTER_AREA)


def _data_uri(picture: np.ndarray) -> str:
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 86])
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"
