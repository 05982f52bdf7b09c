"""What this machine can do, and what about it is known to break: ``mobileseg doctor env``.

Versions are read from the packages' metadata; nothing is imported for that. What only running shows (converters,
engines) is tried on a small network in processes of its own.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from mobileseg import converter
from mobileseg.child import Child, Failure
from mobileseg.errors import MobileSegError
from mobileseg.folders import scratch_folder
from mobileseg.paddle_version import BUILDS, CONVERTER, LITE_PYTHON, PYTHONS, TESTED, TRAINING, Paddle
from mobileseg.runtime.engines.registry import ENGINES, available, unavailable

OK, WARNING, ERROR = "ok", "warning", "error"
TOLERANCE = 1e-3
"""Accepted difference of an engine from Paddle, in standard deviations of the output."""

_TIMEOUT = 180.0
_SELFCHECK = "mobileseg.environment.selfcheck"
_SETUP = "run `make setup`, which installs the tested versions"


@dataclass(frozen=True)
class EnvironmentFinding:
    """One fact about the environment.

    Attributes:
        level: 'ok', 'warning' (something is not available) or 'error' (something will break).
        subject: what it is about.
        text: what was seen.
        fix: what to do, '' when nothing need be done.
    """

    level: str
    subject: str
    text: str
    fix: str = ""


def check_environment(*, run: bool = True) -> list[EnvironmentFinding]:
    """Check versions, packages and engines.

    Args:
        run: also convert and run a small network with every converter and engine (some ten seconds).
    """
    versions = installed_versions()
    findings = [
        check_python(sys.version_info[:2]),
        _machine(),
        check_paddle(versions, sys.version_info[:2]),
        check_numpy(versions),
        check_opencv(metadata.packages_distributions().get("cv2", []), versions),
        check_setuptools(versions),
        check_lite(versions, sys.version_info[:2]),
        *check_engines(available(), versions),
        check_tensorrt(unavailable("tensorrt"), versions),
        check_paddleseg(versions),
    ]
    return findings + (run_selfchecks(versions) if run else []) + check_converter(run=run)


def installed_versions() -> dict[str, str]:
    """Normalised distribution name -> version, of everything installed."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-"), distribution.version)
    return found


def exit_code(findings: Sequence[EnvironmentFinding]) -> int:
    """1 when something will break, else 0."""
    return int(any(finding.level == ERROR for finding in findings))


def to_dict(findings: Sequence[EnvironmentFinding]) -> dict[str, Any]:
    """For JSON."""
    return {"findings": [asdict(finding) for finding in findings], "exit_code": exit_code(findings)}


def render(findings: Sequence[EnvironmentFinding]) -> str:
    """A table for people: level, subject, text, and the fix in a line of its own."""
    width = max(len(finding.subject) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:<7}  {finding.subject:<{width}}  {finding.text}")
        if finding.fix:
            lines.append(f"{'':<7}  {'':<{width}}  hint: {finding.fix}")
    errors, warnings = (sum(finding.level == level for finding in findings) for level in (ERROR, WARNING))
    lines.append(f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}")
    return "\n".join(lines)


def check_python(version: tuple[int, ...]) -> EnvironmentFinding:
    """One for which there are wheels of a tested Paddle."""
    tested = sorted({python for pythons in PYTHONS.values() for python in pythons})
    text = f"{_dotted(version)} ({sys.executable})"
    if tuple(version) not in tested:
        names = [_dotted(python) for python in tested]
        text = f"{text}; tested are {', '.join(names[:-1])} and {names[-1]}"
        return EnvironmentFinding(ERROR, "python", text, f"use Python {names[-1]}")
    return EnvironmentFinding(OK, "python", text)


def check_paddle(versions: Mapping[str, str], python: tuple[int, ...]) -> EnvironmentFinding:
    """A tested version, and what it is good for."""
    build = next((name for name in BUILDS if name in versions), None)
    best = CONVERTER if tuple(python) <= LITE_PYTHON else TRAINING
    if build is None:
        text = "not installed: exported models can be run, but nothing trained or exported"
        return EnvironmentFinding(WARNING, "paddle", text, f"pip install paddlepaddle=={best}")
    found = Paddle(build, versions[build])
    tested = " and ".join(TESTED)
    if not found.tested:
        text = f"{found}; the suite is tested with {tested}"
        return EnvironmentFinding(ERROR, "paddle", text, f"pip install {build}=={best}")
    if found.version.split(".post")[0] not in TESTED:
        return EnvironmentFinding(WARNING, "paddle", f"{found}; tested are {tested}", f"pip install {build}=={best}")
    use = "trains, exports and compresses" if found.converts else "trains; exports in the converter environment"
    return EnvironmentFinding(OK, "paddle", f"{found} ({use})")


