"""Names of the classes travel with the weights, and whoever means others by an index is refused."""

import json
import shutil

import numpy as np
import pytest
import yaml

from mobileseg.cli import main
from mobileseg.config.classes import class_difference, class_names, name_table
from mobileseg.config.load import load_config
from mobileseg.errors import ConfigError, TrainingError
from mobileseg.training.checkpoint import read_state
from mobileseg.training.network_segmenter import NetworkSegmenter
from mobileseg.training.trainer import Trainer
from mobileseg.training.weights import classes_of
from tests.converting import traces
from tests.training.toy import toy_section

pytestmark = pytest.mark.both

NAMES = ["red", "green", "blue"]
SWAPPED = ["green", "red", "blue"]
SHORT = ("iters=2", "lr_scheduler.warmup_iters=1")


def named(train, val):
    return [f"train_dataset.classes={train}", f"val_dataset.classes={val}"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, toy_data):
    """A run whose classes have names: its configuration and its folder."""
    folder = tmp_path_factory.mktemp("named")
    path = folder / "toy.yml"
    path.write_text(yaml.safe_dump(toy_section(toy_data)))
    Trainer(load_config(path, [*named(NAMES, NAMES), *SHORT]), folder / "run").fit()
    return path, folder / "run"


def test_what_differs_is_said():
    assert class_difference(NAMES, NAMES) is None
    assert class_difference(NAMES, ["class 0", "class 1", "class 2"]) is None  # made up, and so nothing is known
    assert class_difference([], NAMES) is None
    assert class_difference(NAMES, SWAPPED) == (
        "the same classes in another order: 0 is 'red' and 'green', 1 is 'green' and 'red'"
    )
    assert class_difference(NAMES, ["red", "green", "sky"]) == (
        "3 and 3 classes, of which 1 only on the first side (blue) and 1 only on the second (sky)"
    )


def test_names_match_by_name():
    np.testing.assert_array_equal(name_table(NAMES, SWAPPED), [1, 0, 2])
    np.testing.assert_array_equal(name_table(NAMES, ["blue"]), [-1, -1, 0])
    with pytest.raises(ConfigError, match="does not know: sky"):
        name_table(NAMES, ["sky", "red"])


def test_names_of_a_configuration(toy_config, instance_config):
    assert class_names(toy_config(*named(NAMES, NAMES))) == tuple(NAMES)
    assert class_names(toy_config()) == ()
    assert len(class_names(instance_config())) == 4  # those of the annotation file


def test_names_are_in_every_checkpoint(trained):
    _, run = trained
    assert classes_of(run) == classes_of(run / "last" / "model.pdparams") == tuple(NAMES)


def test_training_and_validation_must_agree(toy_config, tmp_path):
    with pytest.raises(ConfigError, match=r"train_dataset and val_dataset .* another order: 0 is 'red' and 'green'"):
        Trainer(toy_config(*named(NAMES, SWAPPED)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_annotation_files_that_number_their_categories_otherwise(instance_config, instance_data, tmp_path):
    """The same images and objects with two ids swapped: a network would be scored against the other class."""
    file = instance_data / "annotations" / "instances_val.json"
    document = json.loads(file.read_text())
    one, two = document["categories"][:2]
    one["name"], two["name"] = two["name"], one["name"]
    (tmp_path / "val.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="do not have the same classes: the same classes in another order"):
        Trainer(instance_config(f"val_dataset.annotation_file={tmp_path / 'val.json'}"), tmp_path / "run")


def test_a_resume_with_other_classes_is_refused(trained, tmp_path):
    path, run = trained
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    before = (copy / "config.yml").read_bytes()
    with pytest.raises(TrainingError, match="in another order"):
        Trainer(load_config(path, [*named(SWAPPED, SWAPPED), "iters=3"]), copy).fit("auto")
    assert (copy / "config.yml").read_bytes() == before
    assert read_state(copy / "last")["iteration"] == 2


def test_val_refuses_and_matches_by_name_where_the_user_says_so(trained, tmp_path, capsys):
    path, run = trained
    words = ["val", str(path), "--model_path", str(run), "--device", "cpu", "-o"]
    assert main([*words, *named(NAMES, NAMES), "--json", str(tmp_path / "own.json")]) == 0
    assert main([*words, *named(SWAPPED, SWAPPED)]) == ConfigError.exit_code
    assert "--match_classes" in capsys.readouterr().err
    mapping = "val_dataset.label_map={0: 1, 1: 0, 2: 2, 255: 255}"  # the labels of the swapped dataset
    swapped = [*named(SWAPPED, SWAPPED), mapping]
    flags = ["--match_classes", "--json", str(tmp_path / "matched.json")]
    assert main([*words[:-1], *flags, "-o", *swapped]) == 0
    own, matched = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("own", "matched"))
    assert matched["classes"] == SWAPPED
    assert matched["miou"] == own["miou"]
    assert [matched["class_iou"][i] for i in (1, 0, 2)] == own["class_iou"]


def test_predicting_with_a_configuration_of_other_classes_is_refused(trained):
    path, run = trained
    with pytest.raises(ConfigError, match="in another order"):
        NetworkSegmenter(load_config(path, named(SWAPPED, SWAPPED)), run)
    assert NetworkSegmenter(load_config(path, named(NAMES, NAMES)), run).classes == tuple(NAMES)


@traces
@pytest.mark.parametrize("words", [["export"], ["compress", "fold"]])
def test_export_and_compress_refuse(trained, tmp_path, words, capsys):
    path, run = trained
    model = "--model_path" if words == ["export"] else "--model"
    command = [*words, str(path), model, str(run), "--save_dir", str(tmp_path / "out")]
    sizes = ["export.size.height=32", "export.size.width=32"]
    assert main([*command, "-o", *named(SWAPPED, SWAPPED), *sizes]) == ConfigError.exit_code
    assert "in another order" in capsys.readouterr().err
