"""The section of an instance segmentation model in a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from mobileseg.instance.options import OPTION_NAMES, DetectionOptions

STRICT = ConfigDict(extra="forbid")

S = TypeVar("S", bound="InstanceSettings")


Variance = Annotated[float, Field(gt=0, le=100)]


@dataclass(frozen=True, config=STRICT)
class DetectionSpec(DetectionOptions):
    """What turns the outputs of a graph into instances, beside `DetectionOptions`.

    Attributes:
        anchors: ``.npy`` file in the folder, float32 [P, 4], (cx, cy, w, h) in normalised coordinates of the input;
            None when the graph decodes its boxes itself (output 'detections').
        variances: of the encoding of centre and size, above 0 and up to 100.
    """

    anchors: str | None = None
    variances: tuple[Variance, Variance] = (0.1, 0.2)

    @property
    def options(self) -> DetectionOptions:
        """The options alone."""
        return DetectionOptions(**{name: getattr(self, name) for name in OPTION_NAMES})


@dataclass(frozen=True, config=STRICT)
class InstanceSettings:
    """``settings:`` of the manifest.

    Attributes:
        detection: how outputs become instances.
        category_ids: the COCO category id of every class, for results in COCO format; None when the training data had
            no such numbers (then 1, 2, ... are written).
    """

    detection: DetectionSpec
    category_ids: tuple[int, ...] | None = None

    @classmethod
    def of(cls: type[S], settings: Mapping[str, Any] | None) -> S:
        """From the section of a manifest.

        Raises:
            pydantic.ValidationError: a field that is missing, unknown or of another type.
        """
        return TypeAdapter(cls).validate_python(dict(settings or {}))

    def to_dict(self) -> dict[str, Any]:
        """The section, of what YAML has: lists, dicts and scalars, nothing that is None."""
        detection = {key: _plain(value) for key, value in asdict(self.detection).items() if value is not None}
        found = {"detection": detection, "category_ids": _plain(self.category_ids)}
        return {key: value for key, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
