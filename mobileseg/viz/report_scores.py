"""Numbers and curves of a run as HTML: mIoU of labels, AP of objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from mobileseg.viz.charts import Series, line_chart
from mobileseg.viz.report_parts import bar, cell, swatch, table

History = Mapping[str, Sequence[Mapping[str, Any]]]

_LOSS_PARTS = ("box", "class", "mask", "segm")
_TWELVE = {
    "ap": "AP", "ap50": "AP50", "ap75": "AP75", "ap_small": "small", "ap_medium": "medium", "ap_large": "large",
    "ar1": "AR1", "ar10": "AR10", "ar100": "AR100", "ar_small": "small", "ar_medium": "medium", "ar_large": "large",
}  # fmt: skip


def _main_numbers(scores: Mapping[str, Any]) -> list[tuple[float | None, str]]:
    if "mask" in scores:
        mask, box = scores["mask"], scores["box"]
        return [(mask["ap"], "mask AP"), (mask["ap50"], "mask AP50 (IoU .50)"), (box["ap"], "box AP")]
    names = {"miou": "mean IoU", "accuracy": "pixel accuracy", "boundary_iou": "boundary IoU"}
    return [(scores.get(key), label) for key, label in names.items()]


def tiles(
    scores: Mapping[str, Any],
    history: Mapping[str, Sequence[Mapping[str, Any]]],
    verified: Sequence[Mapping[str, Any]],
    benchmark: Sequence[Mapping[str, Any]],
) -> str:
    """The numbers one looks for first."""
    found: list[tuple[str, str]] = []
    for value, label in _main_numbers(scores):
        if value is not None:
            found.append((f"{value:.3f}", label))
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


def curves(history: History) -> str:
    """Loss, the validation's score and learning rate over iterations; the loss of objects also by its parts."""
    train, evals = history["train"], history["eval"]
    x = [event["iter"] for event in train]
    charts = [
        ("Loss", line_chart([Series("loss", x, [event.get("loss") for event in train])], label="loss", log=True)),
        _validation(evals),
        ("Learning rate", line_chart([Series("rate", x, [event.get("lr") for event in train])], label="learning rate")),
    ]
    parts = [name for name in _LOSS_PARTS if any(name in event for event in train)]
    if parts:
        lines = [Series(name, x, [event.get(name) for event in train]) for name in parts]
        charts.insert(1, ("Loss by part", line_chart(lines, label="parts of the loss", log=True)))
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


def _validation(evals: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    x = [event["iter"] for event in evals]
    if any("mask" in event for event in evals):
        found = {
            "mask AP": [(event.get("mask") or {}).get("ap") for event in evals],
            "mask AP50": [(event.get("mask") or {}).get("ap50") for event in evals],
            "box AP": [(event.get("box") or {}).get("ap") for event in evals],
        }
        lines = [Series(name, x, values, dots=True) for name, values in found.items()]
        return "Validation AP", line_chart(lines, label="validation AP by iteration")
    line = Series("mIoU", x, [event.get("miou") for event in evals], dots=True)
    return "Validation mIoU", line_chart([line], label="validation mean IoU by iteration")


def class_table(scores: Mapping[str, Any], classes: Sequence[str], colours: np.ndarray) -> str:
    """IoU or mask AP of every class as a bar; absent classes are said to be absent."""
    if scores.get("class_ap"):
        return _object_table(scores, colours)
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
            f"<tr><td>{swatch(colours, index)}{escape(name)}</td>"
            f'<td class="w">{bar([(value or 0.0, "fill")])}</td><td class="n">{cell}</td>'
            f'<td class="n hide">{share}</td></tr>'
        )
    head = '<th>class</th><th></th><th class="n">IoU</th><th class="n hide">share of pixels</th>'
    means = [
        f"{label} {scores[key]:.3f}"
        for key, label in (("miou", "mIoU"), ("dice", "Dice"), ("mean_accuracy", "mean recall"), ("kappa", "kappa"))
        if scores.get(key) is not None
    ]
    return table(head, rows) + f'<p class="note">{escape(", ".join(means))}. Absent classes count in no mean.</p>'


def _object_table(scores: Mapping[str, Any], colours: np.ndarray) -> str:
    rows = []
    counts = scores.get("class_objects") or [None] * len(scores["class_ap"])
    for index, ((name, row), objects) in enumerate(zip(scores["class_ap"].items(), counts, strict=True)):
        ap = row["mask_ap"]
        first = '<td class="n">absent</td>' if ap is None else cell(ap, "{:.3f}")
        rows.append(
            f"<tr><td>{swatch(colours, index)}{escape(str(name))}</td>"
            f'<td class="w">{bar([(ap or 0.0, "fill")])}</td>{first}{cell(row["mask_ap50"], "{:.3f}")}'
            f"{cell(row['box_ap'], '{:.3f}')}{cell(objects, '{:d}')}</tr>"
        )
    titles = ("mask AP", "mask AP50", "box AP", "objects")
    head = "<th>class</th><th></th>" + "".join(f'<th class="n">{title}</th>' for title in titles)
    twelve = [
        f"<tr><td>{kind}</td>" + "".join(cell(scores[kind].get(key), "{:.3f}") for key in _TWELVE) + "</tr>"
        for kind in ("mask", "box")
    ]
    all_head = "<th></th>" + "".join(f'<th class="n">{title}</th>' for title in _TWELVE.values())
    note = (
        '<p class="note">AP: mean over IoU .50:.05:.95 as COCO defines it; AP50 counts an overlap of one half as a '
        "hit. Small, medium, large: below 32², below 96² pixels, above. Absent classes count in no mean.</p>"
    )
    return table(head, rows) + table(all_head, twelve) + note


def _shares(pixels: Sequence[int] | None) -> list[float]:
    total = sum(pixels or ())
    return [value / total for value in pixels or ()] if total else []
