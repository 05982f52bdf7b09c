"""What this machine is, and whether other programs keep it busy: what a reader of a latency needs to judge it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

IDLE = 0.25
"""Cores that other programs may keep busy before latencies are called too high."""


def machine() -> dict[str, Any]:
    """``cpu`` (its name), ``cores``, ``system`` and, where Linux tells, ``governor`` (of the clock's frequency)."""
    facts: dict[str, Any] = {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor.is_file():
        facts["governor"] = governor.read_text(encoding="ascii").strip()
    return facts


def load_of_others(say: Callable[[str], None], *, seconds: float = 1.0) -> float:
    """Cores that are busy while this process sleeps; call it before anything is timed.

    The system's load average would not do: it is a mean over minutes, in which this process's own work counts.

    Args:
        say: warned when more than `IDLE` cores are busy.
        seconds: how long to watch.

    Returns:
        Number of cores, 0 to all of them.
    """
    cores = os.cpu_count() or 1
    busy = round(psutil.cpu_percent(interval=seconds) / 100.0 * cores, 2)
    if busy > IDLE:
        say(
            f"warning: other programs keep {busy:.1f} of {cores} cores busy; "
            "latencies will be too high and will scatter"
        )
    return busy


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
