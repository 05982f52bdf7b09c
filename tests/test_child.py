"""Work in child processes: answers, deaths, what is blamed for them, and children that stay warm."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from mobileseg.child import Child, Failure, Pool, run_program
from mobileseg.errors import DataError

TASKS = """
import ctypes, os, signal, sys, time
from mobileseg.errors import DataError
STATE = {"calls": 0}
def pid(request):
    STATE["calls"] += 1
    return {"pid": os.getpid(), "calls": STATE["calls"], "threads": os.environ["OMP_NUM_THREADS"]}
def die(request):
    print("step 1")
    ctypes.CDLL(None).printf(b"step 2 of C code\\n")
    if request.get("quietly"):
        os._exit(0)
    sys.stdout.flush(); ctypes.CDLL(None).fflush(None)
    os.kill(os.getpid(), signal.SIGSEGV)
def poison(request):
    STATE["poisoned"] = True
    return {}
def fragile(request):
    if STATE.get("poisoned"):
        os.abort()
    return {"pid": os.getpid()}
def refuse(request):
    raise DataError("no such image", remedy="name another")
def fail(request):
    print("so far", file=sys.stderr)
    raise ValueError("seven")
def sleep(request):
    time.sleep(600)
def leave(request):
    sys.exit(3)
def read(request):
    return {"read": sys.stdin.read(), "big": "x" * request["length"]}
TASKS = dict(pid=pid, die=die, poison=poison, fragile=fragile, refuse=refuse, fail=fail, sleep=sleep, leave=leave,
             read=read)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "tasks_of_a_child.py").write_text(TASKS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir("/")  # the package is found from anywhere
    return "tasks_of_a_child"


@pytest.fixture
def pool(module: str):
    found = Pool(module, size=2)
    yield found
    found.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_does_one_task_after_the_other(module: str) -> None:
    with Child(module, threads=3) as child:
        answers = [child.ask("pid", {}) for _ in range(3)]
    assert [answer["calls"] for answer in answers] == [1, 2, 3]
    assert {answer["pid"] for answer in answers} == {child.pid}
    assert answers[0]["threads"] == "3"
    assert not alive(child.pid)


def test_no_terminal_and_long_answers(module: str) -> None:
    with Child(module) as child:
        assert child.ask("read", {"length": 1_000_000}) == {"read": "", "big": "x" * 1_000_000}


def test_death_by_signal_is_named_with_the_last_lines_of_this_task(module: str) -> None:
    with Child(module) as child:
        with pytest.raises(Failure):
            child.ask("fail", {})
        with pytest.raises(Failure) as caught:
            child.ask("die", {})
    assert caught.value.died
    assert str(caught.value) == "die: died by signal SIGSEGV"
    assert caught.value.log.splitlines() == ["step 1", "step 2 of C code"]


@pytest.mark.parametrize(
    ("task", "request_", "reason"),
    [("die", {"quietly": True}, "ended without an answer"), ("leave", {}, "ended with exit code 3")],
)
def test_an_end_without_an_answer(module: str, task: str, request_: dict, reason: str) -> None:
    with Child(module) as child, pytest.raises(Failure) as caught:
        child.ask(task, request_)
    assert caught.value.reason == reason
    assert caught.value.died == (task == "die")


def test_time_limit(module: str) -> None:
    with Child(module) as child, pytest.raises(Failure, match="was still running after 1 s") as caught:
        child.ask("sleep", {}, timeout=1.0)
    assert caught.value.died
    assert not alive(child.pid)


def test_errors_are_answers(module: str) -> None:
    with Child(module) as child:
        with pytest.raises(Failure, match="fail: ValueError: seven") as caught:
            child.ask("fail", {})
        assert (caught.value.died, caught.value.log, caught.value.error) == (False, "so far", None)
        with pytest.raises(Failure, match="no such image") as caught:
            child.ask("refuse", {})
        assert type(caught.value.error) is DataError
        assert caught.value.error.remedy == "name another"
        assert child.ask("pid", {})["calls"] == 1


def test_a_missing_module_is_said(module: str) -> None:
    with Child(f"{module}_not") as child, pytest.raises(Failure, match="ModuleNotFoundError"):
        child.ask("pid", {})


def test_a_pool_keeps_children_warm_by_kind_and_threads(pool: Pool) -> None:
    first, again = (pool.ask("a", "pid", {})["pid"] for _ in range(2))
    assert first == again
    assert pool.ask("a", "pid", {}, threads=2)["pid"] != first
    pool.ask("b", "pid", {})  # the third: the one that is idle for longest ends
    assert not alive(first)
    pool.close()


def test_a_dead_or_failed_child_is_replaced(pool: Pool) -> None:
    first = pool.ask("a", "pid", {})["pid"]
    os.kill(first, signal.SIGKILL)
    second = pool.ask("a", "pid", {})["pid"]
    with pytest.raises(Failure, match="seven"):
        pool.ask("a", "fail", {})
    assert len({first, second, pool.ask("a", "pid", {})["pid"]}) == 3


def test_no_task_is_blamed_for_what_another_one_left_behind(pool: Pool) -> None:
    pool.ask("a", "poison", {})
    assert pool.ask("a", "fragile", {})["pid"]
    pool.ask("a", "pid", {})
    with pytest.raises(Failure, match="die: died by signal SIGSEGV"):  # dies in a new child as well
        pool.ask("a", "die", {})
    assert pool.ask("a", "pid", {})["calls"] == 1


def test_a_prepared_child_is_the_one_that_is_asked(pool: Pool) -> None:
    pool.prepare("a", ["json", "no_such_module_at_all"])
    assert pool.ask("a", "pid", {})["calls"] == 1


def test_tasks_of_one_kind_wait_for_each_other(pool: Pool) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.extend(pool.ask("a", "pid", {})["pid"] for _ in range(5)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(set(found)) == 1


def test_a_program_and_its_output() -> None:
    command = [sys.executable, "-c"]
    assert run_program([*command, "import os; print('hello', os.environ['OMP_NUM_THREADS'])"], "greet", threads=3) == (
        "hello 3\n"
    )
    with pytest.raises(Failure, match="greet: ended with exit code 3") as caught:
        run_program([*command, "raise SystemExit(3)"], "greet")
    assert not caught.value.died
    with pytest.raises(Failure, match="was still running after 1 s"):
        run_program([*command, "import time; time.sleep(600)"], "greet", timeout=1.0)
    code = "import os, signal; print('step 1', flush=True); os.kill(os.getpid(), signal.SIGSEGV)"
    with pytest.raises(Failure, match="greet: died by signal SIGSEGV") as caught:
        run_program([*command, code], "greet")
    assert (caught.value.died, caught.value.log) == (True, "step 1")
