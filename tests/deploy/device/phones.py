"""A phone that is a folder, and the device scripts run against it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[2] / "deploy" / "lite" / "device"

PROPERTIES = {
    "ro.product.manufacturer": "Maker",
    "ro.product.model": "Model 9",
    "ro.soc.model": "SM8150",
    "ro.build.version.release": "12",
    "ro.product.cpu.abi": "arm64-v8a",
}


@dataclass
class Phone:
    """A fake device.

    Attributes:
        root: folder of the test.
        variables: environment of the scripts.
    """

    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The phone's file system."""
        return self.root / "phone"

    @property
    def storage(self) -> Path:
        """Where the scripts work on the phone."""
        return self.folder / "data/local/tmp"

    def run(self, script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts, as a user does."""
        variables = {
            **os.environ,
            "PATH": f"{self.root / 'tools'}:{os.environ['PATH']}",
            "FAKE_PHONE": str(self.folder),
        }
        for name in ("ANDROID_SERIAL", "DISPLAY", "WAYLAND_DISPLAY", "PYTHONPATH"):
            variables.pop(name, None)
        command = [sys.executable, str(SCRIPTS / script), *map(str, words)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=variables | self.variables,
            cwd=self.root,
            timeout=300,
        )

    def calls(self) -> list[list[str]]:
        """Every call of adb so far."""
        log = self.folder / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []


def made_phone(root: Path) -> Phone:
    """A phone with one core, two sensors and a battery, and adb beside it."""
    phone = Phone(root)
    (root / "tools").mkdir()
    program(root / "tools/adb", HERE / "fake_adb.py")
    phone.storage.mkdir(parents=True)
    binaries = phone.folder / "bin"
    binaries.mkdir()
    cases = "\n".join(f'    {name}) echo "{value}" ;;' for name, value in PROPERTIES.items())
    script(binaries / "getprop", f'case "$1" in\n{cases}\nesac')
    script(
        binaries / "dumpsys", '[ "$1" = battery ] && printf "  USB powered: true\\n  level: 81\\n  temperature: 314\\n"'
    )
    for number, (name, value) in enumerate([("cpu-0-0", 45200), ("broken", -40000)]):
        zone = phone.folder / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(f"{name}\n")
        (zone / "temp").write_text(f"{value}\n")
    clock = phone.folder / "sys/devices/system/cpu/cpu0/cpufreq"
    clock.mkdir(parents=True)
    for name, text in {
        "governor": "schedutil",
        "cur_freq": "1785600",
        "min_freq": "300000",
        "max_freq": "2841600",
    }.items():
        (clock / f"scaling_{name}").write_text(f"{text}\n")
    return phone


def standin(root: Path) -> Path:
    """The stand-in program as a user would name it."""
    (root / "app").mkdir(exist_ok=True)
    return program(root / "app/mobileseg_lite", HERE / "standin_app.py")


def artefact(folder: Path, *, size: tuple[int, int] = (32, 48), **changes: object) -> Path:
    """A folder with just what the scripts look at."""
    folder.mkdir(parents=True)
    names = {"lite_arm": {"model": "model.arm.nb"}, "onnx": {"model": "model.onnx"}}
    block = {
        "format": 2,
        "name": "net",
        "image": {"name": "x", "height": size[0], "width": size[1]},
        "graphs": {"main": {"files": names}},
        "pipelines": {"main": ["main"]},
        "golden": "golden.npz",
    }
    (folder / "deploy.json").write_text(json.dumps({"mobileseg": block | changes}))
    for name in ("deploy.yaml", "model.arm.nb", "model.onnx", "tail.arm.nb", "golden.npz", "anchors.npy"):
        (folder / name).write_bytes(name.encode())
    return folder


def program(target: Path, source: Path) -> Path:
    """A Python file as a program, run by this interpreter."""
    first, _, rest = source.read_text().partition("\n")
    assert first.startswith("#!")
    target.write_text(f"#!{sys.executable} -SE\n{rest}")  # without site-packages: starts in half the time
    target.chmod(0o755)
    return target


def script(target: Path, text: str) -> None:
    target.write_text(f"#!/bin/sh\n{text}\n")
    target.chmod(0o755)


def without_adb(phone: Phone) -> None:
    """A PATH with the shell's tools and no adb."""
    shutil.rmtree(phone.root / "tools")
    (phone.root / "tools").mkdir()
    phone.variables["PATH"] = str(phone.root / "tools")
