"""What the comparing tools share: the same network every time, its exports, and an image."""

import numpy as np
import pytest

from mobileseg.runtime.manifest import Manifest
from tests.tools.small_network import CONFIG
from tools.network_export import export_to, image_of, network_of


@pytest.fixture
def config_file(tmp_path):
    file = tmp_path / "config.yml"
    file.write_text(CONFIG)
    return str(file)


def test_random_weights_are_the_same_every_time_and_given_ones_take_their_place(config_file, tmp_path):
    import paddle

    config, first = network_of(config_file, ["model.num_classes=4"], None)
    _, second = network_of(config_file, ["model.num_classes=4"], None)
    assert not first.training
    assert config.to_dict()["model"]["num_classes"] == 4
    states = [{key: value.numpy() for key, value in network.state_dict().items()} for network in (first, second)]
    for key, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][key])
    changed = {key: value + 1 if value.dtype == np.float32 else value for key, value in states[0].items()}
    paddle.save({key: paddle.to_tensor(value) for key, value in changed.items()}, str(tmp_path / "w.pdparams"))
    _, given = network_of(config_file, ["model.num_classes=4"], str(tmp_path / "w.pdparams"))
    for key, value in given.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), changed[key])


def test_an_export_has_the_size_the_targets_and_the_form_that_were_asked_for(config_file, tmp_path):
    config, network = network_of(config_file, [], None)
    options = export_to(
        config, network, tmp_path / "out", size=(32, 64), targets=["onnx"], untrained=True, output_op="argmax"
    )
    manifest = Manifest.read(tmp_path / "out")
    assert (manifest.image.height, manifest.image.width) == (options.height, options.width) == (32, 64)
    assert set(manifest.targets()) == {"onnx"}
    assert [spec.kind for spec in manifest.outputs_of("onnx")] == ["labels"]


def test_an_image_is_the_photograph_at_the_size_or_a_made_up_one(tmp_path):
    import cv2

    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 20:] = (10, 20, 200)  # BGR: red
    cv2.imwrite(str(tmp_path / "photo.png"), pixels)
    image = image_of(str(tmp_path / "photo.png"), (10, 8))
    assert image.shape == (10, 8, 3)
    np.testing.assert_array_equal(image[:, 4:], np.broadcast_to([200, 20, 10], (10, 4, 3)))
    made = image_of(None, (12, 16))
    assert made.shape == (12, 16, 3)
    assert made.dtype == np.uint8
    assert made.std() > 0
