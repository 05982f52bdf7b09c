"""The charts of a training run: loss, its parts, the validation's scores, learning rate."""

from __future__ import annotations

from mobileseg.tasks import stage
from mobileseg.viz.charts import Chart, Series
from mobileseg.viz.task import History, Visualization


def run_charts(history: History, task: str) -> list[Chart]:
    """Charts over the iterations, those without data too.

    Args:
        history: of :func:`mobileseg.viz.history.read_history`.
        task: of the network.
    """
    show: Visualization = stage(task, "visualize")
    train, evals = history["train"], history["eval"]
    x = [event["iter"] for event in train]

    def lines(*names: str) -> tuple[Series, ...]:
        return tuple(Series(name, x, [event.get(name) for event in train]) for name in names)

    scores = show.curves(evals)
    at = [event["iter"] for event in evals]
    validation = tuple(Series(name, at, values, dots=True) for name, values in scores.values.items())
    charts = [
        Chart("Loss", lines("loss"), "loss", log=True),
        Chart(scores.title, validation, "score, 0 to 1"),
        Chart("Learning rate", lines("lr"), "learning rate"),
    ]
    parts = [name for name in show.LOSS_PARTS if any(name in event for event in train)]
    if parts:
        charts.insert(1, Chart("Loss by part", lines(*parts), "loss", log=True))
    return charts
