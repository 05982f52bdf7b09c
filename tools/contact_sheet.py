"""Evenly spaced frames of a video as one image, for docs/video.md::

python tools/contact_sheet.py demo/video/followed/overlay/clip.mp4 docs/images/clip.jpg --columns 4 --rows 2
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mobileseg.errors import MobileSegError
from mobileseg.pixels import resize
from mobileseg.runtime.video import VideoReader


def sheet(frames: Sequence[np.ndarray], rows: int, columns: int, width: int) -> np.ndarray:
    """Evenly spaced frames in reading order, uint8 [H, W, 3]; of a short clip the last one comes again.

    Args:
        frames: uint8 [h, w, 3] of one size, at least one.
        rows: of the sheet.
        columns: of the sheet.
        width: of each frame, in pixels; the height follows.
    """
    height = max(1, round(frames[0].shape[0] * width / frames[0].shape[1]))
    places = np.linspace(0, len(frames) - 1, rows * columns).round().astype(int)
    small = [resize(frames[place], (height, width), cv2.INTER_AREA) for place in places]
    lines = [np.concatenate(small[row * columns : (row + 1) * columns], axis=1) for row in range(rows)]
    return np.concatenate(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, help="video")
    parser.add_argument("image", type=Path, help="file to write, .jpg or .png")
    parser.add_argument("--rows", type=int, default=2)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--width", type=int, default=240, help="of a frame, in pixels (default: 240)")
    parser.add_argument("--max_frames", type=int, default=600, help="of the video, to look at (default: 600)")
    args = parser.parse_args(arguments)
    if min(args.rows, args.columns, args.width, args.max_frames) < 1:
        parser.error("--rows, --columns, --width and --max_frames are at least 1")
    try:
        with VideoReader(args.clip) as video:
            frames = [frame for _, frame in zip(range(args.max_frames), video, strict=False)]
    except MobileSegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    whole = cv2.cvtColor(sheet(frames, args.rows, args.columns, args.width), cv2.COLOR_RGB2BGR)
    args.image.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.image), whole, [cv2.IMWRITE_JPEG_QUALITY, 88]):
        print(f"error: {args.image} cannot be written", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
