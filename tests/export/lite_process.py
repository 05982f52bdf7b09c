"""Paddle Lite in a process of its own, for graphs that kill it: ``python lite_process.py MODEL INPUT``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np


def run_lite(model: Path, image: np.ndarray) -> int:
    """Exit code of one run, negative for death by signal."""
    fed = model.with_suffix(".npy")
    np.save(fed, image)
    return subprocess.run([sys.executable, __file__, str(model), str(fed)], check=False, capture_output=True).returncode


if __name__ == "__main__":
    import zlib  # noqa: F401  # before Paddle Lite's own

    from paddlelite import lite

    config = lite.MobileConfig()
    config.set_model_from_file(sys.argv[1])
    predictor = lite.create_paddle_predictor(config)
    predictor.get_input(0).from_numpy(np.ascontiguousarray(np.load(sys.argv[2]), np.float32))
    predictor.run()
