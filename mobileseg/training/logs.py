"""Where a run reports to: terminal, JSON lines, VisualDL; and the meter that measures what is reported."""

from __future__ import annotations

import json
import math
import sys
import time
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import paddle
from tqdm import tqdm

from mobileseg.errors import DependencyError
from mobileseg.viz.history import LOG


class RunningMeans:
    """Averages between two log lines, without waiting for the device until they are read."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start a new interval."""
        self.started = time.perf_counter()
        self.waited = 0.0
        self.iterations = 0
        self._sums: dict[str, paddle.Tensor] = {}

    def add(self, losses: dict[str, paddle.Tensor], waited: float) -> None:
        """Take in the losses of an iteration and the seconds it waited for data."""
        self.iterations += 1
        self.waited += waited
        for name, value in losses.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value

    def names(self) -> list[str]:
        """Names of the losses, in the order of :meth:`means`."""
        return list(self._sums)

    def means(self) -> paddle.Tensor:
        """Mean of each loss, float32 [number of losses]."""
        return paddle.stack([value.reshape([]) for value in self._sums.values()]) / self.iterations

    def speed(self, images_per_iteration: int) -> dict[str, float]:
        """``images_per_s``, ``data_wait`` (share of the time, 0..1) and ``seconds`` per iteration."""
        elapsed = max(time.perf_counter() - self.started, 1e-9)
        return {
            "images_per_s": self.iterations * images_per_iteration / elapsed,
            "data_wait": self.waited / elapsed,
            "seconds": elapsed / max(self.iterations, 1),
        }


class RunLog:
    """Reports events of a run; silent in all processes but the main one.

    Args:
        folder: run folder; ``log.jsonl`` is appended to.
        iters: iterations of the whole run, for the bar.
        active: False silences everything.
        visualdl: also write VisualDL records to ``folder``/vdl.
        stream: where the progress goes; a bar on a terminal, plain lines elsewhere.

    Raises:
        DependencyError: VisualDL was asked for and is not installed.
    """

    def __init__(
        self, folder: Path, iters: int, *, active: bool = True, visualdl: bool = False, stream: TextIO | None = None
    ) -> None:
        self.folder = folder
        self.active = active
        self.iters = iters
        self.stream = stream or sys.stderr
        self._file = _open_log(folder / LOG) if active else None
        self._bar: Any = None
        self._unread = False
        self._writer = _visualdl_writer(folder / "vdl") if visualdl and active else None

    def start(self, iteration: int) -> None:
        """Show the bar, if the stream is a terminal."""
        if self.active and self.stream.isatty():
            self._bar = tqdm(total=self.iters, initial=iteration, file=self.stream, unit="it", dynamic_ncols=True)

    def advance(self) -> None:
        """One iteration was done."""
        if self._bar is not None:
            try:
                self._bar.update(1)
            except (OSError, ValueError):
                self._unread, self._bar = True, None

    def say(self, text: str) -> None:
        """A line for the reader; training goes on when nobody reads any more (`| head`) or the device is full."""
        if self.active and not self._unread:
            try:
                tqdm.write(text, file=self.stream)
                self.stream.flush()
            except (OSError, ValueError):  # ValueError: of a stream that was closed
                self._unread = True
                self._bar = None

    def event(self, kind: str, **values: Any) -> None:
        """Write one line of ``log.jsonl``; numbers of train and eval events also go to VisualDL."""
        if self._file is not None:
            self._file.write(
                json.dumps({"event": kind, **{key: _finite(value) for key, value in values.items()}}) + "\n"
            )
            self._file.flush()
        if self._writer is not None and kind in ("train", "eval"):
            for name, value in values.items():
                if name != "iter" and isinstance(value, (int, float)):
                    self._writer.add_scalar(f"{kind}/{name}", value, values["iter"])

    def train(self, values: dict[str, Any]) -> None:
        """Report a train event: ``iter``, ``loss``, ``lr``, ``images_per_s``, ``data_wait``, ``eta``."""
        self.event("train", **values)
        shown = (
            f"loss {values['loss']:.4f}  lr {values['lr']:.6f}  {values['images_per_s']:.1f} images/s  "
            f"waiting for data {100 * values['data_wait']:.1f} %"
        )
        if self._bar is not None:
            self._bar.set_postfix_str(shown)
        else:
            self.say(f"[train] {values['iter']}/{self.iters}  {shown}  ETA {clock(values['eta'])}")

    def close(self) -> None:
        """Flush and release everything."""
        if self._bar is not None:
            with suppress(OSError, ValueError):
                self._bar.close()
        if self._writer is not None:
            self._writer.close()
        if self._file is not None:
            self._file.close()


def clock(seconds: float) -> str:
    """h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _open_log(path: Path) -> TextIO:
    file = open(path, "a+b")  # noqa: SIM115  # closed by RunLog.close
    if file.tell():
        file.seek(-1, 2)
        if file.read(1) != b"\n":  # the process before was killed in the middle of a line
            file.write(b"\n")
    return TextIOWrapper(file, encoding="utf-8")


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _visualdl_writer(folder: Path) -> Any:
    try:
        from visualdl import LogWriter
    except ImportError as error:
        raise DependencyError(
            "VisualDL logging needs the package visualdl", remedy="pip install visualdl, or leave --use_vdl out"
        ) from error
    return LogWriter(str(folder))
