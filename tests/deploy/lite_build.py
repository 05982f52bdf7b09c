"""Builds the C++ core, its tests and the program below build/lite, once for all tests and processes."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "deploy" / "lite"
BUILD = ROOT / "build" / "lite"

PACKAGES = "cmake ninja-build clang libclang-rt-dev zlib1g-dev nlohmann-json3-dev doctest-dev libopencv-dev"
"""Debian's packages that hold everything; `tools/setup_cpp.sh` installs them where it may."""

FUZZERS = {
    "manifest": 1500,
    "npz": 50_000,
    "golden": 10_000,
    "nb": 50_000,
    "encoded": 50_000,
    "options": 20_000,
    "output": 1000,
    "keyframes": 2000,
    "stream": 200,
    "tracking": 500,
}
"""Fuzz targets, and how many inputs they get in a run of the tests."""


@dataclass(frozen=True)
class Lite:
    """What was built.

    Attributes:
        folder: with the programs.
        fixtures: what make_fixtures.py wrote.
        fuzzers: whether there are fuzz targets; they need clang and libFuzzer.
    """

    folder: Path
    fixtures: Path
    fuzzers: bool

    @property
    def program(self) -> Path:
        """mobileseg_lite; not there without OpenCV."""
        return self.folder / "mobileseg_lite"

    def run(self, *arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the folder, the first argument; never raises for its exit code."""
        command = [str(self.folder / arguments[0]), *map(str, arguments[1:])]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(self), **options)  # type: ignore[call-overload,no-any-return]


def environment(lite: Lite) -> dict[str, str]:
    """Variables of the tests: leaks of OpenCV's own libraries are not ours to report."""
    return {
        **os.environ,
        "MOBILESEG_FIXTURES": str(lite.fixtures),
        "MOBILESEG_ENGINE": "stand-in",
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def links(compiler: str, *flags: str, source: str = "int main() { return 0; }") -> bool:
    """Whether the compiler makes a program with these flags."""
    command = [compiler, "-x", "c++", *flags, "-", "-o", os.devnull]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False).returncode == 0


@cache
def compiler() -> str:
    """Path of a compiler with the sanitizers' libraries, '' without one; clang first: it can fuzz."""
    found = (shutil.which(name) for name in ("clang++", "g++"))
    return next((path for path in found if path and links(path, "-fsanitize=address,undefined")), "")


@cache
def can_fuzz() -> bool:
    """Whether the compiler has libFuzzer."""
    entry = 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }'
    return bool(compiler()) and links(compiler(), "-fsanitize=fuzzer,address,undefined", source=entry)


def missing(*more_headers: str) -> str:
    """What is not installed, '' when the core can be built."""
    absent = [tool for tool in ("cmake", "ninja") if not shutil.which(tool)]
    for header in ("zlib.h", "nlohmann/json.hpp", *more_headers):
        if not any((Path(folder) / header).is_file() for folder in ("/usr/include", "/usr/local/include")):
            absent.append(header)
    if not (shutil.which("clang++") or shutil.which("g++")):
        absent.append("a C++ compiler")
    return ", ".join(absent)


def call(*command: str | Path) -> None:
    """Run a step of the build; its output is the error."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{(done.stdout + done.stderr)[-6000:]}")


def configure(source: Path, build: Path, *definitions: str) -> None:
    """CMake; a folder that was configured with another compiler or before a move starts anew."""
    flags = ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0 -g1", f"-DCMAKE_CXX_COMPILER={compiler()}"]
    command = ["cmake", "-G", "Ninja", "-S", source, "-B", build, *flags, "-DMOBILESEG_SANITIZE=ON", *definitions]
    settings = "\n".join(map(str, command))
    done = build.with_name(f"{build.name}.of")
    if not done.is_file() or done.read_text(encoding="utf-8") != settings:
        shutil.rmtree(build, ignore_errors=True)
    call(*command)
    done.write_text(settings, encoding="utf-8")


def built() -> Lite:
    """Build what is not up to date. Processes of pytest take turns, and only the first of a run finds work."""
    BUILD.mkdir(parents=True, exist_ok=True)
    lite = Lite(BUILD / "sanitized", BUILD / "fixtures", can_fuzz())
    done = BUILD / "built.of"
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")  # without xdist there is one process, which builds once
    with open(BUILD / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if run and done.is_file() and done.read_text(encoding="utf-8") == run:
            return lite
        done.unlink(missing_ok=True)
        standin = BUILD / "standin"
        configure(SOURCE / "tests" / "standin", standin)
        call("cmake", "--build", standin)
        configure(
            SOURCE,
            lite.folder,
            f"-DPADDLE_LITE_DIR={standin}",
            "-DMOBILESEG_BUILD_TESTS=ON",
            f"-DMOBILESEG_BUILD_FUZZERS={'ON' if lite.fuzzers else 'OFF'}",
        )
        call("cmake", "--build", lite.folder, "-j", "2")
        write_fixtures(lite.fixtures)
        done.write_text(run, encoding="utf-8")
    return lite


def write_fixtures(folder: Path) -> None:
    """New ones for every run: the Python implementation may have changed."""
    shutil.rmtree(folder, ignore_errors=True)
    script = SOURCE / "tests" / "make_fixtures.py"
    code = f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r}); sys.argv = [{str(script)!r}, {str(folder)!r}]; "
    call(
        sys.executable,
        "-c",
        code + f"sys.path.insert(0, {str(script.parent)!r}); runpy.run_path({str(script)!r}, run_name='__main__')",
    )
