from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileseg.config.build import build_dataset, build_network
from mobileseg.config.load import Config, load_config
from mobileseg.data.io import write_png
from mobileseg.data.synthetic.clip import draw_clip
from mobileseg.errors import ConfigError, RuntimeEngineError, WeightsError
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.predictor import InstancePredictor
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.semantic.predictor import NetworkPredictor
from mobileseg.structures import InstanceResult
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


ZOO = Path(__file__).resolve().parents[2] / "zoo"
VIDEO_NETWORKS = ("mobileinst_mobilenetv2_clips", "mobileyolact_edge_mobilenetv2_clips")


@pytest.fixture(scope="module")
def clip_frames() -> list[np.ndarray]:
    """Frames of a moving scene, uint8 [192, 192, 3]."""
    rng = np.random.default_rng(3)
    return [frame.scene.image(frame.ids, rng) for frame in draw_clip(rng, 192, 192, "val", 5)]


def assert_same_objects(found: InstanceResult, expected: InstanceResult) -> None:
    assert found.classes.tolist() == expected.classes.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    assert (found.masks.to_array() == expected.masks.to_array()).mean() > 0.999


@pytest.mark.parametrize("name", VIDEO_NETWORKS)
def test_images_are_no_frames_of_one_video(name: str, clip_frames: list[np.ndarray]) -> None:
    """What a video network says of an image does not depend on those before it."""
    network, exported = NetworkSegmenter.of_folder(ZOO / name), Segmenter(ZOO / name)
    for image in clip_frames[:2] * 2:
        found = network(image)
        assert len(found) > 2
        assert_same_objects(found, exported(image))


@pytest.mark.parametrize("name", VIDEO_NETWORKS)
@pytest.mark.parametrize("track", [None, True, False, {"score": 0.4}])
def test_a_video_goes_as_with_the_exported_model(name: str, track: Any, clip_frames: list[np.ndarray]) -> None:
    """Key frames, the frames between them, and ids; two streams do not disturb each other."""
    network, exported = NetworkSegmenter.of_folder(ZOO / name), Segmenter(ZOO / name)
    stream, other, reference = network.stream(track=track), network.stream(), exported.stream(track=track)
    kinds = []
    for image in clip_frames:
        other.step(image[::-1].copy())
        found, expected = stream.step(image), reference.step(image)
        assert_same_objects(found, expected)
        kinds.append(found.pipeline)
        assert found.pipeline == expected.pipeline
        for one, two in ((found, expected), (expected, found)):
            assert (one.track_ids is None) == (two.track_ids is None)
        if found.track_ids is not None:
            assert found.track_ids.tolist() == expected.track_ids.tolist()
    assert kinds[:2] == ["key", "nonkey"]


def test_key_frames_by_scene_cuts_are_those_of_the_frames(clip_frames: list[np.ndarray]) -> None:
    folder = ZOO / VIDEO_NETWORKS[1]
    config = load_config(folder / "config.yml", ["keyframes.scene_cut=0.1", "keyframes.every=9"])
    stream = NetworkSegmenter(config, folder).stream()
    cut = [clip_frames[0], clip_frames[1], np.zeros_like(clip_frames[0])]
    assert [stream.step(image).pipeline for image in cut] == ["key", "nonkey", "key"]


def test_what_a_stream_of_the_network_cannot_do(toy_config: ToyConfig, weights: Path) -> None:
    segmenter = NetworkSegmenter(toy_config(), weights)
    with pytest.raises(RuntimeEngineError, match="only exported models smooth"):
        segmenter.stream(smooth=0.5)
    with pytest.raises(RuntimeEngineError, match="no objects that could be tracked"):
        segmenter.stream(track=True).step(np.zeros((32, 32, 3), np.uint8))
    queries = NetworkSegmenter.of_folder(ZOO / VIDEO_NETWORKS[0])
    with pytest.raises(RuntimeEngineError, match="follows objects by their kernels"):
        queries.stream(track={"overlap": 0.5})
