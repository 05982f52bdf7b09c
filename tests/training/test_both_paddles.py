"""What is trained with one Paddle is what is trained with the other; checkpoints travel between them."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from mobileseg.data.synthetic.datasets import generate
from mobileseg.training.checkpoint import read_checkpoint
from tests.converting import CONVERTER, NEWER, pythons, run_on
from tests.training.toy import losses_of
from tests.video.toy_video import toy_video_data, toy_video_section

pytestmark = pytest.mark.both

SIZE = 64
ITERS = 40
TOLERANCE = 1e-2
BACKBONE = {"type": "MobileNetV2_x1_0"}
FAMILIES = {
    "mobileseg": {"type": "MobileSeg", "backbone": BACKBONE},
    "topformer": {"type": "TopFormer", "backbone": {"type": "TopTransformer_Tiny"}},
    "pp_mobileseg": {"type": "PPMobileSeg", "backbone": {"type": "MobileSeg_Tiny"}},
    "mobileyolact": {"type": "MobileYolact", "input_size": SIZE, "backbone": BACKBONE, "fpn_channels": 32},
    "yolact": {"type": "Yolact", "input_size": SIZE, "backbone": BACKBONE},
}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 + 4 scenes with labels and objects."""
    pythons()
    root = tmp_path_factory.mktemp("scenes")
    generate(root, train=16, val=4, size=(SIZE, SIZE), clips=0, val_clips=0)
    return root


def trained(paddle: str, file: Path, run: Path, *options: str) -> str:
    """The log of a training, one thread and no workers."""
    words = ["--save_dir", str(run), "--device", "cpu", "--num_workers", "0", "--log_iters", "1", "--no_eval"]
    done = run_on(paddle, "train", str(file), *words, *options)
    assert done.returncode == 0, done.stderr
    return done.stderr


def section(model: dict, root: Path) -> dict:
    """A configuration that trains a family on the scenes, with an average of the weights."""
    objects = "Yolact" in model["type"]
    steps = [{"type": "Resize", "target_size": [SIZE, SIZE]}, {"type": "RandomHorizontalFlip"}, {"type": "Normalize"}]
    data = {"type": "CocoInstances"} if objects else {"type": "Dataset", "num_classes": 5}
    named = {} if objects else {"train_path": str(root / "train.txt")}
    loss = {"types": [{"type": "YolactLoss"}], "coef": [1.0]}
    if not objects:
        heads = {"MobileSeg": 3}.get(model["type"], 1)
        loss = {"types": [{"type": "CrossEntropyLoss"}] * heads, "coef": [1.0] * heads}
    return {
        "batch_size": 2,
        "iters": ITERS,
        "seed": 3,
        "train_dataset": data | {"dataset_root": str(root), "mode": "train", "transforms": steps} | named,
        "model": model | {"num_classes": 4 if objects else 5},
        "loss": loss,
        "optimizer": {"type": "SGD", "momentum": 0.9, "weight_decay": 5e-4},
        "lr_scheduler": {"type": "PolynomialDecay", "learning_rate": 3e-4 if objects else 0.02, "warmup_iters": 5},
        "clip": {"norm": 10.0},
        "ema": {"decay": 0.9},
        # Statistics of two images, and the choice of hard negatives by them, turn the last bit of a sum into percents.
        "freeze": ["norm:*"] if objects else [],
    }


@pytest.mark.parametrize("family", [*list(FAMILIES)[:-1], pytest.param(list(FAMILIES)[-1], marks=pytest.mark.long)])
def test_loss_curves_are_equal(family: str, generated: Path, tmp_path: Path) -> None:
    file = tmp_path / "family.yml"
    file.write_text(yaml.safe_dump(section(FAMILIES[family], generated)))
    same_curves(file, tmp_path)


@pytest.mark.long
def test_loss_curves_of_key_frames_and_flow_are_equal(tmp_path: Path) -> None:
    """The joint stage of MobileYolactEdge: still images, frames, and frames made from others, in every iteration."""
    pythons()
    whole = toy_video_section(toy_video_data(tmp_path / "videos"), "joint")
    file = tmp_path / "family.yml"
    file.write_text(yaml.safe_dump(whole | {"iters": ITERS, "freeze": ["norm:*"]}))
    same_curves(file, tmp_path)


def same_curves(file: Path, folder: Path) -> None:
    """Losses of both Paddles, equal and falling, and averages of the same parameters."""
    for paddle in (NEWER, CONVERTER):
        trained(paddle, file, folder / paddle)
    one, other = losses_of(folder / NEWER), losses_of(folder / CONVERTER)
    assert list(one) == list(other) == list(range(1, ITERS + 1))
    np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=TOLERANCE)
    curve = list(one.values())
    assert np.mean(curve[-10:]) < np.mean(curve[:10])
    averages = [read_checkpoint(folder / paddle / "last").arrays["ema"] for paddle in (NEWER, CONVERTER)]
    assert averages[0].keys() == averages[1].keys()


@pytest.mark.parametrize(("first", "second"), [(NEWER, CONVERTER), (CONVERTER, NEWER)])
@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_a_checkpoint_goes_on_with_the_other(
    first: str, second: str, optimizer: str, toy_file: Path, tmp_path: Path
) -> None:
    """Weights, average and accumulators are those of the run that never changed; one line says that bits may differ."""
    options = ["--use_ema", "--save_interval", "4"]
    if optimizer != "SGD":
        options += ["-o", f"optimizer={{type: {optimizer}}}", "lr_scheduler.learning_rate=0.001"]
    trained(first, toy_file, tmp_path / "whole", *options)
    half = str(tmp_path / "whole" / "checkpoints" / "iter_000004")
    said = trained(second, toy_file, tmp_path / "run", *options[:3], "--resume", half, *options[3:])
    assert said.count("not bit by bit") == said.count("saved with Paddle") == 1
    one, other = (read_checkpoint(tmp_path / folder / "last") for folder in ("whole", "run"))
    for name, array in one.weights.items():
        np.testing.assert_allclose(other.weights[name], array, rtol=1e-2, atol=1e-4, err_msg=name)
    for group in ("ema", "optimizer"):
        assert one.arrays[group].keys() == other.arrays[group].keys()
        for name, array in one.arrays[group].items():
            np.testing.assert_allclose(other.arrays[group][name], array, rtol=1e-2, atol=1e-3, err_msg=name)
