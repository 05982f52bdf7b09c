"""Names of classes, and whether two lists mean the same."""

import pytest

from mobileseg.class_names import checked_names, class_problems, generated_names
from mobileseg.errors import ConfigError


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cat", ""], "class 1 of classes.txt has no name"),
        (["cat", "  "], "class 1 of classes.txt has no name"),
        (["cat", "dog", "cat"], "names a class twice: 'cat'"),
        (["cat", "a\ud800b"], r"class 1 of classes.txt has the character U\+D800"),  # OpenCV dies of a lone surrogate
        (["a\x00", "b"], r"U\+0000"),
        (["a\nb"], r"U\+000A"),
    ],
)
def test_names_that_cannot_be(names: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        checked_names(names, "classes.txt")


def test_names_of_any_language_are_kept() -> None:
    names = ("Straße", "дорога", "道路", "e\u0301cole", "🚗", "7")
    assert checked_names([*names[:-1], 7], "classes") == names


@pytest.mark.parametrize("names", [(), ("a",), ("a", "b")])
def test_the_same_names_have_no_problem(names: tuple[str, ...]) -> None:
    assert class_problems(names, list(names)) == []


def test_another_order_names_the_classes() -> None:
    (problem,) = class_problems(["a", "b", "c"], ["a", "c", "b"])
    assert (
        problem
        == "class 1 is 'b' in the first and 'c' in the second; class 2 is 'c' in the first and 'b' in the second"
    )
    (problem,) = class_problems("abcdef", "fedcba")
    assert problem.endswith("and 3 more")


def test_other_content_names_what_is_missing() -> None:
    assert class_problems(["a", "b"], ["a"]) == ["2 classes against 1", "only the first has 'b'"]
    assert class_problems(["a", "b"], ["a", "x"]) == ["only the first has 'b'", "only the second has 'x'"]
    assert class_problems(["a", "b"], ["b", "a", "x"]) == [
        "2 classes against 3",
        "only the second has 'x'",
        "class 0 is 'a' in the first and 'b' in the second; class 1 is 'b' in the first and 'a' in the second",
    ]


def test_generated_names_say_nothing_about_meanings() -> None:
    assert generated_names(2) == ("class 0", "class 1")
    assert class_problems(generated_names(2), ["sky", "road"]) == []
    assert class_problems(["sky", "road"], generated_names(2)) == []
    assert class_problems(generated_names(3), ["sky", "road"])[0] == "3 classes against 2"
