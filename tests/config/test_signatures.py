"""Arguments against constructor signatures."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest

from mobileseg.config.signatures import argument_names, check_component, hints
from mobileseg.config.structure import Origins
from mobileseg.registry import TRANSFORMS, Registry


class Plain:
    def __init__(
        self,
        size: Sequence[int],
        ratio: float = 1.0,
        count: int | None = None,
        kind: Literal["a", "b"] = "a",
        pair: tuple[int, int] = (1, 1),
        table: Mapping[int, int] | None = None,
        anything: Any = None,
        odd: Origins | None = None,
        untyped=3,
    ) -> None: ...


class Open:
    def __init__(self, first: int, *rest: int, **others: Any) -> None: ...


def function(in_channels: int = 3) -> None: ...


@pytest.fixture
def registry(monkeypatch):
    TRANSFORMS.load()
    mine = Registry("transform", ())
    for component in (Plain, Open, function):
        mine.add_component(component)
    monkeypatch.setitem(check_component.__globals__["REGISTRIES"], "transform", mine)


def check(registry, **section):
    return [str(problem) for problem in check_component(("t",), "transform", section, Origins({}))]


def test_names(registry):
    assert argument_names("transform", "function") == {"in_channels"}
    assert argument_names("transform", "Open") is None
    assert argument_names("transform", "Nothing") is None
    assert argument_names("backbone", "paddleseg.HRNet_W18") is None
    assert {"pretrained", "in_channels"} <= (argument_names("backbone", "GhostNet_x1_0") or set())


@pytest.mark.parametrize(
    "arguments",
    [
        {"size": [1, 2]},
        {"size": [], "ratio": 2, "count": 5, "kind": "b", "pair": [3, 4]},
        {"size": [1], "count": None, "table": {7: 0}, "anything": {"x": [1]}, "odd": 5, "untyped": "x"},
    ],
)
def test_good_arguments(registry, arguments):
    assert check(registry, type="Plain", **arguments) == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({}, "t: Plain needs the argument 'size'"),
        ({"size": [1], "ratoi": 2}, "t.ratoi: Plain has no argument 'ratoi' (hint: did you mean ratio?)"),
        ({"size": 5}, "t.size: should be a valid"),
        ({"size": ["x"]}, "t.size: should be a valid integer"),
        ({"size": [1.5]}, "t.size: should be a valid integer"),
        ({"size": [1], "ratio": "2"}, "t.ratio: should be a valid number, got '2'"),
        ({"size": [1], "ratio": True}, "t.ratio: should be a valid number, got True"),
        ({"size": [1], "count": 1.5}, "t.count: should be a valid integer"),
        ({"size": [1], "kind": "c"}, "t.kind: should be 'a' or 'b', got 'c'"),
        ({"size": [1], "pair": [1, 2, 3]}, "t.pair"),
        ({"size": [1], "table": {"x": 0}}, "t.table"),
    ],
)
def test_bad_arguments(registry, arguments, part):
    found = check(registry, type="Plain", **arguments)
    assert len(found) == 1
    assert part in found[0]


def test_open_signature_takes_any_name_but_needs_its_first(registry):
    assert check(registry, type="Open", first=1, other="x") == []
    assert check(registry, type="Open", other="x") == ["t: Open needs the argument 'first' (hint: add first: ...)"]


def test_unknown_component_names_the_nearest(registry):
    assert check(registry, type="Plian") == ["t.type: there is no transform named 'Plian' (hint: did you mean Plain?)"]


def test_only_networks_backbones_and_losses_come_from_paddleseg(registry):
    (problem,) = check(registry, type="paddleseg.Plain")
    assert "not taken from the paddleseg package; the suite has its own (hint: write Plain)" in problem


def test_unresolvable_annotations_are_no_obstacle():
    def built(value: "NoSuchName") -> None: ...  # noqa: F821

    assert hints(built) == {}
