"""Errors that a user can act on."""

import pickle

import pytest

from mobileseg import errors
from mobileseg.errors import ConfigError, DataError, MobileSegError, Problem

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MobileSegError)]


def test_every_kind_has_an_exit_code_of_its_own() -> None:
    codes = [kind.exit_code for kind in KINDS]
    assert len(set(codes)) == len(codes) == 9
    assert not {0, 130} & set(codes)


def test_the_remedy_stands_below_the_message() -> None:
    assert str(DataError("a.png is empty", remedy="copy it again")) == "a.png is empty\n  hint: copy it again"
    assert str(DataError("a.png is empty")) == "a.png is empty"


@pytest.mark.parametrize("kind", KINDS)
def test_errors_survive_the_way_back_from_a_worker(kind: type[MobileSegError]) -> None:
    error = pickle.loads(pickle.dumps(kind("seen", remedy="do")))
    assert type(error) is kind
    assert (error.message, error.remedy, str(error)) == ("seen", "do", "seen\n  hint: do")


def test_a_configuration_error_lists_every_problem() -> None:
    error = ConfigError([Problem("iters", "is -1", "a.yml:3", "use 1"), Problem("seed", "is 'x'")])
    assert str(error).splitlines() == [
        "2 problems in the configuration:",
        "  a.yml:3: iters: is -1 (hint: use 1)",
        "  seed: is 'x'",
    ]
    assert [problem.key for problem in error.problems] == ["iters", "seed"]
    assert ConfigError("one file").problems == []