def check_converter(*, run: bool) -> list[EnvironmentFinding]:
    """The converter environment, where this one needs it: what it has, and what its own check says of it.

    Args:
        run: it converts and runs a small network too.
    """
    if not converter.is_needed():
        return []
    subject = "converter"
    try:
        found = converter.converter()
        document = converter.answer_of(found, ["doctor", "env", "--json", *([] if run else ["--quick"])])
        rows = [EnvironmentFinding(**row) for row in document["findings"]]
    except MobileSegError as error:
        text = f"nothing can be exported, compressed or run by Paddle Lite: {error.message}"
        return [EnvironmentFinding(WARNING, subject, text, error.remedy or "")]
    shown = [row for row in rows if row.subject not in ("python", "machine", "paddle")]
    return [EnvironmentFinding(OK, subject, str(found))] + [
        replace(row, subject=f"{subject}: {row.subject}") for row in shown
    ]


def check_numpy(versions: Mapping[str, str]) -> EnvironmentFinding:
    """Paddle 2.6 is built against NumPy 1."""
    found = versions.get("numpy")
    if found is None:
        return EnvironmentFinding(ERROR, "numpy", "not installed", _SETUP)
    paddle = versions.get("paddlepaddle") or versions.get("paddlepaddle-gpu")
    if _number(found)[0] >= 2 and paddle is not None and _number(paddle)[0] < 3:
        return EnvironmentFinding(ERROR, "numpy", f"{found}; paddle {paddle} needs NumPy 1", 'pip install "numpy<2"')
    return EnvironmentFinding(OK, "numpy", found)


def check_opencv(owners: Sequence[str], versions: Mapping[str, str]) -> EnvironmentFinding:
    """Two distributions that both install ``cv2`` overwrite each other's files."""
    names = sorted(set(owners))
    shown = ", ".join(f"{name} {versions.get(name.lower().replace('_', '-'), '')}".strip() for name in names)
    if not names:
        return EnvironmentFinding(ERROR, "opencv", "no distribution provides cv2", _SETUP)
    if len(names) > 1:
        fix = f"pip uninstall -y {' '.join(names)}, then {_SETUP}"
        return EnvironmentFinding(ERROR, "opencv", f"cv2 belongs to {len(names)} distributions: {shown}", fix)
    return EnvironmentFinding(OK, "opencv", shown)


def check_setuptools(versions: Mapping[str, str]) -> EnvironmentFinding:
    """paddleslim imports pkg_resources, which setuptools 81 no longer has."""
    found, slim = versions.get("setuptools"), versions.get("paddleslim")
    if slim is None:
        return EnvironmentFinding(OK, "setuptools", f"{found or 'not installed'} (paddleslim is not installed)")
    if found is None or _number(found)[0] >= 81:
        text = f"{found or 'not installed'}; paddleslim {slim} needs one below 81"
        return EnvironmentFinding(ERROR, "setuptools", text, 'pip install "setuptools<81"')
    return EnvironmentFinding(OK, "setuptools", f"{found}, paddleslim {slim}")


def check_lite(versions: Mapping[str, str], python: tuple[int, ...]) -> EnvironmentFinding:
    """The wheel with optimiser and x86 runtime, or why there is none."""
    found = versions.get("paddlelite")
    if found is not None:
        return EnvironmentFinding(OK, "paddle lite", found)
    if tuple(python) > LITE_PYTHON:
        last = _dotted(LITE_PYTHON)
        text = (
            f"no wheel for Python {_dotted(python)}, the last is for {last}: .nb files are neither written nor run here"
        )
        if converter.is_needed():
            return EnvironmentFinding(OK, "paddle lite", f"{text}, but in the converter environment")
        return EnvironmentFinding(WARNING, "paddle lite", text, f"use Python {last} for exports to phones")
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        text = f"no wheel for {platform.system()} {platform.machine()}"
        return EnvironmentFinding(WARNING, "paddle lite", text, "export on Linux x86-64")
    return EnvironmentFinding(WARNING, "paddle lite", "not installed", "pip install paddlelite==2.13rc0")


