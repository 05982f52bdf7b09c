"""A folder on the device with the program in it, for as long as a script runs."""

from __future__ import annotations

import shlex
import signal
import struct
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from phone.adb import Adb, Finished
from phone.artefact import Artefact
from phone.errors import DEPENDENCY, DeviceError

ROOT = "/data/local/tmp"
"""The folder of a phone where the debug bridge may write and run programs."""

PROGRAM = "mobileseg_lite"

_MACHINES = {3: "x86", 40: "arm", 62: "x86_64", 183: "aarch64"}  # e_machine of ELF -> uname -m


class Session:
    """The program on the device.

    Args:
        adb: the device.
        folder: on the device, removed at the end.
        timeout: seconds that a call of the program may take.
    """

    def __init__(self, adb: Adb, folder: str, timeout: float) -> None:
        self.adb = adb
        self.folder = folder
        self.timeout = timeout

    def push_artefact(self, artefact: Artefact, name: str) -> str:
        """Copy what the program reads of an exported model; where it lies on the device."""
        target = f"{self.folder}/{name}"
        self._must(f"mkdir -p {shlex.quote(target)}")
        for file in artefact.files:
            parent = str(Path(target, file).parent.as_posix())
            if parent != target:
                self._must(f"mkdir -p {shlex.quote(parent)}")
            self.adb.push(artefact.folder / file, f"{target}/{file}")
        return target

    def run(self, *words: str) -> Finished:
        """Run the program.

        Raises:
            DeviceError: it cannot be started, was killed by a signal, or ended with an exit code other than 0, which
                is then the error's.
        """
        folder = shlex.quote(self.folder)
        line = " ".join(shlex.quote(word) for word in words)
        done = self.adb.shell(
            f"cd {folder} && TMPDIR={folder} LD_LIBRARY_PATH={folder}/app {folder}/app/{PROGRAM} {line}",
            timeout=self.timeout,
            what=f"{PROGRAM} {words[0]}",
        )
        if done.code:
            raise _failure(done, words[0])
        return done

    def _must(self, script: str) -> None:
        done = self.adb.shell(script, what="making folders")
        if done.code:
            raise DeviceError(f"`{script}` failed on {self.adb.serial}: {done.last}", f"{ROOT} must be writable")


@contextmanager
def session(adb: Adb, app: Path, libraries: Sequence[Path], *, timeout: float) -> Iterator[Session]:
    """Push the program and its libraries; remove everything at the end, whatever happens in between.

    Args:
        adb: the device.
        app: mobileseg_lite, built for the device. Shared libraries beside it are pushed too.
        libraries: further shared libraries.
        timeout: seconds that a call of the program may take.

    Raises:
        DeviceError: a file is missing, the program is for another processor, or it could not be copied.
    """
    for path in (app, *libraries):
        if not path.is_file():
            raise DeviceError(f"there is no file {path}", "docs/phone.md tells how to build mobileseg_lite")
    check_processor(adb, app)
    made = Session(adb, f"{ROOT}/{PROGRAM}.{uuid.uuid4().hex[:8]}", timeout)
    folder = shlex.quote(made.folder)
    beside = sorted(path for path in app.parent.glob("lib*.so*") if path.is_file())
    try:
        made._must(f"mkdir -p {folder}/app")
        for path in dict.fromkeys([*beside, *libraries]):
            adb.push(path, f"{made.folder}/app/{path.name}")
        adb.push(app, f"{made.folder}/app/{PROGRAM}")
        made._must(f"chmod 755 {folder}/app/{PROGRAM}")
        yield made
    finally:
        try:
            adb.shell(f"rm -rf {folder}", what="cleaning up")
        except DeviceError as error:  # the first error, if any, is the one to tell
            print(f"warning: {made.folder} was left on the device: {error.message}", file=sys.stderr)


def check_processor(adb: Adb, app: Path) -> None:
    """Compare the program's processor with the device's; what is no ELF file is not judged.

    Raises:
        DeviceError: they differ.
    """
    with open(app, "rb") as file:
        head = file.read(20)
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return
    number = struct.unpack("<H" if head[5] == 1 else ">H", head[18:20])[0]
    ours = _MACHINES.get(number, f"processor {number}")
    theirs = adb.shell("uname -m", what="reading the processor").out.strip()
    same = {"armv7l": "arm", "armv8l": "arm", "i686": "x86"}.get(theirs, theirs)
    if theirs and ours != same and (ours, same) not in (("arm", "aarch64"), ("x86", "x86_64")):
        raise DeviceError(f"{app} is a program for {ours}, the device is {theirs}", "build it for the device")


def _failure(done: Finished, verb: str) -> DeviceError:
    said = (done.err.strip() or done.out.strip()).removeprefix("error: ")
    if done.code > 128:
        number = done.code - 128
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        remedy = (
            "the system ended it, most likely for want of memory: close other apps, use a smaller input"
            if name == "SIGKILL"
            else "run `selftest` and check that the .nb is of the runtime's version; `adb logcat` has the stack"
        )
        return DeviceError(f"{PROGRAM} {verb} crashed with {name}{': ' + said if said else ''}", remedy)
    if "CANNOT LINK" in said or "error while loading shared libraries" in said:
        return DeviceError(f"{PROGRAM} cannot start: {said}", "name the missing library with --lib", DEPENDENCY)
    if done.code in (126, 127):
        return DeviceError(f"{PROGRAM} cannot start: {said}", "build it for the device's processor and Android")
    if "No space left on device" in said:
        return DeviceError(f"the storage of the device is full: {said}", "free some space on the phone")
    return DeviceError(f"{PROGRAM} {verb} ended with exit code {done.code}: {said}", exit_code=done.code)
