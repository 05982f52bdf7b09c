"""The pass that makes Paddle 2.6 programs readable for Paddle Lite 2.13.

Paddle stopped writing some attributes whose default is implied; Lite's optimiser insists on them and aborts
("No attributes called threshold found for relu6"). Writing the implied value changes nothing for Paddle.
"""

from __future__ import annotations

from mobileseg.export.conversion.pdmodel import FLOAT, Program

IMPLIED = {"relu6": ("threshold", 6.0), "swish": ("beta", 1.0)}
"""Operator -> the attribute that Lite reads, and the value that Paddle implies."""


def add_implied_attributes(program: Program) -> int:
    """Write the implied attributes into a program in place; returns how many operators were changed."""
    changed = 0
    for op in program.block.ops:
        if op.type not in IMPLIED:
            continue
        name, value = IMPLIED[op.type]
        if any(attr.name == name for attr in op.attrs):
            continue
        attr = op.attrs.add()
        attr.name, attr.type, attr.f = name, FLOAT, value
        changed += 1
    return changed