def check_engines(reasons: Mapping[str, str], versions: Mapping[str, str]) -> list[EnvironmentFinding]:
    """Inference engines: version, or why one is not available."""
    findings = []
    for name, reason in reasons.items():
        distribution = ENGINES[name].requirement.split("=")[0].split(">")[0]
        version = versions.get(distribution) or versions.get(f"{distribution}-gpu", "")
        findings.append(
            EnvironmentFinding(
                WARNING if reason else OK, f"engine {name}", reason or f"{distribution} {version}".strip()
            )
        )
    if all(reasons.values()):
        findings.append(EnvironmentFinding(ERROR, "engines", "none is installed: nothing can be run", _SETUP))
    return findings


def check_tensorrt(reason: str, versions: Mapping[str, str]) -> EnvironmentFinding:
    """The engine of NVIDIA GPUs, which nothing else needs; whether there is a GPU shows when it is loaded."""
    if reason:
        return EnvironmentFinding(OK, "engine tensorrt", f"not available: {reason}")
    return EnvironmentFinding(OK, "engine tensorrt", f"paddlepaddle-gpu {versions.get('paddlepaddle-gpu', '')}".strip())


def check_paddleseg(versions: Mapping[str, str]) -> EnvironmentFinding:
    """Only for ``type: paddleseg...``."""
    found = versions.get("paddleseg")
    fix = "pip install --no-deps -r requirements-paddleseg.txt"
    if found is None:
        return EnvironmentFinding(OK, "paddleseg", f"not installed; needed only for 'type: paddleseg...' ({fix})")
    if found != "2.8.0":
        return EnvironmentFinding(WARNING, "paddleseg", f"{found}; 2.8.0 is needed for 'type: paddleseg...'", fix)
    return EnvironmentFinding(OK, "paddleseg", found)


def run_selfchecks(versions: Mapping[str, str]) -> list[EnvironmentFinding]:
    """Try the converters and engines on a small network, each in a process of its own."""
    if "paddlepaddle" not in versions and "paddlepaddle-gpu" not in versions:
        return []
    needs = {"onnx": ("paddle2onnx", "onnxruntime"), "lite": ("paddlelite",)}
    with scratch_folder() as folder:
        facts, failure = run_selfcheck("paddle", folder)
        if failure:
            return [EnvironmentFinding(ERROR, "run paddle", failure, _SETUP)]
        build = f"CUDA build, {facts['gpus']} GPUs" if facts["cuda_build"] else "CPU build"
        findings = [EnvironmentFinding(OK, "run paddle", f"a small network was built, run and saved ({build})")]
        for task, packages in needs.items():
            if converter.is_needed():
                continue  # the converter environment tries them
            missing = [package for package in packages if package not in versions]
            if missing:
                text = f"not tried: {', '.join(missing)} not installed"
                findings.append(EnvironmentFinding(WARNING, f"run {task}", text))
                continue
            facts, failure = run_selfcheck(task, folder)
            findings.append(judge_difference(f"run {task}", facts.get("difference"), failure))
    return findings


def judge_difference(subject: str, difference: float | None, failure: str) -> EnvironmentFinding:
    """Whether a converted network gives what Paddle gives."""
    if failure or difference is None:
        return EnvironmentFinding(ERROR, subject, failure or "gave no answer", _SETUP)
    text = f"converted and run, differs from Paddle by {difference:.1e} standard deviations"
    if not difference <= TOLERANCE:
        return EnvironmentFinding(ERROR, subject, f"{text}; accepted is {TOLERANCE:.0e}", _SETUP)
    return EnvironmentFinding(OK, subject, text)


def run_selfcheck(task: str, folder: Path, *, module: str = _SELFCHECK) -> tuple[dict[str, Any], str]:
    """One task of :mod:`mobileseg.environment.selfcheck`: its facts, and what went wrong or ''."""
    with Child(module) as child:
        try:
            return child.ask(task, {"folder": str(folder)}, timeout=_TIMEOUT), ""
        except Failure as failure:
            return {}, failure.reason


def _machine() -> EnvironmentFinding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    text = f"{platform.system()} {platform.machine()}, {cores} core{'s' * (cores != 1)}"
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return EnvironmentFinding(OK, "machine", text)
    return EnvironmentFinding(OK, "machine", f"{text}, {memory / 2**30:.1f} GiB of memory")


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def _number(version: str) -> tuple[int, ...]:
    """Leading numbers of a version: '2.6.2.post117' -> (2, 6, 2)."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers) or (0,)
