"""The checkpoints of one run folder: which are there, which is the newest whole one, which are dropped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from mobileseg.errors import TrainingError
from mobileseg.locks import locked, remove_partial_files
from mobileseg.training.checkpoint import STATE, Checkpoint, link_checkpoint, read_state, recover, write_checkpoint
from mobileseg.training.paddleseg_resume import is_paddleseg_checkpoint
from mobileseg.weights.quantised import refuse_exported

CHECKPOINTS, LAST, BEST = "checkpoints", "last", "best"
ABANDONED = "abandoned"
"""Beginning of the names of folders with checkpoints of a line that a roll-back ended."""

LOCK = ".lock"


class CheckpointStore:
    """Keeps the checkpoints of a run.

    Args:
        run: the run folder.
        keep: how many ``checkpoints/iter_<n>`` stay; 0 or less keeps all. ``last`` and ``best`` always stay.
    """

    def __init__(self, run: Path, keep: int = 3) -> None:
        self.run = run
        self.keep = keep

    def lock(self) -> AbstractContextManager[bool]:
        """Inside, no other process trains in this run folder; released however this one ends.

        Raises:
            TrainingError: another one does.
        """
        busy = TrainingError(
            f"another process is training in {self.run}",
            remedy="wait until it has ended, or name another folder with --save_dir",
        )
        return locked(self.run / LOCK, busy)

    def prepare(self) -> None:
        """Create the folders and tidy up after a killed process; call before writing, while holding the lock."""
        (self.run / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        recover(self.run)
        recover(self.run / CHECKPOINTS)
        remove_partial_files(self.run)

    def roll_back(self, iteration: int) -> Path | None:
        """Set aside what was saved after an iteration, so that a run which continues there is the only line.

        Call it before writing, in one process only.

        Returns:
            Where the later checkpoints are now, None without any.
        """
        places = [*self._numbered(), self.run / LAST, self.run / BEST]
        later = [place for place in places if place.is_dir() and _iteration(place) > iteration]
        if not later:
            return None
        number = 1 + sum(1 for _ in self.run.glob(f"{ABANDONED}_*"))
        aside = self.run / f"{ABANDONED}_{number}"
        aside.mkdir()
        for place in later:
            place.rename(aside / place.name)
        return aside

    def adopt_best(self, iteration: int, resumed: Path) -> bool:
        """Have the best checkpoint of an iteration as ``best``: the one that is here, or else that of another run.

        Args:
            iteration: of the best evaluation that a resumed state knows.
            resumed: checkpoint folder, perhaps of that run.

        Returns:
            Whether there is one now.
        """
        own = self.run / BEST
        if own.is_dir() and _iteration(own) == iteration:
            return True
        source = run_folder_of(resumed)
        for other in (source / BEST, source / CHECKPOINTS / f"iter_{iteration:06d}", resumed):
            if other.resolve() != own.resolve() and other.is_dir() and _iteration(other) == iteration:
                read_state(other)
                link_checkpoint(other, own)
                return True
        return False

    def catch_up(self, resumed: Path) -> None:
        """Have a checkpoint of this run as ``last``; a process that was killed behind writing it left the one before.

        Args:
            resumed: checkpoint folder, perhaps of another run, whose ``last`` is none of this one.
        """
        last = self.run / LAST
        if resumed.resolve().is_relative_to(self.run.resolve()) and _iteration(last) != _iteration(resumed):
            link_checkpoint(resumed, last)

    def save(self, iteration: int, checkpoint: Checkpoint, *, numbered: bool = True, best: bool = False) -> Path:
        """Save a checkpoint as ``last``.

        Args:
            iteration: what the numbered folder is called after.
            checkpoint: its content.
            numbered: also keep it as ``checkpoints/iter_<iteration>`` and drop the oldest of these beyond ``keep``.
            best: also keep it as ``best``.
        """
        last = self.run / LAST
        if numbered:
            folder = self.run / CHECKPOINTS / f"iter_{iteration:06d}"
            write_checkpoint(folder, checkpoint)
            link_checkpoint(folder, last)
        else:
            write_checkpoint(last, checkpoint)
        if best:
            link_checkpoint(last, self.run / BEST)
        if self.keep > 0:
            for old in self._numbered()[self.keep :]:
                shutil.rmtree(old, ignore_errors=True)
        return folder if numbered else last

    def newest(self, say: Callable[[str], None]) -> Path | None:
        """The whole checkpoint of the highest iteration, None when the run has none at all.

        Damaged ones are passed over with a message through ``say``.

        Raises:
            TrainingError: there are checkpoints, but none is whole.
        """
        candidates = [*self._numbered(), self.run / LAST, self.run / f".old-{LAST}"]
        found = sorted((path for path in candidates if path.is_dir()), key=_iteration, reverse=True)
        for folder in found:
            try:
                read_state(folder)
            except TrainingError as error:
                say(f"{error.message}; trying the one before")
            else:
                return folder
        if found:
            raise TrainingError(
                f"none of the {len(found)} checkpoints in {self.run} is whole",
                remedy="start anew with another --save_dir, from the weights of a checkpoint if they can be read",
            )
        return None

    def _numbered(self) -> list[Path]:
        return sorted((self.run / CHECKPOINTS).glob("iter_*"), key=_iteration, reverse=True)


def find_checkpoint(path: Path, say: Callable[[str], None]) -> Path:
    """The checkpoint that a path means: a checkpoint folder itself, or the newest whole one of a run folder.

    Raises:
        TrainingError: there is nothing at the path, or nothing whole.
    """
    if not path.exists():
        raise TrainingError(f"there is nothing to resume at {path}", remedy="name a run folder or a checkpoint folder")
    refuse_exported(path)
    if path.is_file():
        path = path.parent
    if is_paddleseg_checkpoint(path):
        return path
    if (path / CHECKPOINTS).is_dir() or (path / LAST).is_dir():
        newest = CheckpointStore(path).newest(say)
        if newest is None:
            raise TrainingError(f"the run folder {path} has no checkpoint yet", remedy="start it without --resume")
        return newest
    read_state(path)
    return path


def run_folder_of(path: Path) -> Path:
    """The run folder that a run folder, a checkpoint folder or a file in one belongs to."""
    folder = path.parent if path.is_file() else path
    if folder.parent.name == CHECKPOINTS:
        return folder.parent.parent
    if folder.name in (LAST, BEST):
        return folder.parent
    return folder


def _iteration(folder: Path) -> int:
    """Iteration of a checkpoint folder, from its name or its state; -1 when neither can be read."""
    number = folder.name.removeprefix("iter_")
    if number.isascii() and number.isdigit():
        return int(number)
    try:
        return int(json.loads((folder / STATE).read_text(encoding="utf-8"))["iteration"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return -1
