import numpy as np

from mobileseg.compress.precision.graph import add_biases_directly, without_runtime_attributes
from mobileseg.export.conversion.process import run_task
from mobileseg.export.conversion.tracing import save_paddle_graph
from tests.compress.precision.small import images, options, run


def test_biases_are_added_without_being_reshaped(prepared, tmp_path):
    program = save_paddle_graph(prepared.network, options(), tmp_path / "graph", prepared.task)
    before = [op.type for op in program.operators()]
    count = add_biases_directly(program)
    after = [op.type for op in program.operators()]
    assert count == 8
    assert before.count("reshape2") - after.count("reshape2") == count
    assert before.count("elementwise_add") == after.count("elementwise_add")
    program.write(tmp_path / "graph.pdmodel")
    np.savez(tmp_path / "in.npz", x=images()[:1])
    files = {"model": str(tmp_path / "graph.pdmodel"), "params": str(tmp_path / "graph.pdiparams")}
    run_task("native", {**files, "inputs": str(tmp_path / "in.npz"), "outputs": str(tmp_path / "out.npz")})
    with np.load(tmp_path / "out.npz") as found:
        labels = found["labels"][0]
    assert np.array_equal(labels, run(prepared.network, images()[0]).argmax(axis=0))


def test_only_attributes_of_paddles_runtime_go(prepared):
    slim = without_runtime_attributes(prepared.graphs[0].program)
    for old, new in zip(prepared.graphs[0].program.block.ops, slim.block.ops, strict=True):
        gone = {attr.name for attr in old.attrs} - {attr.name for attr in new.attrs}
        assert "op_callstack" not in {attr.name for attr in new.attrs}
        assert not gone & {"strides", "paddings", "groups", "dilations", "axis", "threshold"}
    assert len(slim.desc.SerializeToString()) < len(prepared.graphs[0].program.desc.SerializeToString())
