"""Which layers int8 harms: noise of each layer alone, and the score with one layer left in float."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import paddle

from mobileseg.compress.channels.modes import evaluating
from mobileseg.compress.precision.scores import Assignment, Evaluation
from mobileseg.compress.precision.simulate import Simulation


@dataclass(frozen=True)
class LayerError:
    """What int8 does to one layer.

    Attributes:
        layer: its path.
        sqnr_db: power of its float result over power of the error, in dB, when it alone is int8.
        score: of the network in int8 with this layer in float; None where that was not measured.
        gain: that score minus the one of the network in int8.
    """

    layer: str
    sqnr_db: float
    score: float | None = None
    gain: float | None = None


@dataclass(frozen=True)
class Analysis:
    """Errors of all layers, and what follows.

    Attributes:
        metric: name of the score.
        float_score: in float32, on the images of the analysis.
        int8_score: with every wanted layer in int8.
        score: with the layers of ``keep`` in float.
        images: how many there were.
        layers: noisiest first.
        keep: layers to leave in float, most harmful first.
    """

    metric: str
    float_score: float
    int8_score: float
    score: float
    images: int
    layers: tuple[LayerError, ...]
    keep: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


Run: TypeAlias = Callable[[], object]
"""Runs the network over an image, or a stream of frames."""


def layer_noise(simulation: Simulation, layers: Collection[str], runs: Sequence[Run]) -> dict[str, float]:
    """Layer -> signal over quantisation noise in dB, with everything in front of the layer in float32.

    Args:
        simulation: of the network, all float.
        layers: paths.
        runs: in which the noise is seen.
    """
    power = dict.fromkeys(layers, 0.0)
    noise = dict.fromkeys(layers, 0.0)
    uses: dict[str, int] = {}

    def watch(path: str) -> Callable[..., None]:
        def hook(_layer: Any, given: tuple[paddle.Tensor, ...], output: paddle.Tensor) -> None:
            use = uses.get(path, 0)
            uses[path] = use + 1
            error = simulation.int8_result(path, use, given[0]) - output
            power[path] += float((output * output).sum())
            noise[path] += float((error * error).sum())

        return hook

    handles = [simulation.layer(path).register_forward_post_hook(watch(path)) for path in layers]
    try:
        with evaluating(simulation.network):
            for run in runs:
                uses.clear()
                run()
    finally:
        for handle in handles:
            handle.remove()
    return {path: _decibel(power[path], noise[path]) for path in layers}


def analyse(
    evaluation: Evaluation,
    layers: Sequence[str],
    runs: Sequence[Run],
    *,
    allowed: float,
    candidates: int,
    automatic: bool,
    say: Callable[[str], None],
) -> Analysis:
    """Find the layers that int8 harms, and those to leave in float.

    Layers are tried in float one at a time, the noisiest first; those that gain most are then left in float together,
    one more at a time, until no more than ``allowed`` is lost.

    Args:
        evaluation: images to score with.
        layers: paths of the layers that are to run in int8.
        runs: see :func:`layer_noise`.
        allowed: loss of the score that needs no remedy.
        candidates: how many of the noisiest layers are tried.
        automatic: choose layers to leave in float; otherwise none are.
        say: told what is going on.
    """
    images = len(evaluation.dataset)
    noise = layer_noise(evaluation.simulation, layers, runs)
    order = sorted(layers, key=noise.__getitem__)
    tried = order[:candidates]
    wanted = int8_layers(layers)
    say(f"score of float32, int8 and int8 without each of the {len(tried)} noisiest layers, {images} images")
    found = evaluation.scores([{}, wanted, *(without(wanted, [layer]) for layer in tried)])
    full, low = float(found[0]["score"]), float(found[1]["score"])
    alone = {layer: float(scores["score"]) for layer, scores in zip(tried, found[2:], strict=True)}
    rows = tuple(
        LayerError(layer, noise[layer], alone.get(layer), alone[layer] - low if layer in alone else None)
        for layer in order
    )
    keep: list[str] = []
    score = low
    helpful = [layer for layer in sorted(tried, key=lambda one: -alone[one]) if alone[layer] > low]
    while automatic and full - score > allowed and len(keep) < len(helpful):
        keep.append(helpful[len(keep)])
        score = float(evaluation.scores([without(wanted, keep)])[0]["score"])
        say(f"{len(keep)} layers in float: {score:.4f} (float32 {full:.4f}), last one {keep[-1]}")
    return Analysis(str(found[0]["metric"]), full, low, score, images, rows, tuple(keep))


def int8_layers(layers: Collection[str]) -> dict[str, Any]:
    """These layers in int8."""
    return dict.fromkeys(layers, "int8")


def without(assignment: Assignment, layers: Collection[str]) -> Assignment:
    """The assignment with these layers in float32."""
    return {path: mode for path, mode in assignment.items() if path not in set(layers)}


def render(analysis: Analysis, shown: int = 20) -> str:
    """A table, noisiest layers first."""
    head = (
        f"{analysis.metric} on {analysis.images} images: float32 {analysis.float_score:.4f}, "
        f"int8 {analysis.int8_score:.4f}"
    )
    width = max(len(row.layer) for row in analysis.layers[:shown])
    lines = [head, f"{'layer':<{width}}  SQNR dB  in float"]
    for row in analysis.layers[:shown]:
        gain = "" if row.gain is None else f"{row.gain:+.4f}"
        lines.append(f"{row.layer:<{width}}  {row.sqnr_db:7.1f}  {gain:>8}")
    if len(analysis.layers) > shown:
        lines.append(f"and {len(analysis.layers) - shown} layers with less noise")
    if analysis.keep:
        lines.append(f"left in float: {' '.join(analysis.keep)} ({analysis.metric} {analysis.score:.4f})")
    return "\n".join(lines)


def _decibel(power: float, noise: float) -> float:
    """10 log10 of the ratio; 200 where there is no noise at all."""
    return 200.0 if noise <= 0 else float(10.0 * np.log10(max(power, 1e-30) / noise))
