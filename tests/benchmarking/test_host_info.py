import subprocess
import sys

import psutil
import pytest

from mobileseg.benchmarking.host_info import IDLE, load_of_others, machine


def test_facts_of_the_machine() -> None:
    facts = machine()
    assert facts["cpu"]
    assert facts["system"]
    assert facts["cores"] >= 1


@pytest.mark.parametrize(("percent", "warned"), [(0.0, False), (100.0, True)])
def test_cores_that_are_busy_are_counted(percent: float, warned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: percent)
    said: list[str] = []
    assert load_of_others(said.append, seconds=0.0) == percent / 100.0 * machine()["cores"]
    assert bool(said) is warned
    assert all("other programs keep" in line for line in said)


def test_another_program_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            said: list[str] = []
            assert load_of_others(said.append) > IDLE
            assert said
        finally:
            busy.kill()
