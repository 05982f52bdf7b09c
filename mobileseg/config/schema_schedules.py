"""Structure of ``lr_scheduler``: our own schedules, and those of ``paddle.optimizer.lr`` under Paddle's names."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from mobileseg.config.schema_base import Count, NotNegative, Positive, Section


class BaseSchedule(Section):
    """What all learning-rate schedules share."""

    learning_rate: NotNegative = Field(description="rate after the warm-up")
    warmup_iters: int = Field(0, ge=0, description="iterations of the linear warm-up")
    warmup_start_lr: NotNegative = Field(0.0, description="rate at iteration 0 of the warm-up")


class PolynomialDecay(BaseSchedule):
    """(learning_rate - end_lr) * (1 - t / decay_steps) ** power + end_lr."""

    type: Literal["PolynomialDecay"]
    end_lr: NotNegative = Field(0.0, description="final rate")
    power: Positive = Field(0.9, description="exponent")
    decay_steps: Count | None = Field(None, description="length; null: iters - warmup_iters")


class CosineDecay(BaseSchedule):
    """Half a cosine from learning_rate to end_lr."""

    type: Literal["CosineDecay"]
    end_lr: NotNegative = Field(0.0, description="final rate")
    decay_steps: Count | None = Field(None, description="length; null: iters - warmup_iters, or iters")
    count_warmup: bool = Field(False, description="the cosine begins at iteration 0, as in YolactEdge's code")


class StepDecay(BaseSchedule):
    """The rate is multiplied by gamma every step_size iterations."""

    type: Literal["StepDecay"]
    step_size: Count = Field(description="iterations between two steps")
    gamma: Positive = Field(0.1, description="factor of a step")


class MultiStepDecay(BaseSchedule):
    """The rate is multiplied by gamma at each milestone."""

    type: Literal["MultiStepDecay"]
    milestones: list[Count] = Field(min_length=1, description="iterations, ascending")
    gamma: Positive = Field(0.1, description="factor of a step")


class ExponentialDecay(BaseSchedule):
    """learning_rate * gamma ** t."""

    type: Literal["ExponentialDecay"]
    gamma: float = Field(gt=0, lt=1, description="factor of an iteration")


class NaturalExpDecay(BaseSchedule):
    """learning_rate * exp(-gamma * t)."""

    type: Literal["NaturalExpDecay"]
    gamma: Positive = Field(description="rate of the decay")


class InverseTimeDecay(BaseSchedule):
    """learning_rate / (1 + gamma * t)."""

    type: Literal["InverseTimeDecay"]
    gamma: Positive = Field(description="rate of the decay")


class NoamDecay(BaseSchedule):
    """learning_rate * d_model ** -0.5 * min(t ** -0.5, t * warmup_steps ** -1.5) (Vaswani et al., 2017)."""

    type: Literal["NoamDecay"]
    d_model: Count = Field(description="width of the transformer")
    warmup_steps: Count = Field(description="iterations of the rise")


class PiecewiseDecay(BaseSchedule):
    """A constant rate between each two boundaries; learning_rate defaults to the first value."""

    type: Literal["PiecewiseDecay"]
    boundaries: list[Count] = Field(min_length=1, description="iterations, ascending")
    values: list[NotNegative] = Field(min_length=2, description="rates, one more than there are boundaries")


class LinearLR(BaseSchedule):
    """The rate rises or falls linearly between two factors of learning_rate."""

    type: Literal["LinearLR"]
    total_steps: Count = Field(description="iterations of the change")
    start_factor: float = Field(1 / 3, gt=0, le=1, description="factor at the start")
    end_factor: float = Field(1.0, ge=0, le=1, description="factor at the end")


class LinearWarmup(BaseSchedule):
    """The rate goes linearly from start_lr to end_lr and then is learning_rate."""

    type: Literal["LinearWarmup"]
    warmup_steps: Count = Field(description="iterations of the change")
    start_lr: NotNegative = Field(description="first rate")
    end_lr: Positive = Field(description="rate at its end, above start_lr")


class CosineAnnealingWarmRestarts(BaseSchedule):
    """Cosines of growing length from learning_rate to eta_min (SGDR, Loshchilov and Hutter, 2017)."""

    type: Literal["CosineAnnealingWarmRestarts"]
    T_0: Count = Field(description="iterations of the first cosine")
    T_mult: Count = Field(1, description="factor from the length of one cosine to the next")
    eta_min: NotNegative = Field(0.0, description="lowest rate")


class OneCycleLR(BaseSchedule):
    """Up to learning_rate and down again (Smith and Topin, 2018); Paddle calls the peak max_learning_rate."""

    type: Literal["OneCycleLR"]
    total_steps: Count = Field(description="iterations of the cycle")
    divide_factor: Positive = Field(25.0, description="peak / first rate")
    end_learning_rate: NotNegative = Field(0.0001, description="last rate")
    phase_pct: float = Field(0.3, gt=0, lt=1, description="share of the rise")
    anneal_strategy: Literal["cos", "linear"] = Field("cos", description="form of rise and fall")
    three_phase: bool = Field(False, description="fall in two phases")


class CyclicLR(BaseSchedule):
    """Up and down between learning_rate (Paddle: base_learning_rate) and max_learning_rate (Smith, 2017)."""

    type: Literal["CyclicLR"]
    max_learning_rate: Positive = Field(description="highest rate")
    step_size_up: Count = Field(description="iterations of a rise")
    step_size_down: Count | None = Field(None, description="iterations of a fall; null: as the rise")
    mode: Literal["triangular", "triangular2", "exp_range"] = Field("triangular", description="how the peak changes")
    exp_gamma: float = Field(1.0, gt=0, le=1, description="of exp_range: factor of an iteration")


_ALL = (
    *(PolynomialDecay, CosineDecay, StepDecay, MultiStepDecay, ExponentialDecay, NaturalExpDecay, InverseTimeDecay),
    *(NoamDecay, PiecewiseDecay, LinearLR, LinearWarmup, CosineAnnealingWarmRestarts, OneCycleLR, CyclicLR),
)
ScheduleSection: TypeAlias = Annotated[
    PolynomialDecay
    | CosineDecay
    | StepDecay
    | MultiStepDecay
    | ExponentialDecay
    | NaturalExpDecay
    | InverseTimeDecay
    | NoamDecay
    | PiecewiseDecay
    | LinearLR
    | LinearWarmup
    | CosineAnnealingWarmRestarts
    | OneCycleLR
    | CyclicLR,
    Field(discriminator="type"),
]
SCHEDULES: dict[str, type[Section]] = {cls.__name__: cls for cls in _ALL}
