"""YAML files with lines, and their bases."""

import math
from pathlib import Path

import pytest
import yaml

from mobileseg.config.source import MAX_VALUES, dump, parse, read_tree
from mobileseg.config.tree import Origin, flatten


def values(path):
    return flatten(read_tree(path))[0]


def lines(path):
    return {key: origin.text for key, origin in flatten(read_tree(path))[1].items()}


def test_lines_of_keys_and_items(write):
    file = write("a.yml", "iters: 5\nmodel:\n  type: X\n  sizes:\n    - 1\n    - 2\n")
    found = lines(file)
    assert found[("iters",)] == "a.yml:1"
    assert found[("model", "type")] == "a.yml:3"
    assert found[("model",)] == "a.yml:2"
    assert found[("model", "sizes", 1)] == "a.yml:6"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("5E4", 5e4),
        ("1.5e3", 1500.0),
        ("-2e-3", -2e-3),
        ("1.0e-4", 1e-4),
        (".5e1", 5.0),
        ("1_0e1", 100.0),
    ],
)
def test_exponents_are_numbers(text, value):
    assert parse(text, Origin("f")).value == value
    assert isinstance(parse(text, Origin("f")).value, float)


@pytest.mark.parametrize("text", ["e5", "1e", "v1e5", "1e5x", "0x1e-5q"])
def test_other_texts_stay_texts(text):
    assert parse(text, Origin("f")).value == text


@pytest.mark.parametrize("value", ["1e-5", "1e5", "yes", "null", "1.0", "a: b", "", "2020-01-01", "ü", "12:30:00"])
def test_texts_survive_writing(value):
    assert flatten(parse(dump({"a": value}), Origin("f")))[0] == {"a": value}


@pytest.mark.parametrize("value", [1e-5, 1e22, 0.1, -0.0, 5, True, None, [1, [2.5]], {"b": {7: 0}}])
def test_values_survive_writing(value):
    back = flatten(parse(dump({"a": value}), Origin("f")))[0]["a"]
    assert back == value
    assert type(back) is type(value)


def test_of_a_key_given_twice_the_last_counts_and_it_is_said(write, caplog):
    file = write("a.yml", "iters: 1\nmodel:\n  type: A\n  type: B\niters: 2\n")
    assert values(file) == {"iters": 2, "model": {"type": "B"}} == yaml.safe_load(Path(file).read_text())
    assert lines(file)[("iters",)] == "a.yml:5"
    said = [record.getMessage() for record in caplog.records]
    assert "warning: a.yml:4: model.type: given twice, first at a.yml:3; this one counts" in said
    assert "warning: a.yml:5: iters: given twice, first at a.yml:1; this one counts" in said


def test_merge_keys(write):
    file = write(
        "a.yml",
        """\
        one: &one {a: 1, b: 1}
        two: &two {b: 2, c: 2}
        use:
          <<: [*one, *two]
          c: 3
        alone: {<<: *two, b: 9}
        """,
    )
    assert values(file)["use"] == {"a": 1, "b": 1, "c": 3}
    assert values(file)["alone"] == {"b": 9, "c": 2}
    assert lines(file)[("use", "c")] == "a.yml:5"
    assert lines(file)[("use", "a")] == "a.yml:1"


def test_merge_key_needs_a_mapping(write, refused):
    assert "merge key" in str(refused(read_tree, write("a.yml", "a: &a 3\nb:\n  <<: *a\n")))


def test_alias_is_a_copy_with_the_line_of_its_use(write):
    file = write("a.yml", "a: &a [1, 2]\nb: *a\n")
    assert values(file) == {"a": [1, 2], "b": [1, 2]}
    assert lines(file)[("b",)] == "a.yml:2"


def test_alias_circle(write, refused):
    assert "alias must not point" in str(refused(read_tree, write("a.yml", "a: &a\n  b: *a\n")))


