"""mobileseg: segmentation networks for phones, from a YAML file to a verified artefact.

Importing the package is cheap: Paddle, OpenCV and the engines are loaded by the names that need them.
"""

# Paddle 2.6 wheels carry a zlib of their own; whoever loads first wins, and if it is Paddle
# the next zlib.compress (PNG, NPZ) crashes. So Python's zlib goes first, before anything else.
import sys
import zlib  # noqa: F401
from importlib import import_module
from typing import TYPE_CHECKING, Any

if "paddle" in sys.modules:
    from mobileseg.load_order import refuse_paddle_before_zlib

    refuse_paddle_before_zlib()

__version__ = "0.1.0"

_LAZY = {
    "load_config": "mobileseg.config.load",
    "build_network": "mobileseg.config.build",
    "Segmenter": "mobileseg.runtime.segmenter",
}

__all__ = ["Segmenter", "__version__", "build_network", "load_config"]

if TYPE_CHECKING:
    from mobileseg.config.build import build_network
    from mobileseg.config.load import load_config
    from mobileseg.runtime.segmenter import Segmenter


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'mobileseg' has no attribute '{name}'")
