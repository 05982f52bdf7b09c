#!/usr/bin/env python3
"""Stands in for mobileseg_lite where it cannot be built: the same verbs, made-up results.

STANDIN_FAULT: signal name, exit code, 'link', 'nothing' or 'full', only in the verb after ':' when there is one.
"""

import json
import os
import signal
import sys
from pathlib import Path


def value(flag: str, default: str = "") -> str:
    words = sys.argv
    return words[words.index(flag) + 1] if flag in words else default


def figures(scale: float) -> dict[str, float]:
    return {"median_ms": scale, "p95_ms": scale * 2, "max_ms": scale * 3}


def benchmark(model: Path) -> None:
    stages = {
        name: figures(1.0 + i) for i, name in enumerate(("decode", "preprocess", "inference", "postprocess", "draw"))
    }
    row = {"folder": str(model), "name": "standin", "engine": "lite_arm (C++)", "input": "48x32"}
    row |= {"threads": int(value("--threads")), "power": value("--power"), "runs": int(value("--runs"))}
    row |= {"stages": stages, "total": figures(15.0), "cpu": "aarch64", "image": "48x32"}
    row |= {"versions": {}, "date": "2030-01-01T00:00:00+00:00"}
    Path(value("--output")).write_text(json.dumps({"format": 1, "rows": [row]}))


def segment(verb: str, source: Path) -> None:
    out = Path(value("--output"))
    for part in ("overlay", "labels", "json"):
        (out / part).mkdir(parents=True)
    times = {"decode": 1.0, "preprocess": 0.5, "inference": 20.0, "postprocess": 0.25}
    record = {"source": str(source), "times_ms": times}
    if verb == "image":
        (out / "overlay" / f"{source.stem}.png").write_bytes(source.read_bytes())
        (out / "json" / f"{source.stem}.json").write_text(json.dumps(record))
    else:
        count = int(value("--max-frames", "3"))
        (out / "overlay" / f"{source.stem}.mp4").write_bytes(source.read_bytes())
        cold = {"source": "x", "times_ms": {**times, "inference": 500.0}}
        lines = [json.dumps(cold)] + [json.dumps(record)] * (count - 1)
        (out / "json" / f"{source.stem}.jsonl").write_text("\n".join(lines) + "\n")


def main() -> int:
    verb, model = sys.argv[1], Path(sys.argv[2])
    fault, _, where = os.environ.get("STANDIN_FAULT", "").partition(":")
    if fault and where in ("", verb, value("--power")):
        if fault.startswith("SIG"):
            os.kill(os.getpid(), signal.Signals[fault])
        if fault == "link":
            print('CANNOT LINK EXECUTABLE "mobileseg_lite": library "libopencv_java4.so" not found', file=sys.stderr)
            return 1
        if fault == "full":
            print("error: cannot write out: No space left on device", file=sys.stderr)
            return 3
        if fault == "nothing":
            if verb == "benchmark":
                Path(value("--output")).write_text('{"format": 1, "rows": []}')
            else:
                (Path(value("--output")) / "json").mkdir(parents=True)
            return 0
        print("error: stage inference differs\n  hint: export again", file=sys.stderr)
        return int(fault)
    if not (model / "deploy.json").is_file() or not os.environ["TMPDIR"]:
        return 7
    if verb == "benchmark":
        benchmark(model)
    elif verb in ("image", "video"):
        segment(verb, Path(sys.argv[3]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
