"""How old results are when frames come faster than a model works, and how even its frames are, for docs/video.md::

    python tools/stream_latency.py FOLDER... --rate 30 --frames 200

FOLDER holds an exported model. Frames of a drawn clip come at a steady rate, as those of a camera do, and are taken by
each policy of ``mobileseg predict --live``; 'file' takes the next frame whenever the last one is done, as with a video
file. The age of a result is the time from the moment its frame came to the moment the result is there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mobileseg import Segmenter
from mobileseg.data.synthetic.moving import STYLES, draw_moving_clip
from mobileseg.runtime.live import POLICIES, LiveFrames

FILE = "file"
WARM = 10
"""Frames before the measurement."""


class Passage(NamedTuple):
    """What became of the frames of one passage.

    Attributes:
        steps: milliseconds of every frame that was worked on.
        ages: milliseconds from the coming of its frame to its result.
        dropped: frames that were left out.
    """

    steps: list[float]
    ages: list[float]
    dropped: int


def drawn(count: int, size: tuple[int, int]) -> list[np.ndarray]:
    """Frames uint8 [H, W, 3] of drawn clips, each an object of its own."""
    rng = np.random.default_rng(0)
    shots = draw_moving_clip(rng, *size, "val", min(count, 30), STYLES["hard"])
    clip = [frame.scene.image(frame.ids, rng) for shot in shots for frame in shot]
    return [clip[number % len(clip)].copy() for number in range(count)]


def coming(frames: Sequence[np.ndarray], rate: float, came: dict[int, float]) -> Iterator[np.ndarray]:
    """Frames at the times at which a camera gives them, which are noted by the frame's id."""
    begun = time.perf_counter()
    for number, frame in enumerate(frames):
        due = begun + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        came[id(frame)] = due
        yield frame


def passage(model: Segmenter, frames: Sequence[np.ndarray], policy: str, rate: float) -> Passage:
    """Work on frames as they come."""
    stream = model.stream()
    for frame in frames[:WARM]:
        stream.step(frame)
    stream.reset()
    came: dict[int, float] = {}
    source: Iterable[np.ndarray] = frames if policy == FILE else coming(frames, rate, came)
    live = nullcontext(source) if policy == FILE else LiveFrames(source, policy)  # type: ignore[arg-type]
    steps, ages = [], []
    with live as given:
        for frame in given:
            begun = time.perf_counter()
            stream.step(frame)
            ended = time.perf_counter()
            steps.append((ended - begun) * 1e3)
            ages.append((ended - came.get(id(frame), begun)) * 1e3)
        dropped = getattr(given, "dropped", 0)
    return Passage(steps, ages, dropped)


def row(name: str, policy: str, rate: float, found: Passage) -> str:
    """A row of the table."""
    columns = [name, policy, "-" if policy == FILE else f"{rate:g}", str(len(found.steps)), str(found.dropped)]
    for values in (found.steps, found.ages):
        p50, p95 = np.percentile(values, (50, 95))
        columns.append(f"{p50:.1f}, {p95:.1f}, {max(values):.1f}")
    return f"| {' | '.join(columns)} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="exported models")
    parser.add_argument("--engine", default="auto", help="engine to run them with")
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine")
    parser.add_argument("--rate", type=float, default=30.0, help="frames per second that come (default: 30)")
    parser.add_argument("--frames", type=int, default=200, help="frames of every passage (default: 200)")
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("H", "W"), help="of the frames")
    args = parser.parse_args()
    if args.rate <= 0 or args.frames < WARM:
        parser.error(f"--rate is above 0, and --frames at least {WARM}")
    frames = drawn(args.frames, tuple(args.size))
    print("| model | frames come | per second | worked on | left out | ms a frame: p50, p95, max | age, ms |")
    print("|---|---|---|---|---|---|---|")
    for folder in args.folders:
        model = Segmenter(folder, args.engine, args.threads)
        for policy in (FILE, *POLICIES):
            print(row(folder.name, policy, args.rate, passage(model, frames, policy, args.rate)), flush=True)


if __name__ == "__main__":
    main()
