"""Datasets of the task are those of masks."""

from mobileseg.semantic.doctor import (  # noqa: F401
    class_weights,
    findings,
    headline,
    preflight,
    refused,
    statistics,
    summary,
    table,
)
