"""The section of a video instance segmentation model in a manifest."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from mobileseg.instance.settings import STRICT, InstanceSettings
from mobileseg.video.keyframes import KeyframeOptions


@dataclass(frozen=True, config=STRICT)
class VideoSettings(InstanceSettings):
    """``settings:`` of the manifest: those of objects in an image, and what only videos have.

    Attributes:
        keyframes: which frames are computed whole.
    """

    keyframes: KeyframeOptions = Field(default_factory=KeyframeOptions)

    def to_dict(self) -> dict[str, Any]:
        rule = {key: value for key, value in asdict(self.keyframes).items() if value}  # a delay of 0 is none
        return super().to_dict() | {"keyframes": rule}
