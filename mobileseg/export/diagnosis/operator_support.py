"""What is known about operators before anything is converted: tables of the targets, and crashes seen.

The tables in ``lite_ops.json`` hold the operators for which Paddle Lite's optimiser has a kernel. Having a
kernel is not enough: the rules here are about operators that are listed and crash, or compute something else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from mobileseg.export.conversion.lite_compat import IMPLIED
from mobileseg.export.conversion.pdmodel import Operator, Program
from mobileseg.runtime.engines.predictors import WRONG_FUSION

LITE = ("lite_arm", "lite_x86")
_ARM = ("lite_arm",)


@dataclass(frozen=True)
class OperatorFinding:
    """Something about an operator that a target does not take as it is.

    Attributes:
        target: the target, for example 'lite_arm'.
        level: 'error' stops the export, 'note' is handled by it.
        operator: the operator, with layer and line.
        message: what is wrong.
        remedy: how to write it instead.
    """

    target: str
    level: Literal["error", "note"]
    operator: Operator
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Rule:
    """A known trap.

    Attributes:
        targets: where it applies.
        hits: whether an operator of a program falls into it.
        message: what happens.
        remedy: how to write it instead.
        level: 'error' for what fails or is wrong, 'note' for what this suite's own engine is told to avoid.
    """

    targets: tuple[str, ...]
    hits: Callable[[Operator, Program], bool]
    message: str
    remedy: str
    level: Literal["error", "note"] = "error"


REWRITES = {
    "bmm": "paddle.matmul",
    "einsum": "paddle.matmul with reshape and transpose",
    "brelu": "paddle.clip(x, 0, 6) or F.relu6 instead of Hardtanh",
    "bicubic_interp_v2": "bilinear interpolation",
    "channel_shuffle": "reshape, transpose, reshape",
    "arg_min": "paddle.argmax of the negative",
    "expand_as_v2": "paddle.expand to a fixed shape, or broadcasting",
    "nms": "NMS outside the graph",
    "deformable_conv_v1": "deform_conv2d with a mask",
    "affine_grid": "a constant grid",
    "masked_select": "multiplication with the mask",
    "quantize_linear": "the export of `mobileseg compress` instead of jit.save",
    "dequantize_linear": "the export of `mobileseg compress` instead of jit.save",
}
"""Operator without a kernel -> what to use in its place."""


def _is(*types: str) -> Callable[[Operator, Program], bool]:
    return lambda op, _program: op.type in types


def _computed_weight(op: Operator, program: Program) -> bool:
    names = op.inputs.get("Filter", ())
    return op.type in ("conv2d", "depthwise_conv2d") and not set(names) <= program.parameters()


def _adaptive(op: Operator) -> bool:
    return op.type == "pool2d" and bool(op.attrs.get("adaptive"))


def _bins(op: Operator) -> list[int]:
    return list(op.attrs.get("ksize", []))


def _arm_pool_trap(op: Operator, program: Program) -> bool:
    if not _adaptive(op) or _bins(op) == [1, 1]:
        return False
    size = program.shapes().get(op.inputs["X"][0], [])[2:]
    return _bins(op) == [3, 3] or size == _bins(op)


def _adaptive_pool(op: Operator, _program: Program) -> bool:
    return _adaptive(op) and _bins(op) != [1, 1]


def _other_grid(op: Operator, program: Program) -> bool:
    if op.type != "grid_sampler":
        return False
    shapes = program.shapes()
    return shapes.get(op.inputs["Grid"][0], [])[1:3] != shapes.get(op.inputs["X"][0], [])[2:]


def _made_matrix(op: Operator, program: Program) -> bool:
    if op.type != "matmul_v2" or op.inputs["Y"][0] in program.parameters():
        return False
    shapes = program.shapes()
    return len(shapes.get(op.inputs["X"][0], [])) == 4 and len(shapes.get(op.inputs["Y"][0], [])) == 2


def _swapped_product(op: Operator, program: Program) -> bool:
    """A product of two activations, one of them from reshape and a swap of its last two axes."""
    if op.type != "matmul_v2":
        return False
    names = op.inputs["X"][0], op.inputs["Y"][0]
    if set(names) & program.parameters():
        return False
    makers = {result: maker for maker in program.operators() for result in maker.results()}
    for name in names:
        swap = makers.get(name)
        if swap is None or swap.type != "transpose2":
            continue
        axes = list(swap.attrs.get("axis", []))
        rank = len(axes)
        if axes != [*range(rank - 2), rank - 1, rank - 2]:
            continue
        before = makers.get(swap.inputs["X"][0])
        if before is not None and before.type == "reshape2":
            return True
    return False


RULES = (
    Rule(
        ("paddle",),
        _swapped_product,
        "Paddle Inference with oneDNN, its default, computes a product after reshape and a swap of the last two axes "
        f"wrongly when it follows a convolution; this suite's engine deletes the pass {WRONG_FUSION}, other programs "
        "have to do the same",
        "paddle.matmul with transpose_x=True or transpose_y=True, without the swap",
        "note",
    ),
    Rule(
        ("paddle",),
        _made_matrix,
        "Paddle Inference computes a product of four axes by a matrix that is no parameter wrongly",
        "paddle.reshape to three axes before the product, or a parameter",
    ),
    Rule(
        LITE,
        _is("flatten_contiguous_range", "flatten", "flatten2"),
        "Paddle Lite's optimiser dies by SIGSEGV on flatten",
        "paddle.reshape",
    ),
    Rule(
        LITE,
        _is("instance_norm"),
        "Paddle saves instance_norm without the statistics that Paddle Lite's optimiser asks for, and it is refused",
        "group_norm or batch_norm",
    ),
    Rule(
        _ARM,
        _computed_weight,
        "a convolution whose weight is computed makes the optimiser die by SIGSEGV",
        "paddle.matmul of the unfolded or 1x1 features",
    ),
    Rule(
        _ARM,
        _arm_pool_trap,
        "adaptive pooling to 3 bins, or to the map's own size, takes another pooling's kernel and is wrong on ARM",
        "mobileseg.nn.pool.BinPool",
    ),
    Rule(
        ("onnx", "ncnn"),
        _adaptive_pool,
        "ONNX has no adaptive pooling: paddle2onnx writes a plain pooling, silently wrong where bins do not divide",
        "mobileseg.nn.pool.BinPool",
    ),
    Rule(
        _ARM,
        _other_grid,
        "grid_sample with a grid of another size than its input is wrong on ARM",
        "resize the grid or the input first",
    ),
)


@cache
def lite_operators(target: str) -> frozenset[str]:
    """Operators that Paddle Lite has a kernel for."""
    table = json.loads(files("mobileseg.export").joinpath("lite_ops.json").read_text(encoding="utf-8"))
    return frozenset(table[target.removeprefix("lite_")])


def check_operators(program: Program, targets: tuple[str, ...]) -> list[OperatorFinding]:
    """Compare a program with the tables and the rules, without converting anything."""
    findings = []
    for op in program.operators():
        for target in targets:
            findings.extend(_lite_findings(op, target) if target in LITE else [])
            findings.extend(
                OperatorFinding(target, rule.level, op, rule.message, rule.remedy)
                for rule in RULES
                if target in rule.targets and rule.hits(op, program)
            )
    return findings


def _lite_findings(op: Operator, target: str) -> list[OperatorFinding]:
    if op.type in IMPLIED:
        name, value = IMPLIED[op.type]
        return [OperatorFinding(target, "note", op, f"the attribute {name}={value} is written for Paddle Lite")]
    if op.type in lite_operators(target):
        return []
    remedy = REWRITES.get(op.type, "")
    return [OperatorFinding(target, "error", op, f"Paddle Lite has no kernel for '{op.type}'", remedy)]
