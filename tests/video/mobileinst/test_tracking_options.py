"""What a stream reports of the ids that kernels give: all, those of tracks, none; and options that kernels lack."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from mobileseg.errors import ConfigError, RuntimeEngineError
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.preprocess import Geometry
from mobileseg.structures import InstanceResult
from mobileseg.tracking.options import TrackingOptions
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.mobileinst.options import KernelOptions, QueryOptions
from mobileseg.video.mobileinst.runtime import QueryObjects
from mobileseg.video.mobileinst.settings import QuerySettings
from mobileseg.video.runtime import VideoPipeline

SIZE = 48, 64
LOGITS = (4.0, -1.0, 0.5)
"""Of the three objects, class and objectness alike: scores of 0.98, 0.27 and 0.62."""


def pipeline(**kernels: Any) -> VideoPipeline:
    manifest = cast(Manifest, SimpleNamespace(name="fish", num_classes=1))
    settings = QuerySettings(QueryOptions(rescore=False), 8, KernelOptions(**kernels), KeyframeOptions(every=2))
    return VideoPipeline(manifest, settings.keyframes, QueryObjects(manifest, settings))


def tensors(key: bool) -> Mapping[str, np.ndarray]:
    features = np.full((1, 3, 6, 8), -9, np.float32)
    for channel in range(3):
        features[:, channel, :, 2 * channel : 2 * channel + 2] = 9
    logits = np.array(LOGITS, np.float32).reshape(1, 3, 1)
    answers = {"kernels": np.eye(3, dtype=np.float32)[None], "logits": logits, "objectness": logits}
    return {"mask_features": features, **(answers if key else {})}


def run(stream: VideoPipeline, frames: int = 4) -> list[InstanceResult]:
    place = Geometry(SIZE, SIZE, SIZE)
    memory: dict[str, Any] = {}
    found = []
    for _ in range(frames):
        kind = stream.next(memory, np.zeros((*SIZE, 3), np.uint8)).pipeline
        found.append(stream.finish(tensors(kind == "key"), place, memory))
    return found


def ids(results: list[InstanceResult]) -> list[list[int]]:
    return [one.track_ids.tolist() for one in results]


def test_by_default_objects_of_no_track_are_there_without_an_id() -> None:
    assert ids(run(pipeline())) == [[0, 1, -1]] * 4


@pytest.mark.parametrize("track", [True, {}, TrackingOptions()])
def test_with_tracking_objects_of_no_track_are_left_out(track: Any) -> None:
    assert ids(run(pipeline().for_stream({"track": track}))) == [[0, 1]] * 4


def test_without_tracking_there_are_no_ids() -> None:
    found = run(pipeline().for_stream({"track": False}))
    assert [one.track_ids for one in found] == [None] * 4
    assert [len(one) for one in found] == [3] * 4


def test_the_score_is_the_one_from_which_a_track_begins() -> None:
    assert ids(run(pipeline().for_stream({"track": {"score": 0.7}}))) == [[0]] * 4
    lower = TrackingOptions().beginning_at(0.2)  # what --min_score 0.2 asks for
    assert ids(run(pipeline().for_stream({"track": lower}))) == [[0, 1, 2]] * 4


def test_the_usual_score_leaves_that_of_the_model() -> None:
    assert ids(run(pipeline(birth_score=0.7).for_stream({"track": True}))) == [[0]] * 4


def test_streams_of_one_model_have_options_of_their_own() -> None:
    base = pipeline()
    low, usual = base.for_stream({"track": {"score": 0.2}}), base.for_stream({"track": True})
    assert ids(run(low, 1)) == [[0, 1, 2]]
    assert ids(run(usual, 1)) == [[0, 1]]


@pytest.mark.parametrize("name", ["overlap", "max_age", "same_class", "min_hits", "low_score"])
def test_options_of_the_other_tracker_are_refused(name: str) -> None:
    value = {"overlap": 0.5, "max_age": 3, "same_class": False, "min_hits": 2, "low_score": 0.2}[name]
    with pytest.raises(RuntimeEngineError, match=f"'fish' follows objects by their kernels, .* without {name}"):
        pipeline().for_stream({"track": {name: value}})


def test_values_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(ConfigError, match="score is 2"):
        pipeline().for_stream({"track": {"score": 2}})
    with pytest.raises(RuntimeEngineError, match="have no smooth"):
        pipeline().for_stream({"smooth": 0.5})
