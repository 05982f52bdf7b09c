"""The curves of a run as an image: loss, the validation's scores and learning rate over the iterations.

python tools/plot_run.py output/NAME docs/images/NAME.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mobileseg.commands.report import read_run
from mobileseg.errors import MobileSegError
from mobileseg.viz.charts import write_charts
from mobileseg.viz.history import read_history
from mobileseg.viz.run_charts import run_charts


def main() -> int:
    """Read log.jsonl, draw a panel per chart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("image", type=Path, help="PNG or SVG to write")
    args = parser.parse_args()
    try:
        _, task = read_run(args.run)
    except MobileSegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    args.image.parent.mkdir(parents=True, exist_ok=True)
    write_charts(args.image, run_charts(read_history(args.run), task))
    return 0


if __name__ == "__main__":
    sys.exit(main())
