"""Options of the tracker: the one place, for every task that follows objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from mobileseg.errors import ConfigError


@dataclass(frozen=True)
class TrackingOptions:
    """When an object is the one of earlier frames.

    Attributes:
        score: an object begins a track from this score on, 0..1.
        low_score: an object that no track was found for begins none, but one of at least this score continues a track
            that was in the frame before (ByteTrack, Zhang et al. 2022); at most ``score``.
        overlap: what the object and the place where the track is expected must have in common, 0..1.
        max_age: frames that a track is kept for after it was last seen; 0 ends it at the first frame without it. One
            that was seen in a few frames alone is kept for three times as many.
        same_class: objects of another class than the track's never continue it.
        min_hits: frames that a track must have been seen in before its object is reported, and that a gap ends it in;
            the first frame of a stream reports everything. 2 leaves most false detections out, and every object
            comes a frame late.
    """

    score: float = 0.3
    low_score: float = 0.1
    overlap: float = 0.1
    max_age: int = 30
    same_class: bool = True
    min_hits: int = 1

    def __post_init__(self) -> None:
        for name in ("score", "low_score", "overlap"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ConfigError(f"tracking: {name} is {value!r}, expected 0 to 1")
        if self.low_score > self.score:
            raise ConfigError(
                f"tracking: low_score is {self.low_score}, more than score, which is {self.score}",
                remedy="lower low_score as well; with low_score equal to score, weak objects continue no track",
            )
        for name, least in (("max_age", 0), ("min_hits", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_AGE:
                raise ConfigError(f"tracking: {name} is {value!r}, expected a whole number from {least} to {MAX_AGE:,}")
        if not isinstance(self.same_class, bool):
            raise ConfigError(f"tracking: same_class is {self.same_class!r}, expected true or false")

    def beginning_at(self, score: float) -> TrackingOptions:
        """The same with tracks that begin from ``score`` on."""
        return replace(self, score=score, low_score=min(self.low_score, score))

    @classmethod
    def of(cls, given: bool | Mapping[str, Any] | TrackingOptions | None) -> TrackingOptions | None:
        """The options that a caller means: True takes the usual ones, None and False no tracking.

        Raises:
            ConfigError: an option that there is not, or a value that cannot be used.
        """
        if given is None or given is False:
            return None
        if given is True:
            return cls()
        if isinstance(given, cls):
            return given
        known = [item.name for item in fields(cls)]
        if not isinstance(given, Mapping):
            raise ConfigError(f"tracking is {given!r}, expected true, false or a mapping of {', '.join(known)}")
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ConfigError(
                f"tracking: there is no option {', '.join(map(str, unknown))}", remedy=f"known: {', '.join(known)}"
            )
        return cls(**given)


MAX_AGE = 1_000_000
"""Frames: nine hours at 30 a second."""
