import pytest

from mobileseg.errors import ExportError
from mobileseg.export.options import TARGETS, ExportOptions, check_targets


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 0}, "both sides must be positive"),
        ({"output_op": "sigmoid"}, "expected one of labels, probabilities, argmax, softmax, none"),
        ({"input_dtype": "uint8"}, "needs the normalisation inside the graph"),
        ({"dynamic": True, "output_size": (8, 8)}, "cannot end at a fixed output size"),
        ({"std": (0.0, 1.0, 1.0)}, "every value must be positive"),
        ({"opset": 9}, "supported are 11 to 17"),
    ],
)
def test_contradictions(changes, message):
    with pytest.raises(ExportError, match=message):
        ExportOptions(**({"height": 8, "width": 8} | changes))


@pytest.mark.parametrize(
    ("layout", "shape", "open_shape"), [("NCHW", [1, 3, 4, 6], [1, 3, -1, -1]), ("NHWC", [1, 4, 6, 3], [1, -1, -1, 3])]
)
def test_input_shape(layout, shape, open_shape):
    options = ExportOptions(4, 6, layout=layout)
    assert options.input_shape() == shape
    assert options.input_shape(open_size=True) == open_shape


def test_targets_come_in_one_order():
    assert check_targets(["ncnn", "paddle", "ncnn"]) == ("paddle", "ncnn")
    assert check_targets(TARGETS) == TARGETS
    with pytest.raises(ExportError, match="none given"):
        check_targets([])


@pytest.mark.parametrize("fields", [{"height": 20000, "width": 20000}, {"output_size": (4097, 4096)}])
def test_sizes_beyond_the_budget_are_refused(fields):
    with pytest.raises(ExportError, match=r"at most 16,777,216 can be exported"):
        ExportOptions(**{"height": 64, "width": 64, **fields})
    ExportOptions(4096, 4096)
