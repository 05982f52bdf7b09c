"""The folder of what is downloaded or computed once."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "MOBILESEG_CACHE"


def cache_folder() -> Path:
    """The folder that MOBILESEG_CACHE names, or ~/.cache/mobileseg."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else Path.home() / ".cache" / "mobileseg"
