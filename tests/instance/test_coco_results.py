import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mobileseg.instance.coco_results import CocoResultsFile, ImageIds, coco_results
from mobileseg.structures import InstanceMasks, InstanceResult

pytestmark = pytest.mark.both


def result() -> InstanceResult:
    masks = np.zeros((2, 40, 50), bool)
    masks[0, 5:25, 10:30] = True
    masks[1, 30:35, 2:20] = True
    boxes = np.float32([[10, 5, 30, 25], [2, 30, 20, 35]])
    return InstanceResult(boxes, np.float32([0.75, 0.25]), np.array([1, 0]), InstanceMasks.from_array(masks))


def test_entries_are_in_cocos_format() -> None:
    first, second = coco_results(result(), 42, ("cat", "dog"), (17, 18))
    assert (first["image_id"], first["category_id"], first["category"]) == (42, 18, "dog")
    assert (second["bbox"], second["score"]) == ([2.0, 30.0, 18.0, 5.0], 0.25)
    np.testing.assert_array_equal(coco_masks.decode(first["segmentation"]), result().masks[0])
    assert coco_results(result(), 42, ("cat", "dog"))[0]["category_id"] == 2


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("000000397133", 397133),
        ("val/000000000042", 42),
        ("street", "street"),
        ("a/b7", "a/b7"),
        ("4²", "4²"),  # a digit to Python, but no number
        ("٤٢", "٤٢"),
    ],
)
def test_ids_of_images(name: str, number: int | str) -> None:
    assert ImageIds().of(name) == number


def test_images_of_one_name_in_two_folders_have_two_ids_which_stay() -> None:
    ids = ImageIds()
    names = ["a/000042", "b/000042", "42", "c/street", "d/street"]
    assert [ids.of(name) for name in names] == [42, "b/000042", "42", "c/street", "d/street"]
    assert [ids.of(name) for name in reversed(names)] == ["d/street", "c/street", "42", "b/000042", 42]


def test_tracks_have_their_ids() -> None:
    tracked = replace(result(), track_ids=np.array([9, 4]))
    assert [entry["track_id"] for entry in coco_results(tracked, 1, ("cat", "dog"))] == [9, 4]
    assert "track_id" not in coco_results(result(), 1, ("cat", "dog"))[0]


def test_pycocotools_scores_the_file(tmp_path: Path) -> None:
    """Results that equal the ground truth have an average precision of 1."""
    with CocoResultsFile(tmp_path / "out" / "results.json") as file:
        file.add({"results": coco_results(result(), 7, ("cat", "dog"), (17, 18))})
        file.add({"results": []})
        file.add({"results": coco_results(result().take([0]), 9, ("cat", "dog"), (17, 18))})
    truth = COCO()
    entries = [*coco_results(result(), 7, ("cat", "dog"), (17, 18))]
    entries += coco_results(result().take([0]), 9, ("cat", "dog"), (17, 18))
    truth.dataset = {
        "images": [{"id": number, "height": 40, "width": 50} for number in (7, 9)],
        "categories": [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {**entry, "id": index, "iscrowd": 0, "area": entry["bbox"][2] * entry["bbox"][3]}
            for index, entry in enumerate(entries, start=1)
        ],
    }
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "out" / "results.json")), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == 1.0


def test_a_file_without_objects_is_an_empty_list(tmp_path: Path) -> None:
    with CocoResultsFile(tmp_path / "results.json"):
        pass
    assert json.loads((tmp_path / "results.json").read_text()) == []


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("old")

    def interrupted() -> None:
        with CocoResultsFile(tmp_path / "results.json") as file:
            file.add({"results": coco_results(result(), 7, ("cat", "dog"))})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_text() == "old"
