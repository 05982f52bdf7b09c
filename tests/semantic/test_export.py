import numpy as np
import pytest

from mobileseg.errors import ExportError
from mobileseg.export.tolerance import LIMIT
from mobileseg.runtime.specs import OutputSpec
from mobileseg.semantic.export import SemanticExport, SemanticItem, deploy_block, output_spec
from tests.export.conftest import SIZE, options

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
        ("argmax", "labels", "int32", (1, 96, 128)),
        ("softmax", "probabilities", "float32", (1, 7, 96, 128)),
        ("none", "logits", "float32", (1, 7, 96, 128)),
    ],
)
def test_outputs(op, name, dtype, shape):
    spec = output_spec(options(output_op=op, output_size=(96, 128)), 7)
    assert (spec.name, spec.kind, spec.dtype, spec.shape) == (name, name, dtype, shape)


def test_suppression_belongs_to_detection():
    with pytest.raises(ExportError, match="NMS in the graph is for instance segmentation"):
        TASK.check(options(nms_in_graph=True))
