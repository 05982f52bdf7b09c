"""tools/compare_loading.py: the data that it writes, its table, and the sides; the peers where they are installed."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobileseg.data.instances import Instances
from tests.data.coco_folder import SIZE, CocoFolder
from tools.compare_loading import Side, drawn, table, write_data
from tools.loading_worker import BATCH, CROP, INPUT, mobileseg

TOOL = Path(__file__).parents[2] / "tools" / "compare_loading.py"
PEERS_NEED = ("albumentations", "torchvision", "pycocotools")


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A folder of twelve images, three more than one batch needs with --images 9."""
    folder = CocoFolder(tmp_path)
    folder.document(images=12)
    folder.write()
    return tmp_path


def run(coco: Path, *more: str) -> list[list[str]]:
    """Cells of the lines that the tool prints."""
    call = [sys.executable, str(TOOL), "--data", str(coco), "--images", "9", "--batches", "1", "--turns", "2", *more]
    done = subprocess.run(call, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line]


def test_the_smallest_object_is_on_top() -> None:
    masks = np.zeros((2, 6, 8), np.uint8)
    masks[0, 2:4, 2:4] = 1
    masks[1, 1:6, 1:7] = 1
    label = drawn(Instances.from_masks(masks, [4, 0]))
    expected = masks[1].copy()
    expected[2:4, 2:4] = 5
    np.testing.assert_array_equal(label, expected)


def test_the_data_is_the_first_images_with_their_objects(coco: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    write_data(coco, 9, folder)
    document = json.loads((folder / "instances.json").read_text())
    assert [image["id"] for image in document["images"]] == list(range(10, 19))
    assert {row["image_id"] for row in document["annotations"]} == set(range(10, 19))
    images, labels = zip(*(line.split("\t") for line in (folder / "train.txt").read_text().splitlines()), strict=True)
    assert [Path(image).name for image in images] == [f"train_{index}.png" for index in range(9)]
    label = cv2.imread(labels[3], cv2.IMREAD_UNCHANGED)
    assert label.shape == SIZE
    assert label[12, 12] == 1 + json.loads((folder / "classes.json").read_text())[1:].index("cat")
    assert label[40, 50] == 2
    assert label[0, 0] == 0
    for task, side in (("labels", CROP), ("objects", INPUT), ("objects_no_expand", INPUT)):
        (batch,) = mobileseg(task, folder)(0, 1, 0)
        assert batch["image"].shape == (BATCH, 3, side, side)
        assert ("label" in batch) == (task == "labels")


def test_ratios_are_those_of_the_same_turn() -> None:
    ours, theirs = (Side(name, None) for name in ("ours", "theirs"))
    for cpu, factor in ((0.1, 1.5), (0.4, 2.0), (0.2, 1.8)):
        for side, share in ((ours, 1), (theirs, factor)):
            for workers in (0, 2):
                answer = {"images": 10, "cpu": cpu * share, "wall": cpu * share / 2}
                side.answers.setdefault(workers, []).append(answer)
    head, _, own, other = (line.strip("| ").split(" | ") for line in table("labels", [ours, theirs], [0, 2]))
    assert head[0] == "labels"
    assert own[:2] == ["ours", "20.00"]
    assert other == ["theirs", "36.00", "1.80 (1.65 to 1.90)", "55.6", "36.00", "1.80 (1.65 to 1.90)"]


def test_the_suite_alone(coco: Path) -> None:
    lines = run(coco, "--workers", "0", "1", "--tasks", "labels", "objects")
    names = [line[0] for line in lines if not line[0].startswith("---")]
    assert names == ["labels", "mobileseg", "objects", "mobileseg"]
    for line in lines:
        if line[0] == "mobileseg":
            assert float(line[1]) > 0
            assert float(line[3]) > 0


@pytest.mark.skipif(any(find_spec(name) is None for name in PEERS_NEED), reason=f"needs {', '.join(PEERS_NEED)}")
def test_the_peers(coco: Path) -> None:
    lines = run(coco, "--peer", sys.executable, "--workers", "0")
    names = [line[0] for line in lines if not line[0].startswith("---")]
    both = ["mobileseg", "albumentations", "torchvision"]
    assert names == ["labels", *both, "objects", "mobileseg", "torchvision", "objects_no_expand", *both]
    assert all(float(line[2].split()[0]) > 0 for line in lines if line[0] in both[1:])
