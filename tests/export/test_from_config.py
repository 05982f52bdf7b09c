import numpy as np
import pytest
import yaml

from mobileseg.config.load import load_config
from mobileseg.data.io import write_png
from mobileseg.errors import DataError, ExportError
from mobileseg.export.from_config import (
    dataset_from,
    images_from,
    options_from,
    subject_from,
    synthetic_images,
    targets_from,
    warnings_of,
)
from tests.runtime.artefacts import artefact


@pytest.fixture
def config_of(tmp_path):
    def make(transforms=(), num_classes=19, dataset=None, **sections):
        document = {
            "model": {"type": "MobileSeg", "num_classes": num_classes, "backbone": {"type": "MobileNetV2_x1_0"}},
            "val_dataset": {
                "dataset_root": str(tmp_path / "absent"),
                "mode": "val",
                "transforms": list(transforms),
                **(dataset or {"type": "Cityscapes"}),
            },
            **sections,
        }
        (tmp_path / "net.yml").write_text(yaml.safe_dump(document))
        return load_config(tmp_path / "net.yml")

    return make


def listed(count):
    """A list-file dataset of some classes, whose files are not there."""
    return {"type": "Dataset", "num_classes": count, "val_path": "absent/val.txt"}


class Network:
    """As one of the bridge: it does not say how many classes it has."""

    task = "semantic"
    size_multiple = 128


def test_size_and_normalisation_come_from_the_validation_transforms(config_of):
    steps = [{"type": "Resize", "target_size": [64, 48]}, {"type": "Normalize", "mean": 0.4, "std": [0.1, 0.2, 0.3]}]
    options = options_from(config_of(steps), {})
    assert (options.height, options.width) == (48, 64)
    assert (options.mean, options.std) == ((0.4, 0.4, 0.4), (0.1, 0.2, 0.3))


def test_flags_beat_the_export_section_which_beats_the_transforms(config_of):
    config = config_of(
        [{"type": "Resize", "target_size": [64, 48]}],
        export={"size": {"height": 32, "width": 40}, "output_op": "softmax", "opset": 11},
    )
    assert options_from(config, {}).input_shape() == [1, 3, 32, 40]
    changed = options_from(config, {"height": 16, "width": 24, "output_op": None, "opset": 13})
    assert (changed.height, changed.width, changed.output_op, changed.opset) == (16, 24, "softmax", 13)


def test_trained_without_normalisation(config_of):
    options = options_from(config_of(), {"height": 8, "width": 8})
    pixel = 200.0
    assert (pixel / 255 - options.mean[0]) / options.std[0] == pytest.approx(pixel)


def test_no_size_anywhere(config_of):
    with pytest.raises(ExportError, match="does not say for which input size") as caught:
        options_from(config_of(), {})
    assert "--size HEIGHT WIDTH" in caught.value.remedy


def test_targets(config_of):
    assert targets_from(config_of()) is None
    assert targets_from(config_of(export={"targets": ["ncnn", "paddle"]})) == ("paddle", "ncnn")


def test_other_geometry_in_validation_is_said(config_of):
    config = config_of([{"type": "ResizeByShort", "short_size": 64}, {"type": "Normalize"}])
    (warning,) = warnings_of(config, options_from(config, {"height": 8, "width": 16}))
    assert "ResizeByShort" in warning
    assert "8x16" in warning


def test_classes_are_the_dataset_s_even_without_its_files(config_of):
    config = config_of()
    assert dataset_from(config) is None
    subject = subject_from(config, Network(), None)
    assert subject.classes[:2] == ("road", "sidewalk")
    assert subject.palette[0] == (128, 64, 128)
    assert (subject.name, subject.multiple, subject.config_sha256) == ("net", 128, config.hash)


def test_classes_are_numbered_when_nothing_fits(config_of):
    subject = subject_from(config_of(num_classes=3, dataset=listed(3)), Network(), None)
    assert subject.classes == ("class 0", "class 1", "class 2")
    assert len(set(subject.palette)) == 3


def test_a_class_count_that_nobody_knows(tmp_path):
    path = tmp_path / "net.yml"
    path.write_text(yaml.safe_dump({"model": {"type": "MobileSeg", "backbone": {"type": "MobileNetV2_x1_0"}}}))
    with pytest.raises(ExportError, match="how many classes there are") as caught:
        subject_from(load_config(path), Network(), None)
    assert "num_classes" in caught.value.remedy


def test_classes_and_images_of_a_zoo_folder(config_of, folder):
    subject = subject_from(config_of(num_classes=4, dataset=listed(4)), Network(), None, folder)
    assert subject.classes == ("a", "b", "c", "d")
    images = images_from([], None, folder, (8, 8))
    assert len(images.pixels) == 4
    assert images.real
    assert images.source == f"golden.npz of {folder.name}"


def test_given_images(tmp_path):
    for index in range(20):
        write_png(tmp_path / f"{index:02d}.png", np.full((4, 5, 3), index, np.uint8))
    images = images_from([tmp_path], None, None, (8, 8))
    values = [int(pixels[0, 0, 0]) for pixels in images.pixels]
    assert len(values) == 12
    assert values[0] == 0
    assert values[-1] >= 18
    with pytest.raises(ExportError, match="names 1 images"):
        images_from([tmp_path / "00.png"], None, None, (8, 8))
    with pytest.raises(DataError):
        images_from([tmp_path / f"no{index}.png" for index in range(4)], None, None, (8, 8))


def test_synthetic_images_are_the_last_resort():
    images = images_from([], None, None, (40, 56))
    assert not images.real
    assert all(pixels.shape == (40, 56, 3) and pixels.dtype == np.uint8 for pixels in images.pixels)
    assert np.array_equal(synthetic_images((40, 56))[3], images.pixels[3])


def test_a_checkpoint_folder_is_no_name_for_a_network(config_of, tmp_path):
    """`--model_path RUN/best` is where the weights are; the folder that was exported is another matter."""
    best = tmp_path / "best"
    best.mkdir()
    config = config_of()
    assert subject_from(config, Network(), None, zoo=best).name == config.name == "net"
    artefact(tmp_path / "my_zoo_folder")
    assert subject_from(config, Network(), None, zoo=tmp_path / "my_zoo_folder").name == "my_zoo_folder"
