"""How raw predictions become instances: the one written source for configuration, manifest and postprocess."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass


def _option(default: Any, description: str, **limits: Any) -> Any:
    """A field that takes its own type only; the same in a configuration, in a manifest and in Python."""
    return Field(default, description=description, strict=True, **limits)


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class DetectionOptions:
    """Options of non-maximum suppression and of the masks; the defaults are YOLACT's without its quirks.

    The published behaviour is ``threshold_after_nms=False, truncate_boxes=True``, and for traditional suppression
    ``inclusive_pixels=True``.

    Raises:
        ValueError: a value outside its range (also pydantic's ValidationError), or ``inclusive_pixels`` without the
            traditional suppression that it belongs to.
    """

    score_threshold: float = _option(0.05, "anchors whose best class is not above it are dropped", ge=0, lt=1)
    nms: Literal["fast", "cross_class", "traditional"] = Field(
        "fast",
        description="fast: Fast NMS per class; cross_class: Fast NMS over the best class of each anchor; "
        "traditional: greedy per class",
    )
    iou_threshold: float = _option(0.5, "overlap above which a box is suppressed", ge=0, le=1)
    top_k: int = _option(200, "fast and cross_class: candidates, per class or in all", gt=0)
    max_detections: int = _option(100, "instances kept per image", gt=0)
    mask_threshold: float = _option(0.5, "mask probability above which a pixel belongs to the instance", ge=0, lt=1)
    threshold_after_nms: bool = _option(
        True, "fast: score_threshold holds for every class of an anchor (false: for the best one only, as published)"
    )
    inclusive_pixels: bool = _option(
        False, "traditional: sides are one pixel longer and the threshold itself suppresses, as published"
    )
    truncate_boxes: bool = _option(False, "box corners are cut to whole pixels, as published")

    @model_validator(mode="after")
    def _combination(self) -> DetectionOptions:
        if self.inclusive_pixels and self.nms != "traditional":
            raise ValueError(f"inclusive_pixels belongs to nms: traditional, and nms is {self.nms}")
        return self


OPTION_NAMES: tuple[str, ...] = tuple(DetectionOptions.__dataclass_fields__)
"""Names of all options."""
