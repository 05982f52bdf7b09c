"""Scores of many precisions of one network, image by image."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mobileseg.compress.precision.reuse import Reuse
from mobileseg.compress.precision.simulate import Precision, Simulation
from mobileseg.nn.components import component_paths, components_of, is_inside
from mobileseg.scores import Scores
from mobileseg.training.evaluator import begin_sequence, make_scorer
from mobileseg.training.predictors import make_predictor

Assignment = Mapping[str, Precision]
"""Path of a layer or of a component -> precision; what is not named is float32."""

_TRIAL = 2  # images after which the time that all of them take is known


class OutOfTime(Exception):
    """The variants would take longer than allowed.

    Attributes:
        seconds: that they would take.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.0f} s")
        self.seconds = seconds


class Evaluation:
    """Validation images on which variants are compared.

    Args:
        simulation: of the network.
        settings: resolved configuration.
        dataset: validation dataset, or a part of one.
    """

    def __init__(self, simulation: Simulation, settings: Mapping[str, Any], dataset: Any) -> None:
        self.simulation = simulation
        self.dataset = dataset
        self._settings = settings
        self._components = components_of(simulation.network)
        self._paths = component_paths(simulation.network)

    def scores(
        self,
        variants: Sequence[Assignment],
        *,
        time_limit: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Scores]:
        """The scores of every variant, all on the same images; a component is computed once per input and precision.

        Args:
            variants: precisions to compare.
            time_limit: seconds; None for no limit.
            progress: called with (images done, images).

        Raises:
            OutOfTime: after the first images it is clear that the limit will not do.
            DataError: an image or its truth cannot be read.
        """
        scorers = [make_scorer(self.dataset) for _ in variants]
        # What a predictor keeps from frame to frame is that of its variant.
        predictors = [make_predictor(self.simulation.network, self._settings) for _ in variants]
        sequences = self.dataset.sequences()
        indices = [index for sequence in sequences for index in sequence]
        first = {sequence[0] for sequence in sequences}
        states = [self._states(self.simulation.modes(variant)) for variant in variants]
        current: dict[str, tuple[Precision, ...]] = {}
        reuse = Reuse(self._components, lambda name: current[name], self.simulation.uses)
        start = time.perf_counter()
        try:
            for done, index in enumerate(indices, start=1):
                sample = self.dataset.prepare(index)
                reuse.clear()
                for variant, state, scorer, predict in zip(variants, states, scorers, predictors, strict=True):
                    current.clear()
                    current.update(state)
                    self.simulation.set(variant)
                    if index in first:
                        begin_sequence(predict)
                    scorer.update(index, sample, predict(sample))
                if progress is not None:
                    progress(done, len(indices))
                needed = (time.perf_counter() - start) * len(indices) / done
                if time_limit is not None and done == _TRIAL and needed > time_limit:
                    raise OutOfTime(needed)
        finally:
            reuse.close()
            self.simulation.set({})
        return [scorer.scores() for scorer in scorers]

    def _states(self, modes: Mapping[str, Precision]) -> dict[str, tuple[Precision, ...]]:
        """Component -> precisions of its layers."""
        return {
            name: tuple(mode for layer, mode in modes.items() if is_inside(layer, paths))
            for name, paths in self._paths.items()
        }
