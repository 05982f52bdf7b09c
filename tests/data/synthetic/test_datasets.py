"""The synthetic dataset: what colour gives away, geometry, files, and bytes."""

import hashlib
import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobileseg.data.synthetic.datasets import generate
from mobileseg.data.synthetic.scene import CLASSES, PERIOD
from mobileseg.errors import DataError
from tests.processes import LIMIT, started

ROOT = Path(__file__).parents[3]
SMALL = {"train": 3, "val": 2, "size": (64, 80), "clips": 1, "val_clips": 1, "clip_length": 3}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn") / "data"
    generate(root, train=80, val=30, clips=2, val_clips=1)
    return root


@lru_cache
def pixels(root, split):
    """RGB float32 [n, 3] and labels [n] of all pixels."""
    lines = [line.split() for line in (root / f"{split}.txt").read_text().splitlines()]
    images = [cv2.imread(str(root / image))[..., ::-1].reshape(-1, 3) for image, _ in lines]
    labels = [cv2.imread(str(root / label), cv2.IMREAD_UNCHANGED).ravel() for _, label in lines]
    return np.concatenate(images).astype(np.float32), np.concatenate(labels)


def miou(guess, truth):
    scores = []
    for k in range(len(CLASSES)):
        scores.append(((guess == k) & (truth == k)).sum() / ((guess == k) | (truth == k)).sum())
    return float(np.mean(scores))


