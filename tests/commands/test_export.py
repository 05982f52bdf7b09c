import numpy as np
import paddle
import pytest
import yaml

from mobileseg.cli import main
from mobileseg.data.io import write_png
from mobileseg.export.from_config import synthetic_images
from mobileseg.runtime.manifest import Manifest
from tests.export.families import build

SIZE = (64, 96)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A configuration, its weights (all classes win somewhere) and four images."""
    folder = tmp_path_factory.mktemp("export")
    document = {
        "model": {
            "type": "MobileSeg",
            "num_classes": 5,
            "backbone": {"type": "ShuffleNetV2_x1_0"},
            "cm_bin_sizes": [1, 2, 4],
            "cm_out_ch": 128,
            "arm_out_chs": [32, 64, 128],
            "seg_head_inter_chs": [32, 32, 32],
        },
        "val_dataset": {
            "type": "Dataset",
            "dataset_root": str(folder / "absent"),
            "val_path": str(folder / "absent" / "val.txt"),
            "num_classes": 5,
            "mode": "val",
            "transforms": [{"type": "Normalize"}],
        },
        "export": {"size": {"height": SIZE[0], "width": SIZE[1]}, "targets": ["onnx"]},
    }
    (folder / "net.yml").write_text(yaml.safe_dump(document))
    (folder / "images").mkdir()
    paddle.save(build("shufflenetv2").state_dict(), str(folder / "model.pdparams"))
    for index, pixels in enumerate(synthetic_images(SIZE, 4)):
        write_png(folder / "images" / f"{index}.png", pixels)
    return folder


@pytest.fixture
def command(work, tmp_path):
    base = ["export", "--config", str(work / "net.yml"), "--save_dir", str(tmp_path / "out")]
    return lambda *more: main([*base, *map(str, more)])


def test_export_prints_the_table_and_writes_the_folder(command, work, tmp_path, capsys):
    assert command("--model_path", work / "model.pdparams", "--images", work / "images") == 0
    printed = capsys.readouterr().out
    assert "verify with images from images" in printed  # no path of this machine goes into the notes
    assert "onnx    onnxruntime  ok" in printed
    assert f"verified and written to {tmp_path / 'out'}" in printed
    manifest = Manifest.read(tmp_path / "out")
    assert manifest.image.shape() == (1, 3, *SIZE)
    assert [spec.kind for spec in manifest.outputs_of()] == ["labels"]
    assert manifest.verification[0].status == "ok"


def test_flags_of_paddleseg(command, work, tmp_path, capsys):
    code = command(
        *("--model_path", work / "model.pdparams", "--input_shape", 1, 3, 32, 48, "--output_op", "none"),
        *("--targets", "paddle", "--accept_weak"),
    )
    assert code == 0
    assert "warning: the images to verify with came from the suite's generator" in capsys.readouterr().out
    manifest = Manifest.read(tmp_path / "out")
    assert manifest.outputs_of()[0].shape == (1, 5, 32, 48)
    assert list(manifest.graphs["main"].files) == ["paddle"]


def test_existing_folder_is_safe(command, work, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    assert command("--model_path", work / "model.pdparams", "--images", work / "images") == 6
    assert "exists and is not empty" in capsys.readouterr().err
    assert command("--model_path", work / "model.pdparams", "--overwrite") == 6
    assert "holds what no export wrote there (mine.txt)" in capsys.readouterr().err
    assert (tmp_path / "out" / "mine.txt").read_text() == "keep"


def test_audit_needs_no_weights(command, tmp_path, capsys):
    assert command("--audit", "--targets", "lite_arm", "paddle") == 0
    printed = capsys.readouterr().out
    assert "audit of net at 64x96 (height x width)" in printed
    assert "conv2d" in printed
    assert "lite_arm: converts" in printed
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 6, "no weights are named"),
        (["--model_path", "absent.pdparams"], 4, "absent.pdparams"),
        (["--input_shape", "2", "3", "64", "64", "--audit"], 6, "graphs are written for one image"),
        (["--model", "zoo/x"], 2, "--model names configuration and weights in one"),
        (["--dynamic", "--size", "60", "96", "--accept_weak"], 6, "multiples of"),
    ],
)
def test_mistakes(command, capsys, arguments, code, message):
    assert command(*arguments) == code
    assert message in capsys.readouterr().err


def test_folder_with_configuration_and_weights(work, tmp_path, capsys):
    zoo = tmp_path / "zoo" / "small"
    zoo.mkdir(parents=True)
    (zoo / "config.yml").write_text((work / "net.yml").read_text())
    (zoo / "model.pdparams").write_bytes((work / "model.pdparams").read_bytes())
    golden = {f"image.{index}": pixels for index, pixels in enumerate(synthetic_images(SIZE, 4))}
    np.savez(zoo / "golden.npz", **golden)
    assert main(["export", "--model", str(zoo), "--save_dir", str(tmp_path / "out")]) == 0
    assert "verify with images from golden.npz of small" in capsys.readouterr().out
    assert Manifest.read(tmp_path / "out").name == "small"
    assert main(["export", "--model", str(tmp_path)]) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--output_op", "argmax"], "not for a network of the task 'instance'"), (["--dynamic"], "anchors are constants")],
)
def test_flags_that_make_no_sense_for_objects(tmp_path, capsys, flags, message):
    backbone = {"type": "MobileNetV2_x0_25"}
    model = {"type": "MobileYolact", "num_classes": 3, "input_size": 96, "fpn_channels": 16, "backbone": backbone}
    (tmp_path / "net.yml").write_text(yaml.safe_dump({"model": model}))
    base = ["export", "--audit", "--config", str(tmp_path / "net.yml"), "--size", "96", "96"]
    assert main([*base, *flags]) == 6
    assert message in capsys.readouterr().err


def test_without_weights_the_network_is_the_same_each_time(command, tmp_path):
    arguments = ("--targets", "paddle", "--accept_weak", "--overwrite")
    answers = []
    for _ in range(2):
        assert command(*arguments) == 0
        with np.load(tmp_path / "out" / "golden.npz") as golden:
            answers.append(golden["logits.0"])
    np.testing.assert_array_equal(answers[0], answers[1])


def test_untrained_weights_are_timed_and_not_judged(command, work, tmp_path, capsys):
    assert command("--untrained", "--model_path", work / "model.pdparams") == 6
    assert "--untrained exports random weights" in capsys.readouterr().err
    assert command("--untrained", "--targets", "paddle", "onnx", "lite_arm") == 0
    printed = capsys.readouterr().out
    assert printed.count("run, not judged") == 2
    assert "untrained: for timing alone, nothing here was verified" in printed
    manifest = Manifest.read(tmp_path / "out")
    assert [row.engine for row in manifest.verification] == ["lite_arm"]
    assert "nothing here was verified" in manifest.notes["warning"]
