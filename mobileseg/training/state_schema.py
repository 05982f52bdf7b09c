"""What the state of a checkpoint may hold: types and ranges, checked before any of it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_LARGEST = 1 << 53
Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Sampler(_Part):
    epoch: Count
    samples: Count
    batch: Annotated[int, Field(ge=1, le=_LARGEST)]
    seed: int


class _Scaler(_Part):
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    good_steps: Count
    skipped: Count


class _Best(_Part):
    """Older checkpoints have ``miou`` in place of metric and score."""

    iteration: Count
    metric: str = "mIoU"
    score: Finite = 0.0
    miou: Finite = 0.0


class _Average(_Part):
    updates: Count


class _Between(_Part):
    step: Count = 0
    losses: dict[str, float] = {}


class _State(_Part):
    """A state need not have all of it: what a resume needs beyond that it says itself."""

    files: dict[FileName, Digest]
    iteration: Count = 0
    iters: Count = 0
    classes: list[str] = []
    judge: Digest | None = None
    sampler: _Sampler | None = None
    further_samplers: dict[str, _Sampler] = {}
    between_steps: _Between = _Between()
    scaler: _Scaler | None = None
    ema: _Average | None = None
    best: _Best | None = None
    stale_evals: Count = 0
    evaluated: FileName = "model"
    config: dict[str, Any] = {}


def state_problem(state: Mapping[str, Any]) -> str | None:
    """The first thing that is wrong with a state, for the reader; None when nothing is."""
    try:
        checked = _State.model_validate(dict(state))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'][:200]}"
    if checked.evaluated != "model" and f"{checked.evaluated}.npz" not in checked.files:
        return f"evaluated: there is no file {checked.evaluated}.npz"
    return None
