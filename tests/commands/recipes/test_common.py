"""What every recipe checks before it does anything."""

import argparse

import pytest
import yaml

from mobileseg.cli import main
from mobileseg.commands.recipes.common import add_common_arguments, open_job, refuse_overwriting
from mobileseg.compress.steps import save_network
from mobileseg.config.build import build_network
from mobileseg.config.load import load_config
from mobileseg.errors import CompressionError, ConfigError, WeightsError
from mobileseg.folders import held


@pytest.fixture
def source(toy_config, tmp_path):
    """A folder as a zoo has them."""
    config = toy_config("model.width=16")
    save_network(tmp_path / "input", build_network(config), config, None)
    return tmp_path / "input"


def parsed(*words, random_weights=False):
    parser = argparse.ArgumentParser()
    parser.set_defaults(verb="compress")
    add_common_arguments(parser, random_weights=random_weights)
    return parser.parse_args([str(word) for word in words])


def test_the_configuration_beside_the_weights(source, tmp_path):
    job = open_job(parsed("--model", source, "--save_dir", tmp_path / "out", "-o", "seed=9"))
    assert (job.config.path, job.config.seed) == (source / "config.yml", 9)
    network = job.network()
    assert not network.training
    assert network.stem.weight.shape[0] == 16
    file = open_job(parsed("--model", source / "model.pdparams", "--save_dir", tmp_path / "out"))
    assert file.config.path == source / "config.yml"


def test_the_plan_of_pruned_weights_is_found(source, toy_config, tmp_path):
    config = toy_config("model.width=16")
    plan = {"stem.weight": [8, 3, 3, 3], "stem.bias": [8], "norm.weight": [8], "norm.bias": [8], "norm._mean": [8],
            "norm._variance": [8], "head.weight": [3, 8, 3, 3], "aux.weight": [3, 8, 1, 1]}  # fmt: skip
    save_network(tmp_path / "narrow", build_network(config, plan), config, plan)
    plain = tmp_path / "plain.yml"
    plain.write_text(yaml.safe_dump({**config.to_dict()}))
    job = open_job(parsed(plain, "--model", tmp_path / "narrow", "--save_dir", tmp_path / "out"))
    assert job.config.model["plan"] == plan
    assert job.network().stem.weight.shape[0] == 8


def test_a_wrong_configuration(source, toy_config, tmp_path):
    other = tmp_path / "other.yml"
    other.write_text(yaml.safe_dump(toy_config("model.width=12").to_dict()))
    job = open_job(parsed(other, "--model", source, "--save_dir", tmp_path / "out"))
    with pytest.raises(WeightsError, match="nothing was changed"):
        job.network()
    assert not (tmp_path / "out").exists()


def test_folders_without_weights(tmp_path):
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "deploy.yaml").write_text("precision: int8\n")
    with pytest.raises(WeightsError, match="exported and quantised"):
        open_job(parsed("--model", tmp_path / "exported", "--save_dir", tmp_path / "out"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="there are no weights in the folder"):
        open_job(parsed("--model", tmp_path / "empty", "--save_dir", tmp_path / "out"))


@pytest.mark.parametrize("place", ["input", "input/../input", "."])
def test_results_never_go_over_the_input(source, tmp_path, place):
    before = {path: path.read_bytes() for path in source.iterdir()}
    for model in (source, source / "model.pdparams"):
        with pytest.raises(CompressionError, match="would be written over the input"):
            open_job(parsed("--model", model, "--save_dir", tmp_path / place))
    assert {path: path.read_bytes() for path in source.iterdir()} == before


def test_a_run_is_protected_as_a_whole(tmp_path):
    best = tmp_path / "run" / "best"
    best.mkdir(parents=True)
    with pytest.raises(CompressionError, match="over the input"):
        refuse_overwriting(best, tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(CompressionError, match="over the input"):
        refuse_overwriting(tmp_path / "run", tmp_path / "link")
    refuse_overwriting(tmp_path / "run", tmp_path / "run" / "smaller")
    (tmp_path / "file").write_text("")
    with pytest.raises(CompressionError, match="exists and is no folder"):
        refuse_overwriting(tmp_path / "run", tmp_path / "file")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--save_dir", "out"], "name the network to start from"),
        (["--model", "nowhere", "--save_dir", "out"], "there is nothing at nowhere"),
        (["--model", "{source}"], "name a folder for the results"),
        (
            ["--model", "{source}/model.pdparams", "--save_dir", "out", "a.yml", "--config", "b.yml"],
            "one configuration",
        ),
    ],
)
def test_arguments_that_are_missing_or_wrong(source, words, message):
    with pytest.raises(ConfigError, match=message):
        open_job(parsed(*(word.format(source=source) for word in words)))


def test_weights_without_any_configuration(source, tmp_path):
    (source / "config.yml").unlink()
    with pytest.raises(ConfigError, match="name the configuration"):
        open_job(parsed("--model", source, "--save_dir", tmp_path / "out"))


def test_random_weights(source, tmp_path):
    config = source / "config.yml"
    job = open_job(parsed(config, "--random_weights", "--save_dir", tmp_path / "out", random_weights=True))
    assert job.source is None
    with pytest.raises(ConfigError, match="name the network to start from"):
        open_job(parsed("--model", source, "--random_weights", "--save_dir", "out", random_weights=True))
    assert load_config(config).model["pretrained"].endswith("model.pdparams")


def test_two_recipes_and_one_folder(source, tmp_path, capsys):
    """A recipe goes on in the folder of an earlier call, so two at once would mix their steps."""
    words = ["compress", "fold", "--model", str(source), "--save_dir", str(tmp_path / "out")]
    with held(tmp_path / "out", CompressionError):
        assert main(words) == CompressionError.exit_code
        assert "another process writes its results into" in capsys.readouterr().err
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]
    assert not (tmp_path / "out").exists()
    assert main(["compress", "fold", "--model", str(source), "--save_dir", str(source)]) == CompressionError.exit_code
    assert sorted(path.name for path in source.iterdir()) == ["config.yml", "model.pdparams"]
