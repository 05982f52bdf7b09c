"""Learning rate as a function of the iteration: decay after a linear warm-up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import paddle
from paddle.optimizer.lr import LRScheduler

from mobileseg.errors import ConfigError

Decay = Callable[[int], float]

_OF_PADDLE = {
    "ExponentialDecay": "learning_rate",
    "NaturalExpDecay": "learning_rate",
    "InverseTimeDecay": "learning_rate",
    "NoamDecay": "learning_rate",
    "PiecewiseDecay": "",
    "LinearLR": "learning_rate",
    "LinearWarmup": "learning_rate",
    "CosineAnnealingWarmRestarts": "learning_rate",
    "OneCycleLR": "max_learning_rate",
    "CyclicLR": "base_learning_rate",
}
"""Schedules that Paddle computes -> its name of our ``learning_rate``, '' where it has none."""


class Schedule(LRScheduler):
    """The learning rate of iteration ``last_epoch`` (from 0); ``step()`` once per iteration.

    During warm-up the rate rises linearly from ``warmup_start_lr`` (at iteration 0) to ``peak`` (at iteration
    ``warmup_iters``), from where the decay counts its steps.

    Args:
        decay: rate after a number of steps since the warm-up.
        peak: rate at the end of the warm-up.
        warmup_iters: length of the warm-up.
        warmup_start_lr: rate at iteration 0.
        count_warmup: the decay counts from iteration 0; behind the peak, the rate drops to where it is by then.
    """

    def __init__(
        self,
        decay: Decay,
        peak: float,
        warmup_iters: int = 0,
        warmup_start_lr: float = 0.0,
        count_warmup: bool = False,
    ) -> None:
        self.decay = decay
        self.peak = peak
        self.warmup_iters = warmup_iters
        self.warmup_start_lr = warmup_start_lr
        self.count_warmup = count_warmup
        super().__init__(learning_rate=float(peak))

    def at(self, iteration: int) -> float:
        """The rate of an iteration, counted from 0."""
        if iteration < self.warmup_iters or (self.count_warmup and iteration == self.warmup_iters > 0):
            return self.warmup_start_lr + (self.peak - self.warmup_start_lr) * iteration / self.warmup_iters
        return self.decay(iteration if self.count_warmup else iteration - self.warmup_iters)

    def get_lr(self) -> float:
        """The rate of the current iteration (what Paddle asks for)."""
        return self.at(self.last_epoch)


def polynomial(peak: float, steps: int, end: float, power: float) -> Decay:
    """``(peak - end) * (1 - t / steps) ** power + end``, constant after ``steps``."""
    return lambda t: (peak - end) * (1.0 - min(t, steps) / steps) ** power + end


def cosine(peak: float, steps: int, end: float) -> Decay:
    """Half a cosine from ``peak`` to ``end`` (Loshchilov and Hutter, SGDR, ICLR 2017, without restarts)."""
    return lambda t: end + (peak - end) * 0.5 * (1.0 + math.cos(math.pi * min(t, steps) / steps))


def multi_step(peak: float, milestones: list[int], gamma: float) -> Decay:
    """``peak`` times ``gamma`` for every milestone that was reached."""
    return lambda t: peak * gamma ** sum(t >= milestone for milestone in milestones)


def step_decay(peak: float, step_size: int, gamma: float) -> Decay:
    """``peak`` times ``gamma`` after every ``step_size`` steps."""
    return lambda t: peak * gamma ** (t // step_size)


def recorded(scheduler: LRScheduler, steps: int) -> Decay:
    """The rates that a scheduler of Paddle gives in its first ``steps`` steps, constant afterwards.

    Most of Paddle's schedulers compute a rate from the one before; recorded once, the rate of any iteration is known
    when training resumes.
    """
    rates = [float(scheduler())]
    for _ in range(steps):
        try:
            scheduler.step()
        except ValueError:  # OneCycleLR refuses to go on after its cycle
            break
        rates.append(float(scheduler()))
    return lambda t: rates[min(t, len(rates) - 1)]


def _of_paddle(section: Mapping[str, Any]) -> LRScheduler:
    own = ("type", "warmup_iters", "warmup_start_lr")
    arguments = {key: value for key, value in section.items() if key not in own and value is not None}
    rate = arguments.pop("learning_rate")
    name = _OF_PADDLE[section["type"]]
    if name:
        arguments[name] = rate
    try:
        return getattr(paddle.optimizer.lr, section["type"])(**arguments)
    except (AssertionError, ValueError, TypeError) as error:
        raise ConfigError(f"lr_scheduler {section['type']}: {error}", remedy="see docs/config.md") from error


def build_schedule(section: Mapping[str, Any], iters: int) -> Schedule:
    """The schedule of a complete ``lr_scheduler:`` section (its keys: :mod:`mobileseg.config.schema`).

    Raises:
        ConfigError: unknown type.
    """
    kind, peak, warmup = section["type"], section["learning_rate"], section["warmup_iters"]
    count_warmup = bool(section.get("count_warmup", False))
    steps = section.get("decay_steps") or max(1, iters if count_warmup else iters - warmup)
    if kind == "PolynomialDecay":
        decay = polynomial(peak, steps, section["end_lr"], section["power"])
    elif kind == "CosineDecay":
        decay = cosine(peak, steps, section["end_lr"])
    elif kind == "StepDecay":
        decay = step_decay(peak, section["step_size"], section["gamma"])
    elif kind == "MultiStepDecay":
        decay = multi_step(peak, section["milestones"], section["gamma"])
    elif kind in _OF_PADDLE:
        decay = recorded(_of_paddle(section), steps)
    else:
        raise ConfigError(f"there is no lr_scheduler '{kind}'")
    return Schedule(decay, peak, warmup, section["warmup_start_lr"], count_warmup)