def test_alias_bomb(write, refused):
    levels = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert str(MAX_VALUES) in str(refused(read_tree, write("a.yml", "\n".join(levels))))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: [1, 2\nb: 3\n", "bad.yml:2: not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", "bad.yml:1"),
        ("a: !!python/name:os.system\n", "bad.yml:1"),
        ("a: !mine 3\n", "bad.yml:1"),
        ("a: 2020-01-01\n", "YAML reads this as date"),
        ("a: !!binary aGVsbG8=\n", "YAML reads this as bytes"),
        ("a: !!set {x, y}\n", "bad.yml:1"),
        ("yes: 3\n", "'yes' cannot be a key: YAML reads it as True"),
        ("? [1, 2]\n: 3\n", "cannot be a key"),
        ("- 1\n- 2\n", "expected a mapping of keys, found list"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("a: *nowhere\n", "bad.yml:1: not valid YAML"),
        ("a: \x00\n", "not valid YAML"),
        ("a: " + "[" * 5000, "nested too deeply"),
    ],
)
def test_bad_files(write, refused, text, part):
    assert part in str(refused(read_tree, write("bad.yml", text)))


def test_empty_file_is_an_empty_configuration(write):
    assert values(write("a.yml", "# nothing\n")) == {}


def test_missing_file_folder_and_binary(write, refused, tmp_path):
    write("x.yml", "")
    assert "nowhere.yml does not exist" in str(refused(read_tree, "nowhere.yml"))
    assert "cannot be read" in str(refused(read_tree, tmp_path))
    (tmp_path / "image.yml").write_bytes(b"\x89PNG\xff\xfe")
    assert "not UTF-8 text" in str(refused(read_tree, "image.yml"))


def test_base_chain_is_relative_to_each_file(write):
    write("base/a.yml", "x: {p: 1, q: 1, r: 1}")
    write("middle/b.yml", "_base_: ../base/a.yml\nx: {q: 2, r: 2}")
    file = write("top/c.yml", "_base_: ../middle/b.yml\nx: {r: 3}")
    assert values(file) == {"x": {"p": 1, "q": 2, "r": 3}}
    assert lines(file)[("x", "p")] == "base/a.yml:1"
    assert lines(file)[("x", "q")] == "middle/b.yml:2"


def test_of_several_bases_the_first_wins(write):
    write("a.yml", "x: 1\ny: {p: 1}")
    write("b.yml", "x: 2\ny: {p: 2, q: 2}\nz: 2")
    assert values(write("c.yml", "_base_: [a.yml, b.yml]\nw: 3")) == {"x": 1, "y": {"p": 1, "q": 2}, "z": 2, "w": 3}


def test_section_that_is_not_inherited_drops_all_bases(write):
    write("a.yml", "o: {p: 1}")
    write("b.yml", "o: {q: 2}")
    assert values(write("c.yml", "_base_: [a.yml, b.yml]\no: {_inherited_: false, r: 3}")) == {"o": {"r": 3}}


def test_whole_file_that_is_not_inherited(write):
    write("a.yml", "o: 1")
    assert values(write("c.yml", "_base_: a.yml\n_inherited_: false\np: 2")) == {"p": 2}


def test_base_circle_is_named(write, refused):
    write("a.yml", "_base_: b.yml")
    write("b.yml", "_base_: c.yml")
    write("c.yml", "_base_: b.yml")
    assert "circle: b.yml -> c.yml -> b.yml" in str(refused(read_tree, "a.yml"))


def test_base_used_twice_is_no_circle(write):
    write("a.yml", "x: 1")
    write("b.yml", "_base_: a.yml")
    write("c.yml", "_base_: a.yml")
    assert values(write("d.yml", "_base_: [b.yml, c.yml]")) == {"x": 1}


@pytest.mark.parametrize(
    ("text", "part"), [("x: 1\n_base_: no.yml", "a.yml:2: _base_: the base file no.yml does not exist"),
                       ("_base_: 3", "a.yml:1: _base_: must be a path"), ("_base_: [1]", "must be a path")]
)  # fmt: skip
def test_bad_bases(write, refused, text, part):
    assert part in str(refused(read_tree, write("a.yml", text)))


def test_infinity_is_read_as_infinity():
    assert math.isinf(parse(".inf", Origin("f")).value)
