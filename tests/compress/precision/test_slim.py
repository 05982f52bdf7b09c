import pytest

from mobileseg.compress.precision import slim
from mobileseg.compress.precision.ranges import float_weights
from mobileseg.compress.precision.streams import record_inputs
from mobileseg.errors import CompressionError, DependencyError
from mobileseg.export.conversion.pdmodel import Program
from tests.compress.precision.small import streams


def test_without_paddleslim_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(slim, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"needs PaddleSlim") as caught:
        slim.require_paddleslim()
    assert "paddleslim==2.6.0" in str(caught.value.remedy)
    assert "setuptools<81" in str(caught.value.remedy)


@pytest.mark.parametrize("algorithm", ["hist", "mse"])
def test_other_algorithms_give_tighter_ranges(prepared, ranges, algorithm, tmp_path):
    (graph,), known = prepared.graphs, ranges.graphs["main"]
    inputs = record_inputs(prepared, streams(), tmp_path)["main"]
    found, largest = slim.calibrate(graph.model, inputs, algorithm)
    for layer in ranges.layers:
        for call in graph.calls[layer]:
            assert 0 < found[call.input] <= 1.01 * largest[call.input]
            assert known.limits[call.input] <= largest[call.input] == known.largest[call.input]


def test_a_graph_is_written_with_known_ranges(prepared, ranges, tmp_path):
    (graph,) = prepared.graphs
    skipped = float_weights(graph.program, ranges.layers[1:])
    slim.write_graph(graph.model, ranges.graphs["main"].limits, skipped, tmp_path / "out")
    program = Program.read(tmp_path / "out" / "model.pdmodel")
    kinds = [op.type for op in program.operators()]
    assert kinds.count("fake_quantize_range_abs_max") == 6  # two layers read the same tensor
    kernels = [op for op in program.operators() if "Filter" in op.inputs]
    rounded = [op for op in kernels if op.inputs["Input"][0].endswith(".quantized")]
    assert (len(kernels), len(rounded)) == (8, 7)
    assert [op.inputs["Filter"][0] for op in kernels if op not in rounded] == skipped


def test_a_failure_is_an_error_of_the_suite(prepared, tmp_path):
    with pytest.raises(CompressionError, match="PaddleSlim cannot quantise the graph"):
        slim.calibrate(tmp_path / "absent.pdmodel", [], "avg")
