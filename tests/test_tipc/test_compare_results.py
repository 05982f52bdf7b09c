"""compare_results.py on small folders whose answer is counted by hand."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.io import write_png
from mobileseg.structures import InstanceMasks
from test_tipc.compare_results import INT8, Unusable, compare, main

ROOT = Path(__file__).parents[2]


def labels(folder: Path, **images: np.ndarray) -> Path:
    for name, image in images.items():
        (folder / "labels").mkdir(parents=True, exist_ok=True)
        write_png(folder / "labels" / f"{name}.png", np.asarray(image, np.uint8))
    return folder


def thing(kind: int, score: float, top: int, left: int, height: int = 20, width: int = 20) -> dict:
    """An object whose mask fills its box, in an image of 64x64."""
    mask = np.zeros((1, 64, 64), np.bool_)
    mask[0, top : top + height, left : left + width] = True
    return {
        "category_id": kind,
        "score": score,
        "bbox": [left, top, width, height],
        "segmentation": InstanceMasks.from_array(mask).to_rle()[0],
    }


def objects(folder: Path, **images: list[dict]) -> Path:
    (folder / "json").mkdir(parents=True)
    for name, found in images.items():
        (folder / "json" / f"{name}.json").write_text(json.dumps({"results": found}), encoding="utf-8")
    return folder


def test_equal_pixels_are_counted_over_all_images(tmp_path: Path) -> None:
    one = np.arange(40).reshape(5, 8) % 3
    other = one.copy()
    other[0, :2] = 9
    a = labels(tmp_path / "a", p=one, q=np.zeros((5, 12)))
    found = compare(a, labels(tmp_path / "b", p=other, q=np.zeros((5, 12))), "labels")
    assert (found.images, found.count, found.classes) == (2, 100, 3)
    assert found.equal == pytest.approx(0.98)
    assert (found.worst, found.worst_equal) == ("p", pytest.approx(0.95))


@pytest.mark.parametrize(
    ("reference", "result", "message"),
    [
        ({"p": np.eye(4)}, {"q": np.eye(4)}, "do not hold the same images"),
        ({"p": np.eye(4)}, {"p": np.eye(5)}, "is 5x5"),
        ({"p": np.eye(4)}, {}, "holds no .png file"),
        ({"p": np.ones((4, 4))}, {"p": np.ones((4, 4))}, "shows 1 class"),
    ],
)
def test_labels_that_cannot_be_compared(tmp_path: Path, reference: dict, result: dict, message: str) -> None:
    a, b = labels(tmp_path / "a", **reference), labels(tmp_path / "b", **result)
    with pytest.raises(Unusable, match=message):
        compare(a, b, "labels")


def test_a_damaged_label_image(tmp_path: Path) -> None:
    a, b = labels(tmp_path / "a", p=np.eye(4)), labels(tmp_path / "b", p=np.eye(4))
    (b / "labels/p.png").write_bytes(b"not an image")
    with pytest.raises(Unusable, match=r"p\.png"):
        compare(a, b, "labels")


@pytest.mark.parametrize(
    ("changed", "found_again"),
    [
        (thing(1, 0.9005, 10, 10), True),  # nearly the same score
        (thing(1, 0.91, 10, 10), False),
        (thing(2, 0.9, 10, 10), False),  # another class
        (thing(1, 0.9, 12, 10), False),  # moved by two of twenty pixels
        ({**thing(1, 0.9, 10, 10), "bbox": [10.02, 10, 20, 20]}, True),
        ({**thing(1, 0.9, 10, 10), "segmentation": thing(1, 0, 10, 10, 18)["segmentation"]}, False),
    ],
)
def test_an_object_is_found_again_or_not(tmp_path: Path, changed: dict, found_again: bool) -> None:
    a = objects(tmp_path / "a", p=[thing(1, 0.9, 10, 10), thing(3, 0.5, 40, 40)])
    found = compare(a, objects(tmp_path / "b", p=[changed, thing(3, 0.5, 40, 40)]), "json")
    assert (found.count, found.classes) == (4, 2)
    assert found.equal == (1.0 if found_again else 0.5)


@pytest.mark.parametrize(
    ("changed", "found_again"),
    [
        (thing(1, 0.81, 12, 10), True),  # IoU 18 / 22
        (thing(1, 0.7, 10, 10), False),
        (thing(1, 0.9, 18, 10), False),  # IoU 12 / 28
    ],
)
def test_int8_may_differ_more(tmp_path: Path, changed: dict, found_again: bool) -> None:
    a, b = objects(tmp_path / "a", p=[thing(1, 0.9, 10, 10)]), objects(tmp_path / "b", p=[changed])
    assert compare(a, b, "json", INT8).equal == float(found_again)


def test_objects_of_one_run_alone_count_and_none_is_used_twice(tmp_path: Path) -> None:
    twice = [thing(1, 0.9, 10, 10), thing(1, 0.9, 10, 10)]
    a = objects(tmp_path / "a", p=twice, q=[])
    b = objects(tmp_path / "b", p=twice[:1], q=[thing(2, 0.3, 0, 0)])
    found = compare(a, b, "json")
    assert (found.equal, found.count, found.worst) == (0.5, 4, "q")  # one pair of two in p, nothing in q


def test_empty_masks_are_equal(tmp_path: Path) -> None:
    empty = {**thing(1, 0.9, 10, 10), "segmentation": InstanceMasks.from_array(np.zeros((1, 64, 64))).to_rle()[0]}
    found = compare(objects(tmp_path / "a", p=[empty]), objects(tmp_path / "b", p=[empty]), "json")
    assert found.equal == 1.0


def test_boxes_without_area_are_equal(tmp_path: Path) -> None:
    flat = {**thing(1, 0.9, 10, 10), "bbox": [64.0, 10.0, 0.0, 20.0]}
    moved = {**flat, "bbox": [64.0, 10.1, 0.0, 20.0]}
    a = objects(tmp_path / "a", p=[flat])
    assert compare(a, objects(tmp_path / "b", p=[flat]), "json").equal == 1.0
    assert compare(a, objects(tmp_path / "c", p=[moved]), "json").equal == 0.0


@pytest.mark.parametrize("content", ['{"results": 3}', "{}", "no"])
def test_json_without_objects(tmp_path: Path, content: str) -> None:
    a, b = objects(tmp_path / "a", p=[thing(1, 0.9, 0, 0)]), objects(tmp_path / "b", p=[])
    (b / "json/p.json").write_text(content, encoding="utf-8")
    with pytest.raises(Unusable, match="holds no objects"):
        compare(a, b, "json")
    with pytest.raises(Unusable, match="shows 0 class"):
        compare(objects(tmp_path / "c", p=[]), objects(tmp_path / "d", p=[]), "json")


@pytest.mark.parametrize(("limit", "code"), [("0.9", 0), ("0.95", 1)])
def test_exit_codes_and_what_is_written(tmp_path: Path, monkeypatch, capsys, limit: str, code: int) -> None:
    other = np.eye(4)
    other[0, 1] = 2
    labels(tmp_path / "a", p=np.eye(4)), labels(tmp_path / "b", p=other)
    words = ["--reference", "a", "--result", "b", "--kind", "labels", "--name", "ncnn", "--json", "c.json"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["compare_results.py", *words, "--min_equal", limit])
    assert main() == code
    assert json.loads(Path("c.json").read_text(encoding="utf-8"))["equal"] == 0.9375
    assert "ncnn: 0.937500 of 16 pixels equal in 1 images, 2 classes" in capsys.readouterr().out


def test_the_script_says_what_is_wrong(tmp_path: Path) -> None:
    words = ["--reference", "a", "--result", "b", "--kind", "json", "--min_equal", "1"]
    script = str(ROOT / "test_tipc/compare_results.py")
    answer = subprocess.run([sys.executable, script, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "error: a/json holds no .json file\n"
