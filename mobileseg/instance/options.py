"""How raw predictions become instances: the one written source for configuration, manifest and postprocess."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Threshold = Annotated[float, Field(ge=0, lt=1, strict=True)]
Count = Annotated[int, Field(gt=0, strict=True)]
Switch = Annotated[bool, Field(strict=True)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class DetectionOptions:
    """Options of NMS and of the masks; the defaults are YOLACT's without its quirks.

    The published behaviour is ``threshold_after_nms=False, truncate_boxes=True``, and for traditional NMS
    ``inclusive_pixels=True``.

    Raises:
        ValueError: a value outside its range (also pydantic's ValidationError), or ``inclusive_pixels`` without the
            traditional NMS that it belongs to.
    """

    score_threshold: Annotated[Threshold, Field(description="anchors whose best class is not above it are dropped")] = (
        0.05
    )
    nms: Annotated[
        Literal["fast", "cross_class", "traditional"],
        Field(
            description="fast: Fast NMS per class; cross_class: Fast NMS over the best class of each anchor; "
            "traditional: greedy per class"
        ),
    ] = "fast"
    iou_threshold: Annotated[Share, Field(description="overlap above which NMS drops a box")] = 0.5
    top_k: Annotated[Count, Field(description="fast and cross_class: candidates, per class or in all")] = 200
    max_detections: Annotated[Count, Field(description="instances kept per image")] = 100
    mask_threshold: Annotated[
        Threshold, Field(description="mask probability above which a pixel belongs to the instance")
    ] = 0.5
    threshold_after_nms: Annotated[
        Switch,
        Field(
            description="fast: score_threshold holds for every class of an anchor (false: for the best one only, "
            "as published)"
        ),
    ] = True
    inclusive_pixels: Annotated[
        Switch,
        Field(
            description="traditional: sides are one pixel longer and an overlap of the threshold counts, as published"
        ),
    ] = False
    truncate_boxes: Annotated[Switch, Field(description="box corners are cut to whole pixels, as published")] = False

    @model_validator(mode="after")
    def _combination(self) -> DetectionOptions:
        if self.inclusive_pixels and self.nms != "traditional":
            raise ValueError(f"inclusive_pixels belongs to nms: traditional, and nms is {self.nms}")
        return self


OPTION_NAMES: tuple[str, ...] = tuple(DetectionOptions.__dataclass_fields__)
"""Names of all options."""
