"""Training and evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from counting.runtime import CountResult
from mobileseg.scores import Scores
from mobileseg.training.objective import Objective
from mobileseg.training.steps import Step

ACCEPTS: tuple[str, ...] = ()
IMITATED: tuple[str, ...] = ()


def steps(network: Any, criterion: Any, dataset: Any, settings: Any) -> list[Step]:
    return [Step(Objective(network, criterion), dataset)]


class Predictor:
    """A stream of the network in memory."""

    def __init__(self, network: Any) -> None:
        self.network, self.frames = network, 0

    def begin(self) -> None:
        self.frames = 0

    @paddle.no_grad()
    def __call__(self, sample: Any) -> CountResult:
        self.frames += 1
        outputs = self.network(paddle.to_tensor(sample.image.transpose(2, 0, 1)[None]))
        level = float(outputs["level"])
        return CountResult(level, self.frames, level * self.frames)


def predictor(network: Any, settings: Any, test_config: Any) -> Predictor:
    return Predictor(network)


class Scorer:
    """1 - mean distance of the level; how many frames were counted in all."""

    def __init__(self) -> None:
        self.sums = np.zeros(3)

    def update(self, index: int, sample: Any, result: CountResult) -> None:
        self.sums += (abs(result.level - (sample.label == 1).mean()), 1, result.frames)

    def reduce(self, processes: Any) -> None:
        self.sums = processes.sum_counts(self.sums)

    def scores(self) -> Scores:
        score = 1 - float(self.sums[0] / self.sums[1])
        values = {"frames": int(self.sums[2])}
        return Scores("closeness", score, {}, values, logged=("frames",), table=f"closeness {score:.4f}")


def scorer(dataset: Any, **options: Any) -> Scorer:
    return Scorer()


def require(dataset: Any, where: str) -> None:
    """Every image has a label."""


def scorer_options(flags: Any, test_config: Any) -> dict[str, Any]:
    return {}


def evaluated_with(settings: Any, test_config: Any) -> dict[str, Any]:
    return {}


def save_results(scorer: Any, path: Any) -> str:
    raise NotImplementedError


def classes_in(dataset: Any, index: int) -> list[int]:
    return []
