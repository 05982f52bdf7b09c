"""The section of a MobileInst model in a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from mobileseg.instance.settings import STRICT
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.mobileinst.options import KernelOptions, QueryOptions

SECTION = "queries"
"""The key that tells this section from those of other video models."""


@dataclass(frozen=True, config=STRICT)
class QuerySettings:
    """``settings:`` of the manifest.

    Attributes:
        queries: how answers of queries become instances.
        mask_stride: pixels of the input per cell of the mask features.
        kernels: how kernels travel from key frame to key frame.
        keyframes: when one is due.
        category_ids: the COCO category id of every class; None when the training data had no such numbers.
    """

    queries: QueryOptions
    mask_stride: Annotated[int, Field(ge=1, le=64)]
    kernels: KernelOptions = Field(default_factory=KernelOptions)
    keyframes: KeyframeOptions = Field(default_factory=KeyframeOptions)
    category_ids: tuple[int, ...] | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> QuerySettings:
        """From the section of a manifest.

        Raises:
            pydantic.ValidationError: a field that is missing, unknown or of another type.
        """
        return TypeAdapter(cls).validate_python(dict(settings or {}))

    def to_dict(self) -> dict[str, Any]:
        """The section, of what YAML has: lists, dicts and scalars, nothing that is None."""
        found = {key: value for key, value in asdict(self).items() if value is not None}
        found["keyframes"] = self.keyframes.to_dict()
        if self.category_ids is not None:
            found["category_ids"] = list(self.category_ids)
        return found


def is_query_based(settings: Mapping[str, Any] | None) -> bool:
    """Whether a manifest's section is of a network with queries."""
    return SECTION in (settings or {})
