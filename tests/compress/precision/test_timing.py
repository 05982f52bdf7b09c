import pytest

from mobileseg.compress.precision.timing import time_onnx
from mobileseg.errors import CompressionError
from mobileseg.export.conversion.onnx import convert


def test_graphs_are_timed_in_turn(prepared, tmp_path):
    (graph,) = prepared.graphs
    convert(graph.model, graph.params, tmp_path / "a.onnx", 13)
    found = time_onnx([tmp_path / "a.onnx"] * 2, runs=3, threads=1)
    assert len(found) == 2
    assert min(found) > 0


def test_a_graph_that_cannot_be_run_is_an_error(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(CompressionError, match="cannot be timed"):
        time_onnx([tmp_path / "bad.onnx"], runs=1, threads=1)
