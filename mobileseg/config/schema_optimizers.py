"""Structure of ``optimizer``, ``clip`` and ``param_groups``."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from mobileseg.config.schema_base import NotNegative, Positive, Section


class SGD(Section):
    """Stochastic gradient descent; the weight decay is added to the gradient (L2)."""

    type: Literal["SGD"]
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum")
    use_nesterov: bool = Field(False, description="Nesterov's momentum")
    weight_decay: NotNegative = Field(0.0, description="L2 coefficient")


class Adam(Section):
    """Adam (Kingma and Ba, 2015); the weight decay is added to the gradient (L2)."""

    type: Literal["Adam"]
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment")
    epsilon: Positive = Field(1e-8, description="added to the denominator")
    weight_decay: NotNegative = Field(0.0, description="L2 coefficient")


class AdamW(Section):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    type: Literal["AdamW"]
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment")
    epsilon: Positive = Field(1e-8, description="added to the denominator")
    weight_decay: NotNegative = Field(0.01, description="decoupled coefficient")
    layerwise_decay: float | None = Field(
        None, gt=0, le=1, description="of transformers: factor of the rate from each block to the one before it"
    )
    decay_norms: bool = Field(True, description="false: no decay of biases and of parameters with one axis")


class Clip(Section):
    """Gradient clipping, in one of three ways."""

    norm: Positive | None = Field(None, description="largest global norm of the gradients")
    tensor_norm: Positive | None = Field(None, description="largest norm of each gradient by itself")
    value: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        None, description="[smallest, largest] element of a gradient"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Clip:
        given = [name for name in ("norm", "tensor_norm", "value") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of norm, tensor_norm and value, has {' and '.join(given) or 'none'}")
        if self.value is not None and self.value[0] >= self.value[1]:
            raise ValueError(f"value must rise, like [-1.0, 1.0], is {self.value}")
        return self


class ParamGroup(Section):
    """Parameters whose names match get their own learning rate and weight decay; the first match wins."""

    match: str = Field(min_length=1, description="fnmatch pattern of parameter names")
    lr_mult: NotNegative = Field(1.0, description="factor of the learning rate")
    weight_decay: NotNegative | None = Field(None, description="null: the optimizer's")
    optional: bool = Field(False, description="true: it is no mistake when nothing matches")


OptimizerSection: TypeAlias = Annotated[SGD | Adam | AdamW, Field(discriminator="type")]
OPTIMIZERS: dict[str, type[Section]] = {cls.__name__: cls for cls in (SGD, Adam, AdamW)}
