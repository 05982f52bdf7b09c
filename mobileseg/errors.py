"""Errors that a user can act on.

Every error of the suite says what was seen, what was expected and the smallest remedy (``hint:``). The command
line prints the message alone (a traceback only with ``--debug``) and exits with ``exit_code``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class MobileSegError(Exception):
    """Base of all errors that are the product's answer to a bad input or a bad environment.

    Args:
        message: what was seen and what was expected, one or two sentences, naming file or key.
        remedy: the smallest thing the reader can do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(message if remedy is None else f"{message}\n  hint: {remedy}")

    def __reduce__(self):  # type: ignore[no-untyped-def]  # survives the way back from a worker process
        return _rebuild, (type(self), self.message, self.remedy)


def _rebuild(cls: type[MobileSegError], message: str, remedy: str | None) -> MobileSegError:
    error = cls.__new__(cls)
    MobileSegError.__init__(error, message, remedy=remedy)
    return error


@dataclass(frozen=True)
class Problem:
    """One mistake in a configuration.

    Attributes:
        key: dotted path of the value, for example ``model.backbone.type``.
        message: what is wrong with it.
        origin: ``file:line`` (or ``-o key=value``) that set the value, '' when nothing did.
        remedy: what to write instead, '' when the message says it.
    """

    key: str
    message: str
    origin: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.origin}: " if self.origin else ""
        hint = f" (hint: {self.remedy})" if self.remedy else ""
        return f"{where}{self.key}: {self.message}{hint}"


class ConfigError(MobileSegError):
    """A configuration that cannot be used; carries every problem found, not just the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem] | str, *, remedy: str | None = None) -> None:
        self.problems = [] if isinstance(problems, str) else list(problems)
        if isinstance(problems, str):
            message = problems
        else:
            count = len(self.problems)
            head = f"{count} problem{'s' if count != 1 else ''} in the configuration:"
            message = "\n".join([head, *(f"  {problem}" for problem in self.problems)])
        super().__init__(message, remedy=remedy)


class DataError(MobileSegError):
    """An image, a label, a list file or a dataset that cannot be used."""

    exit_code = 3


class WeightsError(MobileSegError):
    """A weights file that cannot be read, is refused, or does not fit the network."""

    exit_code = 4


class TrainingError(MobileSegError):
    """Training cannot start or cannot go on (non-finite loss, impossible option, bad checkpoint)."""

    exit_code = 5


class ExportError(MobileSegError):
    """A conversion failed, or a written graph does not agree with the network."""

    exit_code = 6


class RuntimeEngineError(MobileSegError):
    """An exported model or an inference engine cannot do what was asked."""

    exit_code = 7


class DependencyError(MobileSegError):
    """A package that the requested function needs is not installed."""

    exit_code = 8


class CompressionError(MobileSegError):
    """A network cannot be made smaller as asked, or what came out does not do what it should."""

    exit_code = 9
