"""Overrides."""

from pathlib import Path

import pytest

from mobileseg.config.overrides import apply
from mobileseg.config.source import parse
from mobileseg.config.tree import Origin, flatten

BASE = """
iters: 100
flag: true
model: {type: A, backbone: {type: B, pretrained: w, depth: 1}}
train: {transforms: [{type: T, scale: 0.5}, {type: U}]}
labels: {7: 0}
empty:
"""


def result(*overrides):
    given = overrides[0] if len(overrides) == 1 and isinstance(overrides[0], dict) else list(overrides)
    return flatten(apply(parse(BASE, Origin("f.yml")), given))


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("iters=0", ("iters",), 0),
        ("iters=1e3", ("iters",), 1000.0),
        ("flag=false", ("flag",), False),
        ("model.backbone.pretrained=null", ("model", "backbone", "pretrained"), None),
        ("model.backbone.pretrained=", ("model", "backbone", "pretrained"), None),
        ("model.backbone.pretrained=None", ("model", "backbone", "pretrained"), None),
        ("flag=True", ("flag",), True),
        ("model.backbone.pretrained=https://x/y?a=b&c=d", ("model", "backbone", "pretrained"), "https://x/y?a=b&c=d"),
        ("model.backbone.pretrained='5'", ("model", "backbone", "pretrained"), "5"),
        ("train.transforms.0.scale=0.75", ("train", "transforms", 0, "scale"), 0.75),
        ("train.transforms.1.new=[1, 2]", ("train", "transforms", 1, "new"), [1, 2]),
        ("train.transforms=[]", ("train", "transforms"), []),
        ("labels.7=3", ("labels", 7), 3),
        ("empty.a.b=1", ("empty",), {"a": {"b": 1}}),
        ("brand.new=x", ("brand", "new"), "x"),
        ("test.scales=0.75,1.0", ("test", "scales"), "0.75,1.0"),
    ],
)
def test_values(override, path, value):
    data, origins, _ = result(override)
    for key in path:
        data = data[key]
    assert data == value
    assert type(data) is type(value)
    assert origins[path].text == f"-o {override}"


def test_later_overrides_win_and_mappings_merge():
    data, _, _ = result("iters=1", "iters=2", "model={backbone: {depth: 5}}")
    assert data["iters"] == 2
    assert data["model"]["backbone"] == {"type": "B", "pretrained": "w", "depth": 5}


def test_mapping_of_overrides():
    given = {
        "iters": 0,
        "train.transforms.0.scale": 0.25,
        "model": {"backbone": {"depth": (1, 2)}},
        "root": Path("a/b"),
    }
    data, origins, _ = result(given)
    assert data["iters"] == 0
    assert data["root"] == "a/b"
    assert data["train"]["transforms"][0]["scale"] == 0.25
    assert data["model"]["backbone"]["depth"] == [1, 2]
    assert data["model"]["type"] == "A"
    assert origins[("iters",)].text == "override iters"


def test_one_text_is_one_override():
    assert flatten(apply(parse(BASE, Origin("f")), "iters=7"))[0]["iters"] == 7


@pytest.mark.parametrize("order", [1, -1])
def test_changed_type_drops_pretrained_and_marks_the_rest(order):
    data, _, carried = result(*["model.backbone.type=C", "model.backbone.width=2"][::order])
    assert data["model"]["backbone"] == {"type": "C", "depth": 1, "width": 2}
    assert carried == [("model", "backbone", "depth")]


def test_changed_type_keeps_the_pretrained_of_the_same_command_line():
    data, _, _ = result("model.backbone.pretrained=v", "model.backbone.type=C")
    assert data["model"]["backbone"]["pretrained"] == "v"


def test_every_bad_override_is_reported(refused):
    bad = ["iters", "=3", "a..b=1", "iters.x=3", "train.transforms.9.scale=1", "train.transforms.x=1", "iters=[1,"]
    error = refused(result, *bad)
    assert len(error.problems) == len(bad)
    text = str(error)
    assert "written key=value" in text
    assert "iters is 100 (f.yml:2), which holds no key 'x'" in text
    assert "'9' is no position in this list of 2 (hint: positions go from 0 to 1)" in text
    assert "not valid YAML" in text


def test_values_that_no_file_could_hold(refused):
    assert "a object has no place" in str(refused(result, {"model": {"x": object()}}))


def test_the_tree_is_left_alone():
    tree = parse(BASE, Origin("f"))
    before = flatten(tree)[0]
    apply(tree, ["iters=1", "train.transforms.0.scale=9", "model.backbone.type=Z"])
    assert flatten(tree)[0] == before
