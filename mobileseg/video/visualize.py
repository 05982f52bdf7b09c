"""What showing results must know about video instance segmentation (the contract: :mod:`mobileseg.viz.task`).

Frames are shown as images are, their objects in the colours of their tracks.
"""

from __future__ import annotations

from mobileseg.instance.visualize import (  # noqa: F401
    LOSS_PARTS,
    curves,
    results_file,
    scores,
    track_files,
    truth,
    visualizer,
)

TRACKS_BY_DEFAULT = True
"""Videos are what these models are for, so their objects have ids unless the caller wants none."""
