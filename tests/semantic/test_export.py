from dataclasses import replace

import numpy as np
import pytest

from mobileseg.errors import ExportError
from mobileseg.export.golden import Reference, load_reference
from mobileseg.export.tolerance import LIMIT, Agreement
from mobileseg.runtime.specs import GraphFiles, ImageSpec, OutputSpec
from mobileseg.semantic.export import SemanticExport, SemanticItem, deploy_block, output_spec, task_for
from mobileseg.semantic.postprocess import labels_from_labels, resize_scores
from tests.export.conftest import SIZE, options
from tests.manifests import one_graph

TASK = SemanticExport()
SHAPE = (1, 3, 4, 5)
LOGITS = OutputSpec("logits", "logits", "float32", SHAPE, "scores-bilinear")
LABELS = OutputSpec("labels", "labels", "int32", (1, 4, 5), "labels-nearest")
PROBABILITIES = OutputSpec("probabilities", "probabilities", "float32", SHAPE, "scores-bilinear")


def softmax(logits):
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


@pytest.fixture
def item():
    logits = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    logits[0, :, 0, 0] = [1.0, 1.0 - 1e-5, 0.0]  # a tie within the limit
    best = np.sort(logits[0], axis=0)
    probabilities = softmax(logits)
    return SemanticItem(
        image=np.zeros((4, 5, 3), np.uint8),
        input=np.zeros((1, 3, 4, 5), np.float32),
        outputs={"probabilities": probabilities},
        logits=logits,
        argmax=logits[0].argmax(axis=0).astype(np.uint8),
        close=(best[-1] - best[-2]) < LIMIT * logits.std(),
        labels=logits[0].argmax(axis=0).astype(np.uint8),
        scales={"logits": float(logits.std()), "probabilities": float(probabilities.std())},
    )


def test_equal(item):
    result = TASK.compare([{"logits": item.logits}], [item], [LOGITS])
    assert (result.max_diff, result.equal, result.problems) == (0.0, 1.0, ())


@pytest.mark.parametrize(("factor", "agrees"), [(0.9, True), (1.1, False)])
def test_limit_is_in_standard_deviations_of_the_reference(item, factor, agrees):
    changed = item.logits.copy()
    changed[0, 1, 2, 3] += factor * LIMIT * item.logits.std()
    result = TASK.compare([{"logits": changed}], [item], [LOGITS])
    assert result.max_diff == pytest.approx(factor * LIMIT, rel=1e-2)
    assert (result.problems == ()) is agrees


def test_labels_may_differ_at_a_tie_only(item):
    labels = item.argmax[None].astype(np.int32)
    labels[0, 0, 0] = 1
    result = TASK.compare([{"labels": labels}], [item], [LABELS])
    assert (result.problems, result.max_diff, result.equal) == ((), None, 19 / 20)
    labels[0, 3, 3] = (labels[0, 3, 3] + 1) % 3
    problems = TASK.compare([{"labels": labels}], [item], [LABELS]).problems
    assert problems == ("image 0: 1 of 20 labels of 'labels' differ where the network is sure",)


def test_probabilities_follow_what_the_logits_may(item):
    within = softmax(item.logits + 0.9 * LIMIT * item.logits.std() * np.sign(item.logits))
    assert TASK.compare([{"probabilities": within}], [item], [PROBABILITIES]).problems == ()
    beyond = softmax(item.logits + 5 * LIMIT * item.logits.std() * np.sign(item.logits))
    assert TASK.compare([{"probabilities": beyond}], [item], [PROBABILITIES]).problems


def test_not_a_number_never_agrees(item):
    changed = item.logits.copy()
    changed[0, 0, 0, 0] = np.nan
    assert TASK.compare([{"logits": changed}], [item], [LOGITS]).problems


def test_other_size(item):
    result = TASK.compare([{"logits": item.logits[:, :, :3]}], [item], [LOGITS])
    assert "has shape [1, 3, 3, 5], the reference [1, 3, 4, 5]" in result.problems[0]
    assert result.max_diff == float("inf")


def test_normalisation_in_the_graph_leaves_paddleseg_s_block():
    assert deploy_block(options(normalize_in_graph=True))["transforms"] == [
        {"type": "Resize", "target_size": [SIZE[1], SIZE[0]]}
    ]


def test_dynamic_shapes():
    dynamic = options(dynamic=True, output_op="none")
    assert deploy_block(dynamic)["input_shape"] == [1, 3, -1, -1]
    assert [step["type"] for step in deploy_block(dynamic)["transforms"]] == ["Normalize"]
    assert output_spec(dynamic, 7).shape == (1, 7, -1, -1)


