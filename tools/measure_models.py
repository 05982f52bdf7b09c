"""Fill in what `mobileseg models --recommend` says of costs and times: count, export without training, benchmark.

    python tools/measure_models.py --runs 40

Weights do not matter for time. All networks are exported to every engine, then timed in turns in one run. What was
published of them is left as it stands in the file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mobileseg.benchmarking.rows import load_rows
from mobileseg.commands import recommendations
from mobileseg.commands.models import costs
from mobileseg.files import write_whole

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=40, help="timed runs of each network and engine (default: 40)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder of the exports; those that are there are kept")
    args = parser.parse_args()
    document = recommendations.read()
    with tempfile.TemporaryDirectory() as scratch:
        place = args.keep or Path(scratch)
        folders = {}
        for network in document["networks"]:
            network |= counted(network)
            folders[network["config"]] = exported(network, place)
        rows = timed(list(folders.values()), args.runs, Path(scratch, "rows"))
    engines = sorted({row["engine"] for row in rows})
    for network in document["networks"]:
        folder = folders[network["config"]].as_posix()
        network["latency_ms"] = {
            row["engine"]: round(row["total"].get("mean_ms", row["total"]["median_ms"]), 1)
            for row in rows
            if row["folder"] == folder and row.get("frame") in (None, "stream")
        }
    command = f"python tools/measure_models.py --runs {args.runs}"
    document["measured"] = {"command": command, "runs": args.runs, "cpu": rows[0]["cpu"], "engines": engines}
    write_whole(recommendations.FILE, json.dumps(document, indent=1) + "\n")
    print("\n".join(recommendations.lines(document)))
    return 0


def counted(network: dict[str, Any]) -> dict[str, Any]:
    """Multiply-adds in millions and learned numbers, as deployed, at the size of the input."""
    height, width = network["input"]
    whole, *_parts = costs(ROOT / "configs" / network["config"], [width, height])
    return {"mmacs": whole["MMACs"], "parameters": whole["parameters"]}


def exported(network: dict[str, Any], place: Path) -> Path:
    """The folder of an untrained network of every target that this machine converts to."""
    folder = place / Path(network["config"]).stem
    if not (folder / "deploy.yaml").is_file():
        height, width = map(str, network["input"])
        words = ["export", str(ROOT / "configs" / network["config"]), "--untrained", "--size", height, width]
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "mobileseg", *words, "--save_dir", str(folder)], check=True)
    return folder


def timed(folders: list[Path], runs: int, output: Path) -> list[dict[str, Any]]:
    """Rows of `mobileseg benchmark` for all folders in turns."""
    words = ["benchmark", *map(str, folders), "--runs", str(runs), "--output", str(output)]
    subprocess.run([sys.executable, "-m", "mobileseg", *words], check=True)
    return load_rows(output / "benchmark.json")


if __name__ == "__main__":
    sys.exit(main())
