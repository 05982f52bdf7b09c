"""Structure of ``video``: how a video network is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mobileseg.config.schema_base import NotNegative, Section


class Matching(Section):
    """Features that moved along a flow are drawn to those of the same frame computed whole."""

    places: Literal["L", "P", "L+P"] = Field(
        "L+P", description="L: sums of the pyramid's first phase; P: behind the second phase's convolutions"
    )
    measure: Literal["cosine", "smooth_l1"] = Field("cosine", description="distance of two features")
    weight: NotNegative = Field(1.0, description="factor of the loss")
    published_conv_quirk: bool = Field(
        False, description="P of the coarsest level goes through the finest level's convolution, as published"
    )


class VideoSection(Section):
    """Stage of the training of a video network, and what that stage does."""

    stage: Literal["base", "flow", "joint", "transform"] = Field(
        "base",
        description="base: frames by themselves; flow: pairs with known flow; joint: frames from earlier frames; "
        "transform: features of other frames instead of objects",
    )
    freeze: Literal["published", "paper"] = Field(
        "published", description="joint: published freezes backbone and laterals, paper the backbone alone"
    )
    matching: Matching | None = Field(
        default_factory=lambda: Matching.model_validate({}), description="joint: matching of features; null: none"
    )
