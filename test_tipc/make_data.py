"""Draw the dataset of a chain: `mobileseg.data.synthetic.datasets` with the sizes of a text file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mobileseg.data.synthetic.datasets import generate
from mobileseg.errors import MobileSegError


def main() -> int:
    """Draw, unless the folder holds the same dataset already."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", required=True, type=Path, help="folder to write")
    parser.add_argument("--size", required=True, nargs=2, type=int, metavar=("H", "W"), help="of every image")
    parser.add_argument("--train", required=True, type=int, metavar="N", help="training images")
    parser.add_argument("--val", required=True, type=int, metavar="N", help="validation images")
    args = parser.parse_args()
    try:
        fresh = generate(args.root, train=args.train, val=args.val, size=args.size, clips=0, val_clips=0)
    except MobileSegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{args.root}: {'generated' if fresh else 'already there'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
