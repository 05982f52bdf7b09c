"""Arguments that several verbs share."""

import argparse

import pytest

from mobileseg.commands import export, train, val
from mobileseg.commands.arguments import (
    add_config_arguments,
    add_view_arguments,
    choose_device,
    config_path,
    view_section,
)
from mobileseg.errors import ConfigError, TrainingError


def parse(*words: str, switch: str = "--aug_eval") -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.set_defaults(verb="val")
    add_config_arguments(parser)
    add_view_arguments(parser.add_argument_group("views"), switch)
    return parser.parse_args(words)


@pytest.mark.parametrize("words", [("a.yml",), ("--config", "a.yml")])
def test_a_configuration_is_named_either_way(words):
    assert config_path(parse(*words)) == "a.yml"


@pytest.mark.parametrize("words", [(), ("a.yml", "--config", "b.yml")])
def test_exactly_one_configuration(words):
    with pytest.raises(ConfigError, match="mobileseg val"):
        config_path(parse(*words))


def test_overrides_are_collected():
    assert parse("a.yml").opts == []
    assert parse("a.yml", "-o", "iters=1", "seed=2").opts == ["iters=1", "seed=2"]


def test_flags_replace_a_whole_group_of_the_section():
    section = {"aug_eval": False, "flip_horizontal": True, "scales": [0.5], "is_slide": False}
    assert view_section(parse(), section) == section
    assert view_section(parse("--aug_eval", "--flip_vertical"), section) == {
        "aug_eval": True, "scales": [1.0], "flip_horizontal": False, "flip_vertical": True, "is_slide": False,
    }  # fmt: skip
    window = view_section(parse("--is_slide", "--crop_size", "64", "32", "--stride", "32", "16"), section)
    assert window == section | {"is_slide": True, "crop_size": [64, 32], "stride": [32, 16]}
    assert section["is_slide"] is False


@pytest.mark.parametrize("flag", [["--scales", "2"], ["--flip_horizontal"], ["--flip_vertical"]])
@pytest.mark.parametrize("switch", ["--aug_eval", "--aug_pred"])
def test_a_view_without_its_switch_names_the_switch(flag, switch):
    with pytest.raises(ConfigError, match=f"add {switch}"):
        view_section(parse(*flag, switch=switch), {})


@pytest.mark.parametrize("flag", ["--crop_size", "--stride"])
def test_a_window_without_is_slide(flag):
    with pytest.raises(ConfigError, match="add --is_slide"):
        view_section(parse(flag, "8", "8"), {})


def test_a_gpu_that_is_not_there(monkeypatch):
    import paddle

    monkeypatch.setattr(paddle, "is_compiled_with_cuda", lambda: False)
    with pytest.raises(TrainingError, match="--device cpu"):
        choose_device("gpu")
    choose_device("auto")
    assert paddle.get_device() == "cpu"


@pytest.mark.parametrize("verb", [train, val, export])
def test_verbs_take_a_configuration_both_ways(verb):
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    for words in (["a.yml"], ["--config", "a.yml"]):
        args = parser.parse_args([*words, "-o", "x=1"])
        assert (config_path(args), args.opts) == ("a.yml", ["x=1"])
