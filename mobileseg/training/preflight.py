"""The check of a training dataset before anything is trained, whatever its task."""

from __future__ import annotations

from typing import Any

from mobileseg.data.doctor import diagnose


def preflight(dataset: Any) -> None:
    """Look at some of the annotations and stop before training has cost anything.

    Raises:
        DataError: training on this dataset would go wrong; says what was found and how to mend it.
    """
    diagnose.preflight(dataset)
