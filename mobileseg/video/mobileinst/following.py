"""What the caller of a stream wants to hear of the objects that kernels follow: all, those of tracks, or no ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Literal

from mobileseg.errors import RuntimeEngineError
from mobileseg.structures import InstanceResult
from mobileseg.tracking.options import TrackingOptions
from mobileseg.video.mobileinst.options import KernelOptions

Reports = Literal["all", "tracks", "no ids"]


def following(
    name: str, kernels: KernelOptions, track: bool | Mapping[str, Any] | TrackingOptions | None
) -> tuple[Reports, KernelOptions]:
    """How a stream follows objects and reports them.

    Args:
        name: of the network, for messages.
        kernels: how they travel where the caller has no wish.
        track: False for no ids; None for those of tracks, and -1 for objects that belong to none; True or options to
            leave these out. Of the options ``score`` is the one that kernels have as well: the
            score from which an object begins a track, when it is not the usual one.

    Raises:
        RuntimeEngineError: an option that only the tracker of boxes and masks has.
        ConfigError: see :meth:`TrackingOptions.of`.
    """
    if track is None:
        return "all", kernels
    options, usual = TrackingOptions.of(track), TrackingOptions()
    if options is None:
        return "no ids", kernels
    if options == usual:
        return "tracks", kernels
    same = usual.beginning_at(options.score)
    foreign = [one.name for one in fields(usual) if getattr(options, one.name) != getattr(same, one.name)]
    if foreign:
        raise RuntimeEngineError(
            f"'{name}' follows objects by their kernels, which is done without {', '.join(foreign)}",
            remedy=f"leave {' and '.join(foreign)} out; the section 'kernels' of the configuration says when "
            "kernels are of one object",
        )
    return "tracks", replace(kernels, birth_score=float(options.score))


def reported(result: InstanceResult, reports: Reports) -> InstanceResult:
    """The objects of a frame, whose ``track_ids`` kernels gave, as the caller of the stream wants them.

    Args:
        result: of the frame.
        reports: see :func:`following`.
    """
    if reports == "all":
        return result
    if reports == "no ids":
        return replace(result, track_ids=None)
    return result.of_tracks()
