"""The sizes at which graphs are verified."""

from __future__ import annotations

from mobileseg.errors import ExportError
from mobileseg.export.options import ExportOptions


def verified_sizes(options: ExportOptions, multiple: int) -> list[tuple[int, int]]:
    """(height, width) of the export size, and for a dynamic shape of another aspect ratio.

    Args:
        options: size, and whether the shape is dynamic.
        multiple: sides of the network's input are multiples of it.

    Raises:
        ExportError: the shape is dynamic and the export size is no multiple.
    """
    first = options.height, options.width
    if not options.dynamic:
        return [first]
    if options.height % multiple or options.width % multiple:
        raise ExportError(
            f"a dynamic graph of this network takes sizes that are multiples of {multiple}, "
            f"the export size is {options.height}x{options.width}",
            remedy=f"--size {_up(options.height, multiple)} {_up(options.width, multiple)}, or drop --dynamic",
        )
    return [first, (_up(options.height // 2, multiple), _up(options.width + multiple, multiple))]


def _up(length: int, multiple: int) -> int:
    return max(multiple, -(-length // multiple) * multiple)
