"""The section of a configuration that lets a network learn from another one; nothing here needs Paddle."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mobileseg.config.schema_base import NotNegative, Positive, Section

Text = Annotated[str, Field(min_length=1)]


class DistillLogits(Section):
    """Class distributions of pixels, semantic segmentation (Hinton et al., 2015, arXiv:1503.02531)."""

    weight: NotNegative = Field(1.0, description="factor of the loss")
    temperature: Positive = Field(4.0, description="what logits are divided by; the loss is multiplied by its square")
    class_weight: list[NotNegative] | None = Field(
        None, min_length=1, description="factors of the pixels of each class, by their label; null: all count alike"
    )


class DistillFeature(Section):
    """A feature of the student that is to look like one of the teacher's (Romero et al., 2015, arXiv:1412.6550)."""

    student: Text = Field(description="layer of the student, as in the names of its parameters")
    teacher: Text = Field(description="layer of the teacher")
    weight: NotNegative = Field(1.0, description="factor of the loss")


class DistillHead(Section):
    """What the head says about anchors where the teacher finds an object (instance segmentation)."""

    confidence: float = Field(
        0.3, ge=0, lt=1, description="an anchor counts where the teacher gives a class more than this probability"
    )
    temperature: Positive = Field(2.0, description="as for logits")
    classes: NotNegative = Field(1.0, description="factor of the class distributions")
    boxes: NotNegative = Field(1.0, description="factor of the boxes")
    masks: NotNegative = Field(1.0, description="factor of the assembled masks")


class Distill(Section):
    """A trained network that is imitated besides the labels; see docs/distill.md."""

    teacher_config: Text = Field(description="configuration of the teacher")
    teacher_weights: Text = Field(description="run, checkpoint or zoo folder of the teacher, or a weights file")
    logits: DistillLogits | None = Field(None, description="semantic segmentation: class distributions of pixels")
    features: list[DistillFeature] = Field([], description="pairs of layers")
    head: DistillHead | None = Field(None, description="instance segmentation: predictions of the head")
