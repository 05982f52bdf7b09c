"""Says in one line what something runs on: `python tools/environment.py "all tests on"`."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version

from mobileseg import __version__, converter, paddle_version


def line() -> str:
    """Versions of what decides about numbers, and the converter environment where this one needs it."""
    found = [f"mobileseg {__version__}", f"Python {platform.python_version()}", str(paddle_version.installed())]
    found += [f"{name} {version(name)}" for name in ("numpy", "opencv-python")]
    elsewhere = f"; converter environment: {converter.place()}" if converter.is_needed() else ""
    return ", ".join(found) + elsewhere


if __name__ == "__main__":
    print(*sys.argv[1:], line(), flush=True)
