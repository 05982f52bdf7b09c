"""The one kind of error of the device scripts, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable

USAGE, INPUT, DISAGREEMENT, DEVICE, DEPENDENCY = 2, 3, 6, 7, 8
"""Exit codes, the same numbers as those of mobileseg_lite and of the Python commands."""


class DeviceError(Exception):
    """Something that the reader can act on.

    Args:
        message: what was seen and what was expected.
        remedy: the smallest thing to do about it.
        exit_code: of the script.
    """

    def __init__(self, message: str, remedy: str = "", exit_code: int = DEVICE) -> None:
        self.message = message
        self.exit_code = exit_code
        super().__init__(f"{message}\n  hint: {remedy}" if remedy else message)


def ended(work: Callable[[], int]) -> int:
    """Do the work of a script; an error is one message and an exit code."""
    try:
        return work()
    except DeviceError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    except OSError as error:  # of the computer: a folder that cannot be written, a full disk
        name = f"{error.filename}: " if error.filename else ""
        print(f"error: {name}{error.strerror or error}", file=sys.stderr)
        return INPUT
