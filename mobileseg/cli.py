"""The `mobileseg` command: one verb per stage of a network's life.

A verb is a module of :mod:`mobileseg.commands` with ``HELP``, ``add_arguments(parser)`` and
``run(args) -> int``. Here are only what all verbs share: dispatch, ``--debug``, and the rule that a
user sees one clear message and an exit code instead of a traceback. A verb that needs the converter environment
(:mod:`mobileseg.converter`) says so with ``needs_converter(args) -> bool``, or hands over by ``args.hand_over()``.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from mobileseg import __version__, converter
from mobileseg.errors import ConfigError, DependencyError, MobileSegError

VERBS = ("train", "val", "predict", "export", "compress", "benchmark", "doctor", "models", "report", "convert", "demo")
INTERRUPTED = 130  # what shells report for a program ended by Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code (0 success, 2 bad usage, others: errors.py)."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="mobileseg", description="Segmentation networks for phones, from a YAML file to a verified artefact."
    )
    parser.add_argument("--version", action="version", version=f"mobileseg {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        # Only the chosen verb pays for its imports; `mobileseg --help` lists all of them.
        command = _command(verb) if chosen in (verb, None) else None
        sub = verbs.add_parser(
            verb, help=command.HELP if command else None, description=command.HELP if command else None
        )
        if command is not None and verb == chosen:
            command.add_arguments(sub)
            sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
    if (code := refused_words(arguments)) is not None:
        return code
    args = parser.parse_args(arguments)
    args.hand_over = partial(converter.hand_over, arguments, replace=argv is None)
    _quieten_paddle()
    with _shown_log():
        return _guarded(_command(args.verb), args)


def run_verb(verb: str) -> None:
    """Entry of the `tools/VERB.py` scripts: the verb with the script's own arguments, then exit."""
    sys.argv.insert(1, verb)
    sys.exit(main())


def _command(verb: str) -> ModuleType:
    return import_module(f"mobileseg.commands.{verb}")


class _Notes(logging.Handler):
    """Prints on standard error, so that what a verb prints for programs (--json) stays clean."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # who reads must not decide what is done
            print(self.format(record), file=sys.stderr, flush=True)


@contextmanager
def _shown_log() -> Iterator[None]:
    """Show what the suite logs (which weights fitted, warnings), once: other packages have handlers on the root."""
    logger = logging.getLogger("mobileseg")
    before = logger.propagate, logger.level
    notes = _Notes()
    logger.addHandler(notes)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(notes)
        logger.propagate = before[0]
        logger.setLevel(before[1])


def _quieten_paddle() -> None:
    """Keep what Paddle says about itself away from what a verb says; what goes wrong is still said."""
    os.environ.setdefault("GLOG_minloglevel", "1")  # "New Executor is Running" and the like; read when it is imported
    # At every first batch of a training, about what batch normalisation does since Paddle 2.0.
    warnings.filterwarnings("ignore", message="When training, we now always track global mean and variance")
    warnings.filterwarnings("ignore", message="No ccache found")  # Paddle 3, of a compiler that nothing here calls


def refused_words(words: Sequence[str]) -> int | None:
    """Exit code when a word is empty, which as a path would be the working directory; None when none is."""
    if "" not in words:
        return None
    return _fail(
        "an argument is empty\n  hint: look for a variable of the shell that is not set", ConfigError.exit_code
    )


def _guarded(command: ModuleType, args: argparse.Namespace) -> int:
    """Run the verb, in the converter environment where it needs that."""
    needs_converter = getattr(command, "needs_converter", _nothing_needed)

    def work() -> int:
        if converter.is_needed() and needs_converter(args):
            return int(args.hand_over())
        return int(command.run(args))

    return answered(work, debug=args.debug)


def answered(work: Callable[[], int], *, debug: bool = False) -> int:
    """The exit code of some work; what goes wrong is one message and a code, with ``debug`` an exception."""
    try:
        return work()
    except MobileSegError as error:
        if debug:
            raise
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("stopped by Ctrl-C", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output went away, for example `mobileseg models | head`
        sys.stderr.close()
        return 0
    except OSError as error:
        if debug:
            raise
        return _fail(*_explain_os_error(error))
    except Exception as error:
        if debug:
            raise
        if isinstance(error, ModuleNotFoundError) and _is_missing(error.name):
            return _fail(*_explain_missing(error.name))
        name = type(error).__name__
        return _fail(f"unexpected {name}: {error}\n  hint: run again with --debug for the traceback and report it", 70)


def _nothing_needed(_args: argparse.Namespace) -> bool:
    return False


def _is_missing(module: str | None) -> bool:
    """Whether it belongs to a package that is not installed, rather than to an error in this one."""
    return bool(module) and find_spec(str(module).split(".")[0]) is None


def _explain_missing(module: str | None) -> tuple[str, int]:
    setup = "`make setup`, or `pip install .`,"
    if converter.was_called():
        setup = f"`{converter.SETUP}`"
    return (
        f"the package that provides '{module}' is needed for this and is not installed\n"
        f"  hint: run {setup} in the repository",
        DependencyError.exit_code,
    )


def _explain_os_error(error: OSError) -> tuple[str, int]:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{where}\n  hint: free space; what was saved before is intact", 74
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"no permission to write or read{where}\n  hint: choose another folder or change its rights", 77
    return f"{error.strerror or error}{where}", 74


def _fail(message: str, code: int) -> int:
    if converter.was_removed(message):
        message += f"\n  hint: the converter environment {sys.prefix} was removed: `{converter.SETUP}` makes it anew"
    print(f"error: {message}", file=sys.stderr)
    return code
