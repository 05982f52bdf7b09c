"""Flags that both scripts take."""

from __future__ import annotations

import argparse
from pathlib import Path

POWERS = ("high", "low", "full", "no-bind", "rand-high", "rand-low")
DEFAULT_APP = "build/android/mobileseg_lite"


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """The program, its libraries, the device."""
    parser.add_argument(
        "--app", type=Path, default=Path(DEFAULT_APP), metavar="FILE", help=f"mobileseg_lite (default: {DEFAULT_APP})"
    )
    parser.add_argument(
        "--lib", type=Path, nargs="+", default=[], metavar="FILE", help="shared libraries that do not lie beside it"
    )
    parser.add_argument(
        "--serial", help="device, as `adb devices` prints it (default: ANDROID_SERIAL, or the only one)"
    )
    parser.add_argument(
        "--any-version", action="store_true", help="load a .nb that another version of Paddle Lite wrote"
    )
    parser.add_argument("--timeout", type=float, default=1800, metavar="S", help="seconds per call (default: 1800)")
