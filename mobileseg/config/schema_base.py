"""What the sections of a configuration are made of."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Component: TypeAlias = dict[Any, Any]
"""``type`` names a registered component, the other keys are arguments of its constructor."""

Count: TypeAlias = Annotated[int, Field(gt=0)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]
Share: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Size: TypeAlias = Annotated[list[Count], Field(min_length=2, max_length=2)]


class Section(BaseModel):
    """A mapping with known keys; another key is an error, and so is text where a number belongs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
