"""Work in child processes, for what may die by signal, must not share a process, or is timed alone.

A `Child` is a Python process that does the tasks of one module, its table ``TASKS`` (name -> function of a JSON
object that returns one), one after the other. What it prints is kept apart from its answers; when it dies, the signal
and the last lines of its output become the error. A `Pool` keeps children warm, one per kind of work, because starting
one costs as much as most tasks. Other programs are run by :func:`run_program`.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from mobileseg import errors
from mobileseg.errors import MobileSegError

TIMEOUT = 600.0
"""Seconds after which a task is stopped; the slowest converter here needs about ten."""

_LOG_LINES = 8
_ROOT = Path(__file__).resolve().parents[1]
_IMPORT = "import"


class Failure(Exception):
    """A child that did not do its task.

    Attributes:
        task: what it was doing, for messages.
        reason: one line: the signal, the exit code, the time limit or the error it reported.
        log: last lines of its output.
        died: it ended without an answer (signal, abort), rather than by an error it could report.
        error: the error of the suite that it reported, None for any other failure.
    """

    def __init__(
        self, task: str, reason: str, log: str = "", died: bool = False, error: MobileSegError | None = None
    ) -> None:
        super().__init__(task, reason, log, died)
        self.task = task
        self.reason = reason
        self.log = log
        self.died = died
        self.error = error

    def __str__(self) -> str:
        return f"{self.task}: {self.reason}"


class Child:
    """One Python process for the tasks of a module; it ends with this object, at the latest with this process.

    Args:
        module: dotted name of the module with ``TASKS``.
        threads: CPU threads of its numerical libraries.
        preload: modules that it imports at once, while the caller does something else.
    """

    def __init__(self, module: str, *, threads: int = 1, preload: Sequence[str] = ()) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process, `close` ends both
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mobileseg.child", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(threads),
        )
        self._received = b""
        self._asked = 0
        if preload:
            with contextlib.suppress(BrokenPipeError):  # the first task will find it dead
                self._send(_IMPORT, {"modules": list(preload)})

    @property
    def fresh(self) -> bool:
        """Whether it has not been asked for anything."""
        return self._asked == 0

    @property
    def alive(self) -> bool:
        """Whether it can be asked for something."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, task: str, payload: Mapping[str, Any], *, timeout: float = TIMEOUT) -> dict[str, Any]:
        """Have a task done and return its answer.

        Args:
            task: a name in the module's table.
            payload: JSON-serialisable arguments; paths as str.
            timeout: seconds.

        Raises:
            Failure: the task reported an error, died, or ran out of time; in the latter cases the child is gone.
        """
        printed = os.fstat(self._log.fileno()).st_size
        try:
            self._send(task, payload)
            answer = self._receive(self._asked, time.monotonic() + timeout)
        except BrokenPipeError:
            answer = None
        except TimeoutError:
            log = self._tail(printed)
            self.close(kill=True)
            raise Failure(task, f"was still running after {timeout:.0f} s", log, died=True) from None
        except BaseException:  # Ctrl-C: what it is doing is of no use to anybody
            self.close(kill=True)
            raise
        if answer is None:
            code = self._process.wait()
            died = code <= 0 or code > 128
            reason = _describe(code) if code else "ended without an answer"
            raise Failure(task, reason, self._tail(printed), died=died)
        if "error" in answer:
            raise Failure(task, answer["error"], self._tail(printed), error=_rebuilt(answer))
        result: dict[str, Any] = answer["result"]
        return result

    def close(self, *, kill: bool = False) -> None:
        """End the process: at the end of its task, or at once."""
        if kill:
            self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # it died with a request unread
                    stream.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _send(self, task: str, payload: Mapping[str, Any]) -> None:
        self._asked += 1
        assert self._process.stdin is not None
        request = {"number": self._asked, "task": task, "payload": dict(payload)}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()

    def _receive(self, number: int, deadline: float) -> dict[str, Any] | None:
        """The answer to a request; None when the process ended instead."""
        assert self._process.stdout is not None
        stream = self._process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while True:
                line, found, rest = self._received.partition(b"\n")
                if found:
                    self._received = rest
                    answer: dict[str, Any] = json.loads(line)
                    if answer["number"] == number:  # not that of the imports
                        return answer
                    continue
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                block = os.read(stream, 1 << 16)
                if not block:
                    return None
                self._received += block

    def _tail(self, start: int) -> str:
        # By position: the child writes at the shared offset of the same open file, which must not move.
        size = os.fstat(self._log.fileno()).st_size
        return _tail(os.pread(self._log.fileno(), max(0, size - start), start))

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Pool:
    """Warm children of one module, one per kind of work; for use from several threads.

    A child that died or reported an error is replaced. When a child dies that had done something before, the task is
    tried once more in a new one, so that no task is blamed for what another one left behind.

    Args:
        module: with ``TASKS``.
        size: children that are kept; beyond it the one that was idle for longest ends.
    """

    def __init__(self, module: str, size: int = 6) -> None:
        self._module = module
        self._size = size
        self._idle: dict[tuple[str, int], Child] = {}  # in the order in which they became idle
        self._guard = threading.Lock()
        self._turns: dict[tuple[str, int], threading.Lock] = {}  # a second task of a kind waits for the warm child
        atexit.register(self.close)

    def prepare(self, kind: str, preload: Sequence[str], *, threads: int = 1) -> None:
        """Start the child of a kind now, so that its imports are done when its first task comes."""
        with self._guard:
            known = (kind, threads) in self._idle
        if not known:
            self._give(kind, threads, Child(self._module, threads=threads, preload=preload))

    def ask(
        self, kind: str, task: str, payload: Mapping[str, Any], *, timeout: float = TIMEOUT, threads: int = 1
    ) -> dict[str, Any]:
        """As :meth:`Child.ask`, by the warm child of a kind.

        Args:
            kind: tasks of one kind share a process.
            task: a name in the module's table.
            payload: its arguments.
            timeout: seconds.
            threads: of the child; children with other thread counts are other children.

        Raises:
            Failure: the task reported an error, died, or ran out of time.
        """
        with self._guard:
            turn = self._turns.setdefault((kind, threads), threading.Lock())
        with turn:
            child = self._take(kind, threads)
            fresh, deadline = child.fresh, time.monotonic() + timeout
            try:
                answer = child.ask(task, payload, timeout=timeout)
            except Failure as failure:
                child.close(kill=True)
                left = deadline - time.monotonic()
                if failure.died and not fresh and left > 0:
                    with Child(self._module, threads=threads) as another:
                        return another.ask(task, payload, timeout=left)
                raise
            except BaseException:
                child.close(kill=True)
                raise
            self._give(kind, threads, child)
            return answer

    def close(self) -> None:
        """End all children."""
        with self._guard:
            children, self._idle = list(self._idle.values()), {}
        for child in children:
            child.close(kill=True)

    def _take(self, kind: str, threads: int) -> Child:
        with self._guard:
            child = self._idle.pop((kind, threads), None)
        if child is not None and not child.alive:
            child.close()
            child = None
        return child or Child(self._module, threads=threads)

    def _give(self, kind: str, threads: int, child: Child) -> None:
        with self._guard:
            surplus = [self._idle.pop((kind, threads), None)]
            self._idle[kind, threads] = child
            while len(self._idle) > self._size:
                surplus.append(self._idle.pop(next(iter(self._idle))))
        for one in surplus:
            if one is not None:
                one.close(kill=True)


