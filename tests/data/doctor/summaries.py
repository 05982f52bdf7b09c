"""Summaries of small generated datasets, and their findings by code."""

import numpy as np

from mobileseg.data.datasets import Dataset
from mobileseg.data.doctor.checks import Finding
from mobileseg.data.doctor.scan import Summary, scan
from mobileseg.semantic.doctor_labels import LabelSummary


def summarize(folder, labels: list[np.ndarray], transforms=None, name: str = "train", **more) -> Summary:
    stems = []
    for index, label in enumerate(labels):
        stems.append(f"i{index}")
        folder.add(stems[-1], label)
    folder.list("l.txt", stems)
    arguments = {"mode": name, f"{name}_path": "l.txt", "num_classes": 3} | more
    return scan(LabelSummary(name, Dataset(str(folder.root), transforms, **arguments)))


def filled(*values: int) -> np.ndarray:
    """24x32 in equal stripes of the given values."""
    return np.repeat(np.array(values, np.uint8), 32 * 24 // len(values)).reshape(24, 32)


def by_code(findings) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings}
