"""The part of `mobileseg convert` for masks whose classes are colours."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mobileseg.commands.outputs import keep_apart
from mobileseg.errors import ConfigError, DataError

_UNKNOWN = "add them to the file of colours, or give all of them one index with --others"


def add_part(parts: Any) -> None:
    """The subcommand masks."""
    masks = parts.add_parser("masks", help="masks whose classes are colours, to index masks")
    masks.add_argument("source", type=Path, help="folder of masks; those in folders below keep their place")
    masks.add_argument("output", type=Path, help="folder for the index masks, to write")
    masks.add_argument(
        "--colors",
        type=Path,
        metavar="FILE",
        help="'R G B name' per line, in the order of the classes; name ignore: 255",
    )
    masks.add_argument("--others", type=int, metavar="V", help="index of colours that FILE does not have, 0 to 255")
    masks.set_defaults(part=_masks)


def _masks(args: argparse.Namespace) -> None:
    import numpy as np

    from mobileseg.data.colour_masks import mask_files, read_colours, shares, to_indices
    from mobileseg.data.io import read_image
    from mobileseg.folders import put_in_place, staged
    from mobileseg.viz.mask_file import write_mask

    files = mask_files(args.source)
    if args.others is not None and not 0 <= args.others <= 255:
        raise ConfigError(f"--others is {args.others}, expected 0 to 255")
    if args.colors is None:
        found = shares(np.concatenate([read_image(path).reshape(-1, 3) for path in files[:20]])[None], most=255)
        raise ConfigError(
            f"--colors names no file of colours; the first {min(len(files), 20)} masks have {found}",
            remedy="write 'R G B name' per line, in the order of the classes",
        )
    table = read_colours(args.colors)
    keep_apart(args.output, [args.source])
    if args.output.exists() and (not args.output.is_dir() or any(args.output.iterdir())):
        raise ConfigError(f"{args.output} exists and is not empty", remedy="name another folder for the output")
    counts = np.zeros(256, np.int64)
    with staged(args.output, DataError) as stage:
        for path in files:
            try:
                indices = to_indices(read_image(path), table, others=args.others)
            except DataError as error:
                raise DataError(f"{path}: {error.message}", remedy=error.remedy or _UNKNOWN) from error
            target = (stage / path.relative_to(args.source)).with_suffix(".png")
            target.parent.mkdir(parents=True, exist_ok=True)
            write_mask(target, indices, table.palette)
            counts += np.bincount(indices.ravel(), minlength=256)
        put_in_place(stage, args.output)
    print(f"{args.output}: {len(files)} masks of {len(table.classes)} classes")
    for index, name in [*enumerate(table.classes), (255, "ignored")]:
        if index < 255 or counts[255]:
            print(f"  {index:3d} {name}: {100 * counts[index] / counts.sum():.2f} %")