def run_program(command: Sequence[str], task: str, *, timeout: float = TIMEOUT, threads: int = 1) -> str:
    """Run a program to its end and return what it printed.

    Args:
        command: program and arguments; no shell is involved.
        task: name for messages.
        timeout: seconds.
        threads: OpenMP threads of the child.

    Raises:
        Failure: exit code not 0, death by signal, or time limit.
    """
    with tempfile.TemporaryFile() as log:
        try:
            code = subprocess.run(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                env=_environment(threads),
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            log.seek(0)
            reason = f"was still running after {timeout:.0f} s"
            raise Failure(task, reason, _tail(log.read()), died=True) from None
        log.seek(0)
        printed = log.read()
    if code != 0:
        raise Failure(task, _describe(code), _tail(printed), died=code < 0 or code > 128)
    return printed.decode("utf-8", errors="replace")


def _environment(threads: int) -> dict[str, str]:
    """This process's, with a number of threads, and this package importable from any working directory."""
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(variables, str(threads))}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), environment.get("PYTHONPATH")]))
    return environment


def _describe(code: int) -> str:
    number = -code if code < 0 else code - 128
    if code < 0 or code > 128:
        with contextlib.suppress(ValueError):
            return f"died by signal {signal.Signals(number).name}"
    return f"ended with exit code {code}"


def _tail(printed: bytes) -> str:
    lines = [line.rstrip() for line in printed.decode("utf-8", errors="replace").splitlines() if line.strip()]
    return "\n".join(lines[-_LOG_LINES:])


def _rebuilt(answer: Mapping[str, Any]) -> MobileSegError | None:
    kind = getattr(errors, answer["kind"], None)
    if not (isinstance(kind, type) and issubclass(kind, MobileSegError)):
        return None
    error = kind.__new__(kind)
    MobileSegError.__init__(error, answer["message"], remedy=answer["remedy"])
    return error


def _serve(module: str) -> int:
    """The child's side: answer requests until there are no more."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever is printed goes into the log
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    libc = ctypes.CDLL(None)
    tasks = None
    for line in requests:
        request = json.loads(line)
        try:
            if request["task"] == _IMPORT:
                for name in request["payload"]["modules"]:
                    import_module(name)
                answer: dict[str, Any] = {"result": {}}
            else:
                tasks = tasks or import_module(module).TASKS
                answer = {"result": tasks[request["task"]](request["payload"])}
        except MobileSegError as error:
            answer = {"error": str(error), "kind": type(error).__name__}
            answer |= {"message": error.message, "remedy": error.remedy}
        except Exception as error:  # whatever a converter raises is the parent's to judge
            answer = {"error": f"{type(error).__name__}: {error}", "kind": ""}
        sys.stdout.flush()
        libc.fflush(None)  # what C code printed belongs to this task's output
        answers.write(json.dumps({"number": request["number"], **answer}) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    import zlib  # noqa: F401  # before Paddle, see mobileseg/__init__.py

    sys.exit(_serve(sys.argv[1]))
