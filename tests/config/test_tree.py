"""Merging of trees."""

import pytest

from mobileseg.config.source import parse
from mobileseg.config.tree import Origin, dotted, flatten, mark_carried, merge, strip, walk
from mobileseg.errors import ConfigError


def tree(text, name="f.yml", override=False):
    return parse(text, Origin(name, override=override))


def merged(base, upper):
    return flatten(merge(tree(base, "base.yml"), tree(upper, "upper.yml")))


def test_mappings_merge_deeply_and_lists_replace():
    data, origins, carried = merged("a: {b: 1, c: [1, 2]}\nd: 3", "a: {c: [9], e: 4}\nd: {x: 1}")
    assert data == {"a": {"b": 1, "c": [9], "e": 4}, "d": {"x": 1}}
    assert origins[("a", "b")].text == "base.yml:1"
    assert origins[("a", "c", 0)].text == "upper.yml:1"
    assert carried == []


def test_null_replaces_a_mapping():
    assert merged("clip: {norm: 1}", "clip:")[0] == {"clip": None}


def test_inherited_false_starts_afresh_and_leaves_no_trace():
    data, _, carried = merged("o: {type: SGD, momentum: 0.9}", "o: {_inherited_: False, type: AdamW}")
    assert data == {"o": {"type": "AdamW"}}
    assert carried == []


def test_inherited_true_and_inherited_without_a_base_leave_no_trace():
    assert merged("o: {a: 1}", "o: {_inherited_: True, b: 2}\np: {_inherited_: False, q: {_inherited_: False}}")[0] == {
        "o": {"a": 1, "b": 2},
        "p": {"q": {}},
    }


@pytest.mark.parametrize("base", ["o: {a: 1}", "x: 1"])
def test_inherited_must_be_a_boolean(base):
    with pytest.raises(ConfigError, match=r"upper.yml:1: _inherited_: must be True or False, got 'maybe'"):
        merged(base, "o: {_inherited_: maybe}")


def test_changed_type_carries_arguments_and_drops_pretrained():
    data, _, carried = merged("b: {type: A, pretrained: a.pdparams, depth: 3, k: 1}", "b: {type: B, k: 2}")
    assert data == {"b": {"type": "B", "depth": 3, "k": 2}}
    assert carried == [("b", "depth")]


def test_same_type_again_carries_nothing():
    data, _, carried = merged("b: {type: A, pretrained: a.pdparams}", "b: {type: A}")
    assert data == {"b": {"type": "A", "pretrained": "a.pdparams"}}
    assert carried == []


def test_set_again_above_the_change_is_no_longer_carried():
    changed = merge(tree("b: {type: A, depth: 3}"), tree("b: {type: B}"))
    assert flatten(merge(changed, tree("b: {depth: 5}")))[2] == []


def test_merge_leaves_its_arguments_alone():
    base, upper = tree("a: {b: 1}"), tree("a: {_inherited_: true, b: 2}")
    before = flatten(base)[0], flatten(upper)[0]
    merge(base, upper)
    assert (flatten(base)[0], flatten(upper)[0]) == before


def test_mark_carried_spares_what_an_override_wrote():
    before = tree("m: {type: A, pretrained: a, x: 1, y: {z: 1}, w: 1}")
    upper = tree("m: {type: B, x: 2, y: {z: 5}}", "-o", override=True)
    after, _, carried = flatten(mark_carried(before, merge(before, upper)))
    assert after == {"m": {"type": "B", "x": 2, "y": {"z": 5}, "w": 1}}
    assert carried == [("m", "w")]


def test_walk_and_dotted():
    assert [node.value for node in walk(tree("a: [1, 2]")) if not isinstance(node.value, dict | list)] == [1, 2]
    assert dotted(("a", 0, "b")) == "a.0.b"


def test_strip_reaches_into_lists():
    assert flatten(strip(tree("a: [{_inherited_: false, b: 1}]")))[0] == {"a": [{"b": 1}]}