@pytest.mark.parametrize(
    ("op", "name", "dtype", "shape"),
    [
        ("labels", "labels", "int32", (1, 96, 128)),
        ("probabilities", "probabilities", "float32", (1, 7, 96, 128)),
        ("argmax", "labels", "int32", (1, 96, 128)),
        ("softmax", "probabilities", "float32", (1, 7, 96, 128)),
        ("none", "logits", "float32", (1, 7, 96, 128)),
    ],
)
def test_outputs(op, name, dtype, shape):
    spec = output_spec(options(output_op=op, output_size=(96, 128)), 7)
    assert (spec.name, spec.kind, spec.dtype, spec.shape) == (name, name, dtype, shape)


EARLY = SemanticExport(ends_early=True)


@pytest.mark.parametrize("op", ["labels", "probabilities"])
def test_results_are_made_behind_the_graph_where_that_is_exact(op):
    assert EARLY.form("paddle", options(output_op=op)).graph_op == {"labels": "argmax"}.get(op, "softmax")
    for target in ("onnx", "lite_arm", "lite_x86", "ncnn", "torchscript"):
        assert EARLY.form(target, options(output_op=op)).at_decoder
        for change in ({"dynamic": True}, {"output_size": (96, 128)}):
            assert not EARLY.form(target, options(output_op=op, **change)).at_decoder
        assert not TASK.form(target, options(output_op=op)).at_decoder
        assert not EARLY.form(target, options(output_op="argmax")).at_decoder


def test_networks_say_whether_they_can_end_at_the_decoder():
    class Coarse:
        task = "semantic"
        align_corners = False

        def coarse_logits(self, x):
            raise NotImplementedError

    class Aligned(Coarse):
        align_corners = True  # not the rule of what is behind a graph

    class Whole:
        task = "semantic"

    for kind, early in ((Coarse, True), (Aligned, False), (Whole, False)):
        assert task_for(kind(), options(), None).form("onnx", options()).at_decoder is early


def coarse_item(size, change=0):
    """A network whose decoder ends at 4x5 for an input of 16x20."""
    coarse = np.random.default_rng(1).normal(size=(1, 3, 4, 5)).astype(np.float32)
    logits = resize_scores(coarse[0], (16, 20))[None]
    argmax = logits[0].argmax(axis=0).astype(np.uint8)
    best = np.sort(logits[0], axis=0)
    labels = labels_from_labels(argmax, size).copy()
    labels[2, 3] = (labels[2, 3] + change) % 3
    return SemanticItem(
        image=np.zeros((*size, 3), np.uint8),
        input=np.zeros((1, 3, 16, 20), np.float32),
        outputs={"labels": argmax[None].astype(np.int32), "logits": coarse},
        logits=logits,
        argmax=argmax,
        close=(best[-1] - best[-2]) < LIMIT * logits.std(),
        labels=labels,
        scales={"logits": float(logits.std())},
    )


COARSE = OutputSpec("logits", "logits", "float32", (1, 3, 4, 5), "labels-nearest", (16, 20))


def test_the_end_of_a_decoder_is_compared_as_it_is_and_by_the_labels_it_makes():
    item = coarse_item((16, 20))
    value = item.outputs["logits"]
    assert TASK.compare([{"logits": value}], [item], [COARSE]) == Agreement(0.0, 1.0, ())
    changed = value.copy()
    changed[0, :, 1, 2] = changed[0, ::-1, 1, 2]
    problems = TASK.compare([{"logits": changed}], [item], [COARSE]).problems
    assert "standard deviations" in problems[0]
    assert "labels of 'logits' differ where the network is sure" in problems[1]
    shifted = replace(item, argmax=np.roll(item.argmax, 3, axis=1))  # a network that resizes by another rule
    assert "labels of 'logits' differ" in TASK.compare([{"logits": value}], [shifted], [COARSE]).problems[0]


@pytest.mark.parametrize("size", [(16, 20), (33, 21)])
def test_final_labels_of_the_end_of_a_decoder_are_replayed(size, tmp_path):
    labels = OutputSpec("labels", "labels", "int32", (1, 16, 20), "labels-nearest")
    image = ImageSpec("x", 16, 20)
    files = {"onnx": GraphFiles(model="model.onnx", output_specs=(COARSE,))}
    manifest = one_graph(
        "coarse",
        image,
        (labels,),
        files,
        classes=tuple("abc"),
        palette=((0, 0, 0),) * 3,
        files={"model.onnx": "0" * 64},
    )
    reference = Reference((coarse_item(size),), np.zeros((2, 3), np.float32))
    assert TASK.result_problems(manifest, reference) == []
    reference.save(tmp_path / "golden.npz")
    stored = load_reference(tmp_path / "golden.npz", TASK.load_item)
    assert stored.items[0].outputs["logits"].shape == (1, 3, 4, 5)
    assert TASK.result_problems(manifest, stored) == []
    wrong = replace(reference, items=(coarse_item(size, change=1),))
    assert len(TASK.result_problems(manifest, wrong)) == 2  # of both forms


def test_suppression_belongs_to_detection():
    with pytest.raises(ExportError, match="NMS in the graph is for instance segmentation"):
        TASK.check(options(nms_in_graph=True))
