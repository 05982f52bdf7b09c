"""Paddle program to Paddle Lite's ``.nb``, through the optimiser inside the paddlelite wheel."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mobileseg.errors import ExportError
from mobileseg.export.conversion.lite_compat import add_implied_attributes
from mobileseg.export.conversion.pdmodel import Program
from mobileseg.export.conversion.process import run_task

PLACES = {"lite_arm": "arm", "lite_x86": "x86"}
"""Target -> name of the place for the optimiser."""


def convert(
    model: str | os.PathLike[str], params: str | os.PathLike[str], out: str | os.PathLike[str], target: str
) -> str:
    """Convert in a process of its own; returns the optimiser's version.

    Args:
        model: ``.pdmodel``; a copy with Lite's missing attributes is what the optimiser reads.
        params: ``.pdiparams``.
        out: path of the ``.nb`` file.
        target: 'lite_arm' or 'lite_x86'.

    Raises:
        Failure: the optimiser refused the program or died.
    """
    out = Path(out)
    patched = out.with_name(out.name + ".compat.pdmodel")
    program = Program.read(model)
    add_implied_attributes(program)
    program.write(patched)
    try:
        answer = run_task(
            "lite", {"model": str(patched), "params": str(params), "out": str(out), "place": PLACES[target]}
        )
    finally:
        patched.unlink(missing_ok=True)
    return str(answer["version"])


def optimise(model: str, params: str, out: str, place: str) -> str:
    """Run the optimiser in this process, which it may end; returns its version.

    Raises:
        ExportError: it came back without a file.
    """
    from paddlelite import lite

    written = Path(out + ".nb")  # the optimiser appends the suffix by itself
    opt = lite.Opt()
    opt.set_model_file(model)
    opt.set_param_file(params)
    opt.set_valid_places(place)
    opt.set_model_type("naive_buffer")
    opt.set_optimize_out(out)
    opt.run()
    if not written.is_file() or written.stat().st_size == 0:
        raise ExportError("the optimiser came back without writing a file")
    shutil.move(written, out)
    return str(opt.version())
