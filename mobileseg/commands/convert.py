"""`mobileseg convert`: annotations of other tools as files that the suite reads."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mobileseg.errors import ConfigError, DataError
from mobileseg.files import write_whole

if TYPE_CHECKING:
    from mobileseg.data.formats.exported_tracks import ExportedVideo, FrameCount

HELP = "make annotations of other tools readable: masks of colours, and tracks from CVAT or Label Studio"

_OWN = "name a folder of its own for the output"
_UNKNOWN = "add them to the file of colours, or give all of them one index with --others"
_KINDS = "CVAT for video 1.1 (.xml), COCO with track ids (.json) or Label Studio's JSON"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A parser for each kind of annotation."""
    parts = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
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
    tracks = parts.add_parser("tracks", help="objects of videos with ids, to a YouTube-VIS file")
    tracks.add_argument("source", type=Path, help=f"export, or a folder of exports, one per video: {_KINDS}")
    tracks.add_argument("output", type=Path, help="YouTube-VIS file to write")
    tracks.add_argument(
        "--frames",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder with one folder of frames per video, named as the export (without suffix) or as the video in it",
    )
    tracks.add_argument("--boxes", action="store_true", help="take boxes as rectangular masks; else they are left out")
    for part in (masks, tracks):
        part.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks")


def run(args: argparse.Namespace) -> int:
    """Convert what was asked for."""
    return _masks(args) if args.what == "masks" else _tracks(args)


def _masks(args: argparse.Namespace) -> int:
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
    inside, outside = args.source.resolve(), args.output.resolve()
    if outside == inside or inside in outside.parents or outside in inside.parents:
        raise ConfigError(f"the output {args.output} and the input {args.source} hold each other", remedy=_OWN)
    if args.output.exists() and (not args.output.is_dir() or any(args.output.iterdir())):
        raise ConfigError(f"{args.output} exists and is not empty", remedy=_OWN)
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
    return 0


def _tracks(args: argparse.Namespace) -> int:
    from mobileseg.data.formats.exported_tracks import frame_folders, youtube_vis_document

    source = args.source.resolve()
    if args.output.resolve() == source or args.output.resolve().parent == source:
        raise ConfigError(f"the file {args.output} would be written into the exports", remedy="write it elsewhere")
    frames = frame_folders(args.frames)
    videos: dict[str, ExportedVideo] = {}
    for path in _exports(args.source):
        for name, video in _read(path, frames, boxes=args.boxes).items():
            if name in videos:
                raise DataError(f"the video {name} is in two exports, one is {path}", remedy="keep one of them")
            videos[name] = video
    left_out = sum(video.boxes for video in videos.values())
    if not any(video.tracks for video in videos.values()):
        seen = f"{left_out} boxes, but no mask" if left_out else "no object with a mask"
        raise DataError(
            f"{args.source} has {seen}",
            remedy="annotate with polygons or masks, or take boxes as rectangular masks with --boxes",
        )
    document = youtube_vis_document(videos, args.frames)
    write_whole(args.output, json.dumps(document) + "\n")
    masks = sum(len(track.masks) for video in videos.values() for track in video.tracks)
    print(
        f"{args.output}: {len(videos)} videos, {len(document['annotations'])} tracks, {masks} masks, classes "
        f"{', '.join(entry['name'] for entry in document['categories'])}"
    )
    if left_out:
        print(f"left out: {left_out} boxes (--boxes takes them as rectangular masks)")
    return 0


def _exports(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    found = sorted(path for path in source.iterdir() if path.suffix.lower() in (".xml", ".json") and path.is_file())
    if not found:
        raise DataError(f"{source} has no export in it", remedy=f"put these there: {_KINDS}")
    return found


def _read(path: Path, frames: dict[str, FrameCount], *, boxes: bool) -> dict[str, ExportedVideo]:
    from mobileseg.data.formats.coco_json import read_json
    from mobileseg.data.formats.coco_tracks import read_coco_tracks
    from mobileseg.data.formats.cvat_video import read_cvat
    from mobileseg.data.formats.label_studio_video import read_label_studio

    if path.suffix.lower() == ".xml":
        return {path.stem: read_cvat(path, boxes=boxes)}
    document = read_json(path, f"name an export: {_KINDS}")
    if isinstance(document, list):
        return read_label_studio(path, frames, boxes=boxes)
    return {path.stem: read_coco_tracks(path)}
