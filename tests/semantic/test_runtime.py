from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.preprocess import Geometry
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.semantic.postprocess import labels_from_labels, labels_from_logits, resize_scores, softmax
from mobileseg.semantic.runtime import SemanticPipeline, pick_output
from tests.runtime.artefacts import artefact


def test_labels_are_preferred_unless_scores_are_wanted(tmp_path: Path) -> None:
    (labels,) = artefact(tmp_path, output="labels").outputs_of()
    logits = replace(labels, name="logits", kind="logits", dtype="float32")
    assert pick_output((logits, labels), scores=False) is labels
    assert pick_output((labels, logits), scores=True) is logits


def test_a_label_that_is_no_class_is_an_error(tmp_path: Path) -> None:
    pipeline = SemanticPipeline(artefact(tmp_path, output="labels"), artefact(tmp_path, output="labels").outputs_of())
    labels = np.full((1, 16, 24), 7, np.int32)
    with pytest.raises(RuntimeEngineError, match="holds the label 7, the manifest names 3 classes"):
        pipeline.finish({"labels": labels}, Geometry((16, 24), (16, 24), (16, 24)), {})


def test_scores_that_end_at_the_stride_of_the_decoder_are_upsampled_behind_the_graph(tmp_path: Path) -> None:
    manifest = artefact(tmp_path)
    (spec,) = manifest.outputs_of()
    coarse = replace(spec, shape=(1, 3, 4, 6), upsample=(16, 24), resize="labels-nearest")
    scores = np.random.default_rng(0).normal(size=(1, 3, 4, 6)).astype(np.float32)
    found = SemanticPipeline(manifest, (coarse,)).finish({"logits": scores}, Geometry((32, 48), (16, 24), (16, 24)), {})
    at_input = labels_from_logits(resize_scores(scores[0], (16, 24)), (16, 24))
    np.testing.assert_array_equal(found.labels, at_input.repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize("size", [(16, 24), (31, 50)])
def test_probabilities_of_a_graph_that_ends_at_the_decoder_are_those_of_one_with_softmax(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    manifest = artefact(tmp_path)
    (spec,) = manifest.outputs_of()
    coarse = replace(spec, shape=(1, 3, 4, 6), upsample=(16, 24), resize="probabilities-bilinear")
    inside = replace(spec, name="probabilities", kind="probabilities")
    values = np.random.default_rng(0).normal(size=(1, 3, 4, 6)).astype(np.float32)
    place = Geometry(size, (16, 24), (16, 24))
    probabilities = softmax(resize_scores(values[0], (16, 24)))[None]
    for scores in (False, True):
        expected = SemanticPipeline(manifest, (inside,), scores).finish({"probabilities": probabilities}, place, {})
        found = SemanticPipeline(manifest, (coarse,), scores).finish({"logits": values}, place, {})
        np.testing.assert_array_equal(found.labels, expected.labels)
        assert (found.scores is None) is not scores
        if scores:
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)


@pytest.mark.parametrize("rule", ["labels-nearest", "scores-bilinear", "probabilities-bilinear"])
def test_smoothing_takes_the_probabilities_at_the_size_of_the_input(tmp_path: Path, rule: str) -> None:
    manifest = artefact(tmp_path)
    (spec,) = manifest.outputs_of()
    fine = replace(spec, resize=rule)
    coarse = replace(fine, shape=(1, 3, 4, 6), upsample=(16, 24))
    values = np.random.default_rng(0).normal(size=(1, 3, 4, 6)).astype(np.float32)
    image, place = np.zeros((37, 50, 3), np.uint8), Geometry((37, 50), (16, 24), (16, 24))
    results = []
    for output, given in ((fine, resize_scores(values[0], (16, 24))[None]), (coarse, values)):
        pipeline, memory = SemanticPipeline(manifest, (output,)).for_stream({"smooth": 0.5}), {}
        for sign in (1, -1):
            pipeline.next(memory, image)
            results.append(pipeline.finish({"logits": sign * given}, place, memory).labels)
    np.testing.assert_array_equal(results[0], results[2])
    np.testing.assert_array_equal(results[1], results[3])
    small = labels_from_logits(resize_scores(values[0], (16, 24)), (16, 24))
    assert (results[0] == labels_from_labels(small, (37, 50))).all() == (rule == "labels-nearest")


def test_detection_options_are_refused(tmp_path: Path) -> None:
    artefact(tmp_path)
    with pytest.raises(RuntimeEngineError, match="detection is for instance segmentation"):
        Segmenter(tmp_path, detection={"nms": "fast"})
