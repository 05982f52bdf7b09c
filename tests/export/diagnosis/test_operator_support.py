import pytest

from mobileseg.export.conversion.pdmodel import Operator
from mobileseg.export.diagnosis.operator_support import REWRITES, RULES, check_operators, lite_operators

TARGETS = ("paddle", "lite_arm", "lite_x86", "onnx", "ncnn")


class FakeProgram:
    """Operators on maps of 4x6, with one parameter named 'weight'."""

    def __init__(self, *operators):
        self._operators = operators

    def operators(self):
        return list(self._operators)

    def shapes(self):
        return {
            "x": [1, 8, 4, 6],
            "square": [1, 8, 4, 4],
            "grid": [1, 4, 6, 2],
            "other": [1, 8, 8, 2],
            "matrix": [6, 2],
        }

    def parameters(self):
        return {"weight"}


def op(kind, attrs=None, **inputs):
    return Operator(1, kind, {key: (value,) for key, value in inputs.items()}, {"Out": ("y",)}, attrs or {})


def targets_of(operator, level="error"):
    return {item.target for item in check_operators(FakeProgram(operator), TARGETS) if item.level == level}


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (op("conv2d", Filter="weight"), set()),
        (op("conv2d", Filter="x"), {"lite_arm"}),
        (op("flatten_contiguous_range", X="x"), {"lite_arm", "lite_x86"}),
        (op("bmm", X="x"), {"lite_arm", "lite_x86"}),
        (op("einsum", X="x"), {"lite_arm", "lite_x86"}),
        (op("pool2d", {"adaptive": True, "ksize": [1, 1]}, X="x"), set()),
        (op("pool2d", {"adaptive": True, "ksize": [2, 2]}, X="x"), {"onnx", "ncnn"}),
        (op("pool2d", {"adaptive": True, "ksize": [3, 3]}, X="x"), {"lite_arm", "onnx", "ncnn"}),
        (op("pool2d", {"adaptive": True, "ksize": [4, 4]}, X="square"), {"lite_arm", "onnx", "ncnn"}),
        (op("pool2d", {"adaptive": False, "ksize": [3, 3]}, X="x"), set()),
        (op("grid_sampler", X="x", Grid="grid"), set()),
        (op("grid_sampler", X="x", Grid="other"), {"lite_arm"}),
        (op("affine_grid", X="x"), {"lite_x86"}),
        (op("mean", X="x"), {"lite_x86"}),
        (op("matmul_v2", X="x", Y="matrix"), {"paddle"}),
        (op("matmul_v2", X="x", Y="weight"), set()),
        (op("matmul_v2", X="x", Y="x"), set()),
        (op("matmul_v2", X="matrix", Y="matrix"), set()),
    ],
    ids=lambda value: value.type if isinstance(value, Operator) else "",
)
def test_traps(operator, expected):
    assert targets_of(operator) == expected


@pytest.mark.parametrize("kind", ["relu6", "swish"])
def test_missing_attributes_are_a_note(kind):
    assert targets_of(op(kind, X="x")) == set()
    assert targets_of(op(kind, X="x"), "note") == {"lite_arm", "lite_x86"}


def test_every_rewrite_is_for_an_operator_without_kernel():
    for name in REWRITES:
        assert name not in lite_operators("lite_arm") or name not in lite_operators("lite_x86"), name


def test_every_rule_says_what_to_write_instead():
    assert all(rule.remedy and rule.message for rule in RULES)


@pytest.mark.parametrize("target", ["lite_arm", "lite_x86"])
def test_table_is_the_optimiser_s_own(target, capfd):
    """The bundled table, against what the installed paddlelite prints."""
    lite = pytest.importorskip("paddlelite.lite")
    opt = lite.Opt()
    opt.set_valid_places(target.removeprefix("lite_"))
    opt.print_supported_ops()
    lines = capfd.readouterr().out.splitlines()
    header = next(index for index, line in enumerate(lines) if "OP_name" in line)
    places = lines[header].split()[1:]
    ends = {place: lines[header].index(place) + len(place) for place in places}
    printed = set()
    for line in lines[header + 1 :]:
        name, _, _ = line.strip().partition(" ")
        if not name:
            continue
        marks = [index for index, char in enumerate(line) if char == "Y" and index > line.index(name) + len(name) - 1]
        hit = {min(ends, key=lambda place: abs(ends[place] - 1 - mark)) for mark in marks}
        if hit - {"kUnk"}:
            printed.add(name)
    assert printed == lite_operators(target)
