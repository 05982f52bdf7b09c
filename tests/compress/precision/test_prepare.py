from dataclasses import replace

import paddle
import paddle.nn.functional as F
import pytest

from mobileseg.compress.fold import fold_norms
from mobileseg.compress.precision.prepare import graphs_for, trace
from mobileseg.errors import CompressionError
from tests.compress.precision.small import SIZE, SUBJECT, EndsEarly, options, small

TARGETS = ("paddle", "onnx", "lite_arm")


def traced(network, work, **changes):
    fold_norms(network, SIZE)
    return trace(network, replace(options(), **changes), SUBJECT, work)


def shape_of_answer(graph):
    (name,) = graph.program.outputs()
    return graph.program.shapes()[name]


def test_all_targets_but_paddle_end_at_the_decoder(tmp_path):
    early = traced(small(EndsEarly), tmp_path)
    forms = graphs_for(early, TARGETS, tmp_path)
    assert forms["paddle"] is early.graphs
    assert forms["onnx"] is forms["lite_arm"]  # traced once
    assert shape_of_answer(forms["paddle"][0]) == [1, 32, 48]
    assert shape_of_answer(forms["onnx"][0]) == [1, 3, 16, 24]
    assert graphs_for(early, ["paddle"], tmp_path / "nowhere") == {"paddle": early.graphs}  # nothing is traced again


def test_one_trace_is_for_all_where_the_graph_ends_in_labels(prepared, tmp_path):
    for number, whole in enumerate((prepared, traced(small(EndsEarly), tmp_path, output_op="argmax"))):
        assert graphs_for(whole, TARGETS, tmp_path / f"{number}") == dict.fromkeys(TARGETS, whole.graphs)


class TwoHeads(EndsEarly):
    """Claims that its logits come from one use of the head, and sums two."""

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        levels = [self.heads[0](level) for level in self.backbone(x)]
        size = [x.shape[2], x.shape[3]]
        fine, coarse = (F.interpolate(level, size=size, mode="bilinear") for level in levels)
        return {"logits": fine + coarse}


def test_other_kernels_at_the_decoder_are_refused(tmp_path):
    with pytest.raises(
        CompressionError, match=r"other kernels .* at the decoder \(\d+\) than .* results \(\d+\)"
    ) as caught:
        graphs_for(traced(small(TwoHeads), tmp_path), TARGETS, tmp_path)
    assert "export.output_op=argmax" in str(caught.value)


@pytest.mark.parametrize("bias", [False, True])
def test_only_what_the_graph_ends_with_is_named_otherwise(tmp_path, bias):
    network = small(EndsEarly)
    if bias:
        network.heads[0].out = paddle.nn.Conv2D(8, 3, 1)
    early = traced(network, tmp_path)
    forms = graphs_for(early, TARGETS, tmp_path)
    whole, coarse = forms["paddle"][0], forms["onnx"][0]
    shapes, other = whole.program.shapes(), coarse.program.shapes()
    ((old, new),) = coarse.renamed.items()
    assert new == "logits" == coarse.program.outputs()[0]
    assert shapes[old] == other[new]
    assert (old == whole.calls["heads.0.out"][0].output) is not bias  # what is added to the kernel's answer
    assert {name: other[name] for name in other if name != new} == {name: shapes[name] for name in other if name != new}
