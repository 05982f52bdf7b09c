from mobileseg.compress.precision.ranges import Call, GraphRanges, find_calls, float_weights


def test_a_layer_that_is_used_twice_has_two_calls_with_one_kernel(prepared):
    calls = prepared.graphs[0].calls
    assert list(calls) == [
        "backbone.stem.0",
        "backbone.depthwise.0",
        "backbone.linear.0",
        "backbone.down.0",
        "heads.0.inner",
        "heads.0.out",
    ]
    inner = calls["heads.0.inner"]
    assert len(inner) == 2
    assert inner[0].weight == inner[1].weight
    assert inner[0].input != inner[1].input
    left = float_weights(prepared.graphs[0].program, [layer for layer in calls if not layer.startswith("heads")])
    assert left == sorted([inner[0].weight, calls["heads.0.out"][0].weight])


def test_ranges_are_the_largest_values_that_layers_read(prepared, ranges):
    assert ranges.images == 3
    assert ranges.layers == prepared.layers
    # What a ReLU6 gives cannot be larger than 6.
    assert 0 < ranges.inputs_of("backbone.depthwise.0")[0] <= 6
    assert len(ranges.inputs_of("heads.0.out")) == 2


def test_a_graph_without_kernels_has_no_calls(prepared):
    empty = prepared.graphs[0].program.copy()
    del empty.block.ops[:]
    assert find_calls(empty) == {}


def test_ranges_of_a_trace_that_ends_earlier_follow_its_names():
    found = GraphRanges({"x": 1.0, "last": 2.0}, {"x": 3.0, "last": 4.0}, {"conv": (Call("w", "x", "last"),)})
    calls = {"conv": (Call("w", "x", "logits"),)}
    assert found.renamed({"last": "logits"}) == GraphRanges({"x": 1.0, "logits": 2.0}, {"x": 3.0, "logits": 4.0}, calls)
    assert found.renamed({}) == found
