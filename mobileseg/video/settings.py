"""The section of a video instance segmentation model in a manifest."""

from __future__ import annotations

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
        return super().to_dict() | {"keyframes": self.keyframes.to_dict()}
