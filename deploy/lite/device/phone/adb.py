"""Android's debug bridge: the few calls that are needed, each failure with a message and a remedy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from phone.errors import DEPENDENCY, USAGE, DeviceError

_EXIT = "mobileseg-exit="  # before Android 7 `adb shell` did not hand on the exit code
_FULL = "No space left on device"

_STATES = {
    "unauthorized": "unlock the phone and accept 'Allow USB debugging?', then try again",
    "offline": "unplug the phone and connect it again; `adb kill-server` helps when that does not",
    "no permissions": "this computer may not open the USB device: see `adb devices` for the page on udev rules",
}


@dataclass(frozen=True)
class Finished:
    """How a command on the device ended: exit code (128 + signal when it was killed), and what it printed."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of what it said, errors first; '' when it said nothing."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return lines[-1].strip() if lines else ""


class Adb:
    """One device.

    Args:
        program: path of adb.
        serial: of the device, as `adb devices` prints it.
    """

    def __init__(self, program: str, serial: str) -> None:
        self.program = program
        self.serial = serial

    @classmethod
    def connect(cls, serial: str | None = None) -> Adb:
        """The device with this serial number, else with that of ANDROID_SERIAL, else the only one.

        Raises:
            DeviceError: no adb, no device, several of them, or one that does not let us in.
        """
        program = shutil.which("adb")
        if program is None:
            raise DeviceError(
                "there is no program `adb` on PATH",
                "install Android's platform tools (Debian: apt-get install adb)",
                DEPENDENCY,
            )
        listed = _call([program, "devices"], 60, "adb devices")
        if listed.code:
            raise DeviceError(f"`adb devices` failed: {listed.last}", "try `adb kill-server`, then again")
        states = _states(listed.out)
        wanted = serial or os.environ.get("ANDROID_SERIAL")
        names = ", ".join(f"{name} ({state})" for name, state in states.items())
        if not states:
            raise DeviceError(
                "no device is connected",
                "connect a phone by USB with USB debugging enabled (Settings, Developer options); "
                "`adb devices` must list it",
            )
        if wanted is None and len(states) > 1:
            raise DeviceError(f"several devices are connected: {names}", "choose one with --serial", USAGE)
        if wanted is not None and wanted not in states:
            raise DeviceError(f"there is no device {wanted}, adb lists {names}", "see --serial", USAGE)
        chosen = wanted or next(iter(states))
        if states[chosen] != "device":
            state = states[chosen]
            raise DeviceError(
                f"device {chosen} is in state '{state}', expected 'device'",
                next((text for name, text in _STATES.items() if state.startswith(name)), "start Android on it"),
            )
        return cls(program, chosen)

    def shell(self, script: str, *, timeout: float = 60, what: str = "a command") -> Finished:
        """Run a script of the device's own shell.

        Args:
            script: POSIX sh; whoever builds it quotes the words (`shlex.quote`).
            timeout: seconds.
            what: of the work, for the message.

        Raises:
            DeviceError: the connection was lost, or the time is over. Not for an exit code.
        """
        done = self._run(["shell", f"( {script}\n); code=$?; echo; echo {_EXIT}$code"], timeout, what)
        found = re.search(rf"^\n?{_EXIT}(\d+)\s*\Z", done.out, re.MULTILINE)
        if found is None:
            raise DeviceError(
                f"the connection to {self.serial} was lost during {what}{': ' + done.last if done.last else ''}",
                "check the cable; a phone that restarted was too hot or out of memory",
            )
        out = done.out[: found.start()].removesuffix("\n")
        return Finished(int(found.group(1)), out, done.err)

    def push(self, source: Path, target: str) -> None:
        """Copy a file to the device.

        Raises:
            DeviceError: it did not arrive.
        """
        done = self._run(["push", str(source), target], 1200, f"the copy of {source.name}")
        if done.code == 0:
            return
        if _FULL in done.out + done.err:
            megabytes = source.stat().st_size / 1e6
            raise DeviceError(
                f"the storage of {self.serial} is full: {source.name} ({megabytes:.1f} MB) does not fit",
                "free some space on the phone (`adb shell df /data` shows it)",
            )
        raise DeviceError(f"cannot copy {source} to {self.serial}: {done.last}", "check the cable, then try again")

    def pull(self, source: str, target: Path) -> None:
        """Copy a file or folder from the device.

        Raises:
            DeviceError: it did not arrive.
        """
        done = self._run(["pull", source, str(target)], 1200, f"the copy of {source}")
        if done.code == 0 and target.exists():
            return
        if _FULL in done.out + done.err:
            raise DeviceError(f"the disk with {target.parent} is full", "free some space, or choose another --output")
        raise DeviceError(f"cannot copy {source} from {self.serial}: {done.last}", "check the cable, then try again")

    def _run(self, words: list[str], timeout: float, what: str) -> Finished:
        return _call([self.program, "-s", self.serial, *words], timeout, what)


def _call(command: list[str], timeout: float, what: str) -> Finished:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"{what} took more than {timeout:.0f} seconds",
            "check that the phone answers (`adb shell true`); --timeout allows a slow program more",
        ) from None
    except OSError as error:
        raise DeviceError(f"cannot run {command[0]}: {error.strerror}", "install adb again", DEPENDENCY) from None
    return Finished(done.returncode, done.stdout.replace("\r\n", "\n"), done.stderr.replace("\r\n", "\n"))


def _states(text: str) -> dict[str, str]:
    """Serial -> state, from `adb devices`; lines of the server that starts begin with '*'."""
    found = {}
    for line in text.splitlines():
        serial, tab, state = line.partition("\t")
        if tab and not line.startswith("*"):
            found[serial.strip()] = state.strip()
    return found