def digest(root):
    files = sorted(path for path in Path(root).rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_nearest_mean_colour_stays_below_040(drawn):
    colours, labels = pixels(drawn, "train")
    means = np.stack([colours[labels == k].mean(axis=0) for k in range(len(CLASSES))])
    colours, labels = pixels(drawn, "val")
    guess = np.argmin(((colours[:, None] - means) ** 2).sum(axis=2), axis=1)
    assert miou(guess, labels) < 0.40


def logistic_regression(colours, labels, steps=150):
    """Multinomial logistic regression by full-batch gradient descent, on standardised colours."""
    mean, scale = colours.mean(axis=0), colours.std(axis=0)

    def inputs(values):
        return np.concatenate([(values - mean) / scale, np.ones((len(values), 1))], axis=1)

    x, onehot = inputs(colours), np.eye(len(CLASSES))[labels]
    weights = np.zeros((4, len(CLASSES)))
    for _ in range(steps):
        scores = np.exp(x @ weights - (x @ weights).max(axis=1, keepdims=True))
        weights -= 1.0 * x.T @ (scores / scores.sum(axis=1, keepdims=True) - onehot) / len(x)
    return lambda values: (inputs(values) @ weights).argmax(axis=1)


@pytest.mark.parametrize("balanced", [False, True])
def test_logistic_regression_on_colour_stays_below_045(drawn, balanced):
    colours, labels = pixels(drawn, "train")
    rng = np.random.default_rng(0)
    if balanced:  # as many pixels of each class, so that guessing the background is no refuge
        chosen = np.concatenate([rng.choice(np.flatnonzero(labels == k), 2000) for k in range(len(CLASSES))])
    else:
        chosen = rng.choice(len(labels), 10000, replace=False)
    predict = logistic_regression(colours[chosen], labels[chosen])
    colours, labels = pixels(drawn, "val")
    assert miou(predict(colours), labels) < 0.45


def test_the_colour_classifiers_would_notice_telling_colours():
    """The two tests above can fail: on colours that follow the class both classifiers score high."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, len(CLASSES), 5000)
    colours = (rng.uniform(0, 255, (len(CLASSES), 3))[labels] + rng.normal(0, 10, (5000, 3))).astype(np.float32)
    assert miou(logistic_regression(colours, labels)(colours), labels) > 0.8


@pytest.mark.parametrize("split", ["train", "val"])
def test_objects_differ_eightfold_overlap_and_touch_the_border(drawn, split):
    content = json.loads((drawn / "annotations" / f"instances_{split}.json").read_text())
    boxes = np.array([one["bbox"] for one in content["annotations"]])
    sides = np.sqrt([one["area"] for one in content["annotations"]])
    # Where nothing hides them: the drawn size, and what is left of it in pixels.
    radii = np.array([one["drawn"]["radius"] for one in content["annotations"]])
    assert radii.max() / radii.min() >= 7.5
    assert sides.max() / sides.min() >= 8
    touching = (boxes[:, 0] == 0) | (boxes[:, 1] == 0) | (boxes[:, :2] + boxes[:, 2:] == 192).any(axis=1)
    assert 0.1 < touching.mean() < 0.9
    crossing = 0
    for image in content["images"]:
        here = boxes[[one["image_id"] == image["id"] for one in content["annotations"]]]
        low, high = here[:, :2], here[:, :2] + here[:, 2:]
        meet = ((low[:, None] < high[None]) & (low[None] < high[:, None])).all(axis=2)
        crossing += meet.sum() > len(here)
    assert crossing / len(content["images"]) > 0.5


def test_every_class_is_there_and_none_rules(drawn):
    for split in ("train", "val"):
        share = np.bincount(pixels(drawn, split)[1], minlength=len(CLASSES)) / len(pixels(drawn, split)[1])
        assert (share[1:] > 0.02).all()
        assert share.sum() == pytest.approx(1.0)
        assert len(share) == len(CLASSES)


def test_training_and_validation_share_no_period_and_no_angle(drawn):
    bands = {}
    for split in ("train", "val"):
        content = json.loads((drawn / "annotations" / f"instances_{split}.json").read_text())
        drawings = [one["drawn"] for one in content["annotations"]]
        periods = np.array([one["period"] for one in drawings])
        angles = np.array([one["angle"] for one in drawings])
        assert PERIOD[0] <= periods.min() < periods.max() <= PERIOD[1]
        bands[split] = [set(np.floor(12 * (periods - PERIOD[0]) / (PERIOD[1] - PERIOD[0]))), set(np.floor(angles / 15))]
    assert bands["train"][0].isdisjoint(bands["val"][0])
    assert bands["train"][1].isdisjoint(bands["val"][1])


def test_training_and_validation_share_no_image(drawn):
    sums = digest(drawn)
    train = {value for name, value in sums.items() if name.startswith("images/train")}
    val = {value for name, value in sums.items() if name.startswith("images/val")}
    assert len(train) == 80
    assert train.isdisjoint(val)


@pytest.mark.parametrize("split", ["train", "val"])
def test_instances_as_pycocotools_reads_them_paint_the_labels(drawn, split):
    from pycocotools import mask as masks
    from pycocotools.coco import COCO

    coco = COCO(str(drawn / "annotations" / f"instances_{split}.json"))
    assert {one["id"]: one["name"] for one in coco.loadCats(coco.getCatIds())} == dict(enumerate(CLASSES[1:], start=1))
    for image in coco.loadImgs(coco.getImgIds()):
        painted = np.zeros((image["height"], image["width"]), np.uint8)
        for one in coco.loadAnns(coco.getAnnIds(image["id"])):
            mask = coco.annToMask(one).astype(bool)
            assert not painted[mask].any()  # what can be seen belongs to one object
            painted[mask] = one["category_id"]
            encoded = coco.annToRLE(one)
            assert int(masks.area(encoded)) == one["area"] >= 16
            np.testing.assert_array_equal(masks.toBbox(encoded), one["bbox"])
        label = cv2.imread(str(drawn / "labels" / split / image["file_name"]), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(painted, label)
        assert cv2.imread(str(drawn / "images" / split / image["file_name"])).shape == (192, 192, 3)


def test_same_parameters_same_bytes_in_another_process_too(tmp_path):
    assert generate(tmp_path / "one", **SMALL) is True
    code = (
        "import sys; from mobileseg.data.synthetic.datasets import generate; generate(sys.argv[1], **eval(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "two"), repr(SMALL)], check=True)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    generate(tmp_path / "three", seed=1, **SMALL)
    other = digest(tmp_path / "three")
    pictures = [name for name in other if name.endswith((".png", ".flo"))]
    assert len(pictures) == 2 * (3 + 2) + 2 * (2 * 3 + 2 * 2)
    assert all(other[name] != digest(tmp_path / "one")[name] for name in pictures if "images" in name)


def test_a_second_call_does_nothing_and_other_parameters_replace(tmp_path):
    root = tmp_path / "data"
    generate(root, **SMALL)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert generate(root, **SMALL) is False
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert generate(root, **{**SMALL, "train": 1}) is True
    assert len(list((root / "images" / "train").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(DataError, match="not empty"):
        generate(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
    with pytest.raises(DataError, match="is a file"):
        generate(tmp_path / "photo.jpg", **SMALL)


def test_two_processes_write_one_folder_once(tmp_path):
    """Two trainings that start at once; what one reads is never moved away by the other."""
    code = (
        "import sys; from pathlib import Path; from mobileseg.data.synthetic.datasets import generate\n"
        "print(generate(Path(sys.argv[1]), train=3, val=1, size=(64, 64), clips=0, val_clips=0))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(command, **options) as one, started(command, **options) as two:
        ends = [process.communicate(timeout=LIMIT) for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), ends
    assert sorted(out.strip() for out, _ in ends) == ["False", "True"]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_an_interrupted_call_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mobileseg.data.synthetic.datasets._write_clips", interrupted)
    with pytest.raises(DataError, match="No space left"):
        generate(tmp_path / "data", **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"size": (16, 64)}, {"train": -1}, {"clip_length": 1}, {"seed": -1}])
def test_impossible_parameters_are_refused(tmp_path, wrong):
    with pytest.raises(DataError, match="cannot draw"):
        generate(tmp_path / "data", **wrong)


def test_drawing_needs_no_paddle():
    code = "import sys, mobileseg.data.synthetic.datasets; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
