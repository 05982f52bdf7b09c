"""Learning rates against the formulas of the papers and against Paddle's own schedulers."""

import math

import paddle
import pytest

from mobileseg.config.schema_schedules import SCHEDULES
from mobileseg.errors import ConfigError
from mobileseg.training.schedule import build_schedule

pytestmark = pytest.mark.both

ITERS = 60
WARM = {"learning_rate": 0.05, "warmup_iters": 10, "warmup_start_lr": 1e-4}


def build(kind: str, **values):
    return build_schedule(SCHEDULES[kind](type=kind, **values).model_dump(), ITERS)


def walk(scheduler, count: int = ITERS + 5) -> list[float]:
    rates = []
    for _ in range(count):
        rates.append(scheduler())
        scheduler.step()
    return rates


def test_published_cityscapes_schedule():
    section = {"type": "PolynomialDecay", "learning_rate": 0.005, "end_lr": 0.0, "power": 0.9}
    schedule = build_schedule(section | {"warmup_iters": 1000, "warmup_start_lr": 1e-5, "decay_steps": None}, 80000)
    assert schedule.at(0) == pytest.approx(1e-5)
    assert schedule.at(500) == pytest.approx(1e-5 + 0.5 * (0.005 - 1e-5))
    assert schedule.at(1000) == pytest.approx(0.005)
    assert schedule.at(40500) == pytest.approx(0.005 * 0.5**0.9)
    assert schedule.at(79999) == pytest.approx(0.005 * (1 / 79000) ** 0.9)
    assert schedule.at(80000) == 0.0


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("PolynomialDecay", {"end_lr": 1e-3, "power": 0.9}), ("PolynomialDecay", [0.05, 50, 1e-3, 0.9])),
        (("PolynomialDecay", {"decay_steps": 20}), ("PolynomialDecay", [0.05, 20, 0.0, 0.9])),
        (("StepDecay", {"step_size": 7, "gamma": 0.5}), ("StepDecay", [0.05, 7, 0.5])),
        (("MultiStepDecay", {"milestones": [5, 30], "gamma": 0.2}), ("MultiStepDecay", [0.05, [5, 30], 0.2])),
    ],
)
def test_same_rates_as_paddle(ours, theirs):
    kind, values = ours
    name, arguments = theirs
    reference = paddle.optimizer.lr.LinearWarmup(getattr(paddle.optimizer.lr, name)(*arguments), 10, 1e-4, 0.05)
    assert walk(build(kind, **WARM, **values)) == pytest.approx(walk(reference), rel=1e-9)


def test_a_cosine_that_counts_the_warm_up():
    """YolactEdge's code: up to and with the last iteration of the warm-up it rises, then the cosine is where it is."""
    schedule = build("CosineDecay", **(WARM | {"warmup_start_lr": 0.0}), count_warmup=True)
    for t in range(ITERS):
        expected = 0.05 * t / 10 if t <= 10 else 0.05 * (1 + math.cos(math.pi * t / ITERS)) / 2
        assert schedule.at(t) == pytest.approx(expected)
    assert build("CosineDecay", learning_rate=0.05, count_warmup=True).at(0) == 0.05


def test_cosine_formula():
    schedule = build("CosineDecay", **WARM, end_lr=0.01)
    for t in range(50):
        assert schedule.at(10 + t) == pytest.approx(0.01 + 0.04 * (1 + math.cos(math.pi * t / 50)) / 2)
    assert schedule.at(75) == pytest.approx(0.01)


def test_without_warmup_the_first_rate_is_the_full_one():
    assert build("CosineDecay", learning_rate=0.3).at(0) == 0.3


def test_a_step_to_an_iteration_is_that_iteration():
    schedule = build("PolynomialDecay", **WARM)
    schedule.step(33)
    assert (schedule.last_epoch, schedule()) == (33, schedule.at(33))


OF_PADDLE = {
    "ExponentialDecay": {"gamma": 0.9},
    "NaturalExpDecay": {"gamma": 0.1},
    "InverseTimeDecay": {"gamma": 0.5},
    "NoamDecay": {"d_model": 64, "warmup_steps": 5},
    "PiecewiseDecay": {"boundaries": [3, 6], "values": [0.05, 0.02, 0.01]},
    "LinearLR": {"total_steps": 8, "start_factor": 0.25, "end_factor": 1.0},
    "LinearWarmup": {"warmup_steps": 4, "start_lr": 0.0, "end_lr": 0.05},
    "CosineAnnealingWarmRestarts": {"T_0": 3, "T_mult": 2, "eta_min": 0.001},
    "OneCycleLR": {"total_steps": 20},
    "CyclicLR": {"max_learning_rate": 0.2, "step_size_up": 4},
}
RATE = {"PiecewiseDecay": None, "OneCycleLR": "max_learning_rate", "CyclicLR": "base_learning_rate"}


def test_every_schedule_of_the_schema_is_built():
    extra = {"StepDecay": {"step_size": 3}, "MultiStepDecay": {"milestones": [3]}}
    for kind in set(SCHEDULES) - set(OF_PADDLE):
        assert build(kind, **WARM, **extra.get(kind, {})).at(10) == pytest.approx(0.05)


@pytest.mark.parametrize("kind", OF_PADDLE)
def test_schedules_of_paddle_give_paddles_rates_after_the_warm_up(kind):
    """Whatever the order in which the iterations are asked for, as after a resume."""
    rate = {} if RATE.get(kind, "") is None else {RATE.get(kind, "learning_rate"): 0.05}
    theirs = getattr(paddle.optimizer.lr, kind)(**rate, **OF_PADDLE[kind])
    expected = []
    for _ in range(15):
        expected.append(theirs())
        theirs.step()
    ours = build(kind, **WARM, **OF_PADDLE[kind])
    assert [ours.at(10 + step) for step in reversed(range(15))] == expected[::-1]
    assert ours.at(5) == pytest.approx((0.0001 + 0.05) / 2)


def test_what_paddle_refuses_is_an_error_of_the_configuration():
    with pytest.raises(ConfigError, match="lr_scheduler LinearWarmup"):
        build("LinearWarmup", **WARM, warmup_steps=4, start_lr=0.5, end_lr=0.1)
