"""`mobileseg convert`: annotations of other tools as files that the suite reads; lists, masks, overlays."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mobileseg.commands import convert_masks
from mobileseg.commands.convert_labels import add_parts
from mobileseg.commands.outputs import keep_apart
from mobileseg.errors import DataError
from mobileseg.files import write_whole

if TYPE_CHECKING:
    from mobileseg.data.formats.exported_tracks import ExportedVideo, FrameCount

HELP = "make list files, masks, coloured labels, overlays, or a YouTube-VIS file of video annotations"

_KINDS = "CVAT for video 1.1 (.xml), COCO with track ids (.json) or Label Studio's JSON"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Subcommands tracks, masks, split, lists, labelme, palette and overlays."""
    parts = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    tracks = parts.add_parser("tracks", help="a YouTube-VIS file of video annotations from CVAT or Label Studio")
    _add_tracks(tracks)
    convert_masks.add_part(parts)
    add_parts(parts)
    for part in parts.choices.values():
        part.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks")


def _add_tracks(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(part=_tracks)
    parser.add_argument("source", type=Path, help=f"export, or a folder of exports, one per video: {_KINDS}")
    parser.add_argument("output", type=Path, help="YouTube-VIS file to write")
    parser.add_argument(
        "--frames",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder with one folder of frames per video, named as the export (without suffix) or as the video in it",
    )
    parser.add_argument("--boxes", action="store_true", help="take boxes as rectangular masks; else they are left out")


def run(args: argparse.Namespace) -> int:
    """What was asked for; 0 when it is done."""
    args.part(args)
    return 0


def _tracks(args: argparse.Namespace) -> None:
    from mobileseg.data.formats.exported_tracks import frame_folders, youtube_vis_document

    keep_apart(args.output, [args.source])
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


def _exports(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    found = sorted(path for path in source.iterdir() if path.suffix.lower() in (".xml", ".json") and path.is_file())
    if not found:
        raise DataError(f"{source} has no export in it", remedy=f"put these there: {_KINDS}")
    return found


def _read(path: Path, frames: dict[str, FrameCount], *, boxes: bool) -> dict[str, ExportedVideo]:
    from mobileseg.data.formats.annotation_json import read_json
    from mobileseg.data.formats.coco_tracks import read_coco_tracks
    from mobileseg.data.formats.cvat_video import read_cvat
    from mobileseg.data.formats.label_studio_video import read_label_studio

    if path.suffix.lower() == ".xml":
        return {path.stem: read_cvat(path, boxes=boxes)}
    document = read_json(path, f"name an export: {_KINDS}")
    if isinstance(document, list):
        return read_label_studio(path, frames, boxes=boxes)
    return {path.stem: read_coco_tracks(path)}
