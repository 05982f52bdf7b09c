"""What a resume does to the checkpoints of a run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mobileseg.training.distributed import Processes
from mobileseg.training.run_state import RunState
from mobileseg.training.store import CheckpointStore


def continue_line(
    state: RunState, store: CheckpointStore, resumed: Path, processes: Processes, say: Callable[[str], None]
) -> None:
    """Make what was resumed the only line of the run folder, with the best weights that its state knows.

    Args:
        state: resumed; forgets its best score where the weights of it are gone.
        store: of the run folder.
        resumed: checkpoint folder.
        processes: the first one moves folders, all hear of it.
        say: told what was done.
    """
    found = False
    if processes.is_main:
        aside = store.roll_back(state.iteration)
        if aside is not None:
            say(f"checkpoints after iteration {state.iteration} are of a line that ends: moved to {aside}")
        store.catch_up(resumed)
        found = state.best is not None and store.adopt_best(state.best["iteration"], resumed)
    if state.best is not None and not processes.largest(int(found)):
        say(
            f"the weights of the best score so far ({state.best['score']:.4f} at {state.best['iteration']}) are not "
            "there any more: the next evaluation is the best"
        )
        state.best, state.stale_evals = None, 0
