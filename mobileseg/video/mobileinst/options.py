"""How answers of queries become instances: the one written source for configuration, manifest and postprocess."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from mobileseg.instance.options import Count, Share, Switch, Threshold

Similarity = Annotated[float, Field(ge=-1, le=1, strict=True)]
Penalty = Annotated[float, Field(ge=0, le=2, strict=True)]
Whole = Annotated[int, Field(ge=0, strict=True)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class QueryOptions:
    """Options of the queries that are kept and of their masks.

    The published behaviour is ``score_threshold=0.005, resize_twice=True``.

    Raises:
        ValueError: a value outside its range (also pydantic's ValidationError).
    """

    score_threshold: Annotated[Threshold, Field(description="queries whose score is not above it are dropped")] = 0.05
    max_detections: Annotated[Count, Field(description="instances kept per image")] = 100
    mask_threshold: Annotated[
        Threshold, Field(description="mask probability above which a pixel belongs to the instance")
    ] = 0.45
    rescore: Annotated[
        Switch, Field(description="scores are multiplied by the mean probability of the mask's pixels")
    ] = True
    resize_twice: Annotated[
        Switch, Field(description="masks are enlarged to the input of the network and then to the image, as published")
    ] = False


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class KernelOptions:
    """How kernels travel from key frame to key frame; when one is due, the section ``keyframes`` says.

    Raises:
        ValueError: a value outside its range (also pydantic's ValidationError).
    """

    rekey_below: Annotated[
        Share,
        Field(
            description="a frame whose masks are less sure than this share of the key frame's makes the next frame a "
            "key frame; 0: never"
        ),
    ] = 0.0
    birth_score: Annotated[Share, Field(description="score from which an object starts a track")] = 0.3
    similarity: Annotated[
        Similarity, Field(description="cosine of two kernels from which they may be of one object")
    ] = 0.5
    class_penalty: Annotated[
        Penalty, Field(description="what the cosine of kernels of different classes loses; 2: they never match")
    ] = 0.2
    lost_keyframes: Annotated[
        Whole, Field(description="key frames for which a track that is not seen is remembered")
    ] = 30
    momentum: Annotated[
        Threshold, Field(description="share of its old kernel that a track keeps when it is seen; 0: none")
    ] = 0.0
