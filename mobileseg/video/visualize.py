"""What showing results must know about video instance segmentation (the contract: :mod:`mobileseg.viz.task`).

Frames are shown as images are.
"""

from __future__ import annotations

from mobileseg.instance.visualize import (  # noqa: F401
    LOSS_PARTS,
    curves,
    results_file,
    scores,
    truth,
    visualizer,
)
