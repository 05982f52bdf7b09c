"""What the recipes of `mobileseg compress` that start from one network have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mobileseg.config.load import Config


@dataclass
class Recipe:
    """One call of a recipe.

    Attributes:
        config: with ``compress`` and what else the recipe reads.
        load: builds the network to start from, see :meth:`mobileseg.commands.recipes.common.Job.network`.
        source: its weights, None for random ones.
        folder: for the results.
        say: told what is going on.
    """

    config: Config
    load: Callable[[], Any]
    source: Path | None
    folder: Path
    say: Callable[[str], None] = print
    _dataset: Any = field(default=None, init=False)

    @property
    def _zoo(self) -> Path | None:
        """The folder of the weights, which may hold reference images."""
        return self.source if self.source is not None and self.source.is_dir() else None
