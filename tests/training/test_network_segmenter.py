from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mobileseg.config.build import build_dataset, build_network
from mobileseg.config.load import Config
from mobileseg.data.io import write_png
from mobileseg.errors import ConfigError, WeightsError
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.predictor import InstancePredictor
from mobileseg.semantic.predictor import NetworkPredictor
from mobileseg.training.network_segmenter import NetworkSegmenter
from mobileseg.weights.load import load_into
from mobileseg.weights.pdparams import save_pdparams

pytestmark = pytest.mark.both

ToyConfig = Callable[..., Config]


@pytest.fixture
def weights(toy_config: ToyConfig, tmp_path: Path) -> Path:
    network = build_network(toy_config(), load_pretrained=False)
    path = tmp_path / "run" / "model.pdparams"
    path.parent.mkdir()
    save_pdparams(path, {name: value.numpy() for name, value in network.state_dict().items()})
    return path


def test_labels_are_those_of_evaluation(toy_config: ToyConfig, weights: Path) -> None:
    """An image of the validation set goes the same way as in `mobileseg val`."""
    config = toy_config()
    segmenter = NetworkSegmenter(config, weights)
    dataset = build_dataset(config.to_dict()["val_dataset"])
    network = build_network(config, load_pretrained=False)
    load_into(network, weights)
    network.eval()
    expected = NetworkPredictor(network)(dataset.prepare(0)).labels
    image = dataset.load(0).image.astype(np.uint8)
    result = segmenter(image)
    np.testing.assert_array_equal(result.labels, expected)
    assert result.labels.dtype == np.uint8
    assert set(result.times) == {"preprocess", "inference"}
    assert segmenter.classes == dataset.classes
    np.testing.assert_array_equal(segmenter.palette, dataset.palette)


def test_flips_of_test_config_are_used(toy_config: ToyConfig, weights: Path, tmp_path: Path) -> None:
    views = {"aug_eval": True, "scales": [1.0], "flip_horizontal": True}
    segmenter = NetworkSegmenter(toy_config(), weights, views)
    image = np.random.default_rng(0).integers(0, 256, (36, 28, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", image)
    mirrored = segmenter(np.ascontiguousarray(image[:, ::-1])).labels[:, ::-1]
    # The mean over both views of an image and of its mirror image is the same mean.
    assert (segmenter(tmp_path / "a.png").labels == mirrored).mean() > 0.99


def test_a_folder_with_its_configuration_is_enough(toy_config: ToyConfig, weights: Path) -> None:
    (weights.parent / "config.yml").write_text(toy_config().to_yaml())
    assert NetworkSegmenter.of_folder(weights.parent).engine_name == "network"


def test_classes_are_numbered_where_the_dataset_is_not_there(toy_file: Path, weights: Path, toy_data: Path) -> None:
    from mobileseg.config.load import load_config

    moved = toy_file.with_name("moved.yml")
    moved.write_text(toy_file.read_text().replace(str(toy_data), str(toy_data / "nowhere")))
    config = load_config(moved)
    segmenter = NetworkSegmenter(config, weights)
    count = config.to_dict()["model"]["num_classes"]
    assert len(segmenter.classes) == len(segmenter.palette) == count


def test_objects_are_those_of_evaluation(instance_config: ToyConfig, tmp_path: Path) -> None:
    """An instance segmentation model: the same way as in `mobileseg val`, with the options of the configuration."""
    config = instance_config("detection.score_threshold=0", "detection.max_detections=6")
    network = build_network(config, load_pretrained=False)
    network.eval()
    save_pdparams(tmp_path / "a.pdparams", {name: value.numpy() for name, value in network.state_dict().items()})
    segmenter = NetworkSegmenter(config, tmp_path / "a.pdparams")
    dataset = build_dataset(config.to_dict()["val_dataset"])
    options = DetectionOptions(score_threshold=0.0, max_detections=6)
    expected = InstancePredictor(network, options)(dataset.prepare(0))
    result = segmenter(dataset.load(0).image.astype(np.uint8))
    assert (segmenter.task, len(result)) == ("instance", 6)
    for name in ("boxes", "scores", "classes"):
        np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))
    np.testing.assert_array_equal(result.masks.to_array(), expected.masks.to_array())
    assert set(result.times) == {"preprocess", "inference"}
    assert segmenter.category_ids == dataset.category_ids


def test_views_of_pixels_are_refused_for_objects(instance_config: ToyConfig, tmp_path: Path) -> None:
    config = instance_config()
    network = build_network(config, load_pretrained=False)
    save_pdparams(tmp_path / "a.pdparams", {name: value.numpy() for name, value in network.state_dict().items()})
    with pytest.raises(ConfigError, match="aug_eval"):
        NetworkSegmenter(config, tmp_path / "a.pdparams", {"aug_eval": True, "scales": [1.0]})


def test_missing_configuration_and_foreign_weights_are_named(
    toy_config: ToyConfig, weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="neither an exported model"):
        NetworkSegmenter.of_folder(weights.parent)
    save_pdparams(tmp_path / "other.pdparams", {"other.weight": np.zeros(3, np.float32)})
    with pytest.raises(WeightsError):
        NetworkSegmenter(toy_config(), tmp_path / "other.pdparams")
