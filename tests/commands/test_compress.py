"""The command line of compress: recipes, their common arguments, what is refused."""

import argparse

import pytest

from mobileseg import cli
from mobileseg.commands import compress


@pytest.fixture
def shown(capsys):
    def run(*words):
        with pytest.raises(SystemExit) as stop:
            cli.main(["compress", *words])
        return stop.value.code, capsys.readouterr()

    return run


def test_the_help_explains_the_recipes(shown):
    code, printed = shown("--help")
    assert code == 0
    for name in compress.RECIPES:
        assert f"\n    {name}" in printed.out
    assert "report.html" in printed.out
    assert "never written to" in printed.out


@pytest.mark.parametrize("name", compress.RECIPES)
def test_every_recipe_explains_itself(shown, name):
    code, printed = shown(name, "--help")
    assert code == 0
    assert "--save_dir" in printed.out
    assert len(printed.out) > 1200


def test_no_recipe_is_bad_usage(shown):
    assert shown()[0] == 2
    code, printed = shown("melt")
    assert code == 2
    assert "invalid choice: 'melt'" in printed.err


@pytest.mark.parametrize("name", compress.RECIPES)
def test_arguments_of_all_recipes(name):
    parser = argparse.ArgumentParser()
    compress.add_arguments(parser)
    args = parser.parse_args([name, "--config", "c.yml", "--model", "m", "--save_dir", "d", "-o", "a=1", "b=2"])
    assert (args.recipe, args.config, args.model, args.save_dir, args.opts) == (name, "c.yml", "m", "d", ["a=1", "b=2"])
