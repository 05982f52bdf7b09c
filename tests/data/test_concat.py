"""Several datasets as one: what is drawn, what a class index means in the end, and what does not go together."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobileseg.config.build import build_dataset
from mobileseg.data.datasets import Concat
from mobileseg.data.doctor.diagnose import diagnose, preflight
from mobileseg.data.loading.batching import load_batch
from mobileseg.data.pixel_format import PixelFormat
from mobileseg.errors import ConfigError, DataError
from tests.data.coco_folder import CocoFolder
from tests.data.conftest import Folder


@pytest.fixture
def labels(tmp_path: Path) -> list[dict[str, Any]]:
    """Sections of two list-file datasets with the same names in another order; 3 and 2 images."""
    sections = []
    for name, classes, count in (("one", ["sky", "road", "tree"], 3), ("two", ["tree", "sky", "road"], 2)):
        folder = Folder(tmp_path / name)
        for index in range(count):
            folder.add(f"{index}", folder.rng.integers(0, 3, (24, 32), dtype=np.uint8))
        folder.list("train.txt", [f"{index}" for index in range(count)])
        sections.append(
            {"type": "Dataset", "dataset_root": str(folder.root), "train_path": "train.txt", "classes": classes}
        )
    label = np.asarray(Image.open(tmp_path / "two" / "1_label.png")).copy()
    label[:5] = 255
    Image.fromarray(label).save(tmp_path / "two" / "1_label.png")
    return sections


@pytest.fixture
def objects(tmp_path: Path) -> list[dict[str, Any]]:
    """Sections of two COCO datasets, of 3 and 2 images, with the same ids and the categories in another order."""
    sections = []
    for name, count in (("a", 3), ("b", 2)):
        (tmp_path / name).mkdir()
        folder = CocoFolder(tmp_path / name)
        document = folder.document(images=count)
        if name == "b":
            document["categories"] = [{"id": 4, "name": "dog"}, {"id": 9, "name": "cat"}]
        arguments = {"annotation_file": str(folder.write()), "image_dir": str(folder.root / "train")}
        sections.append({"type": "CocoInstances", "dataset_root": str(folder.root), **arguments})
    return sections


def parts(sections: list[dict[str, Any]], *ratios: float) -> list[dict[str, Any]]:
    if not ratios:
        return [{"dataset": section} for section in sections]
    return [{"ratio": ratio, "dataset": section} for ratio, section in zip(ratios, sections, strict=True)]


def names_per_pixel(dataset: Any, label: np.ndarray) -> np.ndarray:
    return np.array([*dataset.classes, *["?"] * (255 - len(dataset.classes)), "ignored"])[label]


def test_labels_mean_the_same_class_by_name(labels: list[dict[str, Any]]) -> None:
    data = Concat(parts(labels))
    assert (len(data), data.classes, data.ignore_index, data.task) == (5, ("sky", "road", "tree"), 255, "semantic")
    alone = [build_dataset(section) for section in labels]
    for index in range(5):
        part, own = alone[index // 3], index % 3
        before, after = part.load(own), data.load(index)
        np.testing.assert_array_equal(after.image, before.image)
        np.testing.assert_array_equal(names_per_pixel(data, after.label), names_per_pixel(part, before.label))
        assert after.label.dtype == np.uint8
    assert (data.load(4).label[:5] == 255).all()


def test_objects_mean_the_same_class_by_name(objects: list[dict[str, Any]]) -> None:
    data = Concat(parts(objects))
    assert (len(data), data.classes, data.category_ids) == (5, ("cat", "dog"), (4, 9))
    for index in range(5):
        part, own = data.parts[index // 3], index % 3
        for before, after in (
            (part.objects(own), data.objects(index)),
            (part.load(own).instances, data.load(index).instances),
        ):
            wanted = [part.classes[label] for label in before.classes]
            assert [data.classes[label] for label in after.classes] == wanted
            np.testing.assert_array_equal(after.masks, before.masks)
    assert data.parts[1].objects(0).classes.tolist() == [0, 1]  # nothing of the part itself was changed
    truth = data.coco_ground_truth()
    assert [image["id"] for image in truth["images"]] == [1, 2, 3, 4, 5]
    assert len({entry["id"] for entry in truth["annotations"]}) == 10


@pytest.mark.parametrize("kind", ["labels", "objects"])
def test_without_ratios_every_image_comes_once(kind: str, request: pytest.FixtureRequest) -> None:
    data = Concat(parts(request.getfixturevalue(kind)))
    assert [int(data[(7, index)]["index"]) for index in range(5)] == list(range(5))


@pytest.mark.parametrize("kind", ["labels", "objects"])
def test_parts_are_drawn_by_their_ratios(kind: str, request: pytest.FixtureRequest) -> None:
    data = Concat(parts(request.getfixturevalue(kind), 1, 3))
    drawn = [int(data.prepare((epoch, index)).meta["index"]) for epoch in range(40) for index in range(5)]
    assert set(drawn) == set(range(5))
    assert 30 < sum(index < 3 for index in drawn) < 70  # 50 of 200 are expected, with a deviation of 6
    again = pickle.loads(pickle.dumps(data))
    assert [int(again.prepare((3, index)).meta["index"]) for index in range(5)] == drawn[15:20]
    assert load_batch(data, [(0, 0), (0, 1)])["image"].shape[0] == 2


def test_evaluation_gives_every_image_in_order(objects: list[dict[str, Any]]) -> None:
    sections = [section | {"mode": "val"} for section in objects]
    data = Concat(parts(sections), mode="val", transforms=[{"type": "Normalize"}])
    assert [int(data[index]["index"]) for index in range(5)] == list(range(5))
    with pytest.raises(ConfigError, match="ratios are for training"):
        Concat(parts(sections, 1, 1), mode="val")
    with pytest.raises(ConfigError, match="mode 'train', the whole in mode 'val'"):
        Concat(parts(objects), mode="val")


def test_images_without_objects_come_from_the_part_that_keeps_them(objects: list[dict[str, Any]]) -> None:
    nothing = [{"type": "DiscardSmallInstances", "min_width": 0.9}]
    data = Concat(parts([objects[0], objects[1] | {"keep_empty": True}]), transforms=nothing)
    assert {int(data.prepare((epoch, 0)).meta["index"]) for epoch in range(10)} == {3, 4}


def test_with_a_label_map_of_its_own(labels: list[dict[str, Any]]) -> None:
    """Of the second part: stored 0 is 'road' (2 there) and what was stored as 1 is ignored."""
    data = Concat(parts([labels[0], labels[1] | {"label_map": {0: 2, 1: 255}}]))
    stored = np.asarray(Image.open(data.items[3].label))
    expected = np.choose(stored, [1, 255, 1])
    np.testing.assert_array_equal(data.load(3).label, expected)


def test_the_doctor_counts_by_name(labels: list[dict[str, Any]]) -> None:
    data = Concat(parts(labels), transforms=[{"type": "Normalize"}])
    preflight(data)
    found = diagnose({"train": data})
    assert list(found.splits) == ["train.parts.0", "train.parts.1"]
    assert not [one for one in found.findings if one.level == "error"]
    stored = [np.bincount(np.asarray(Image.open(item.label)).ravel(), minlength=256)[:3] for item in data.items]
    counted = [[one["pixels"] for one in split["classes"]] for split in found.to_dict()["splits"].values()]
    tree, sky, road = stored[3] + stored[4]
    assert counted == [sum(stored[:3]).tolist(), [sky, road, tree]]


def test_the_doctor_counts_objects_by_name(objects: list[dict[str, Any]]) -> None:
    del (document := json.loads(Path(objects[1]["annotation_file"]).read_text()))["annotations"][0]
    Path(objects[1]["annotation_file"]).write_text(json.dumps(document))  # one dog less
    data = Concat(parts(objects), transforms=[{"type": "Normalize"}])
    preflight(data)
    found = diagnose({"train": data})
    assert not [one for one in found.findings if one.level == "error"]
    assert [one["objects"] for one in found.to_dict()["splits"]["train"]["classes"]] == [5, 4]
    assert {one.code for one in diagnose({"train": data, "val": data.parts[0]}).findings} >= {"leak-path"}


def test_the_quick_look_finds_what_is_wrong_in_a_part(labels: list[dict[str, Any]]) -> None:
    for index in range(2):
        path = Path(labels[1]["dataset_root"]) / f"{index}_label.png"
        Image.fromarray(np.full((24, 32), 9, np.uint8)).save(path)
    with pytest.raises(DataError, match="9"):
        preflight(Concat(parts(labels)))


@pytest.mark.parametrize(
    ("change", "words", "remedy"),
    [
        ({"classes": ["sky", "road", "car"]}, "lacks tree and has in addition car", "classes"),
        ({"classes": ["sky", "road", "tree", "car"]}, "it has in addition car", "classes"),
        ({"ignore_index": 254}, "ignore_index 254, parts.0 255", "label_map"),
        ({"img_channels": 1}, "img_channels 1, img_range None, parts.0 img_channels 3", "one kind"),
        ({"transforms": [{"type": "Normalize"}]}, "transforms of its own", "beside"),
    ],
)
def test_parts_that_differ(labels: list[dict[str, Any]], change: dict[str, Any], words: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Concat(parts([labels[0], labels[1] | change]))
    assert remedy in caught.value.remedy


def test_parts_of_other_tasks(labels: list[dict[str, Any]], objects: list[dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match=r"parts\.1 is for instance segmentation, parts\.0 for semantic"):
        Concat(parts([labels[0], objects[0]]))
    inner = {"type": "Concat", "parts": parts(objects)}
    with pytest.raises(ConfigError, match="is a ConcatObjects"):
        Concat(parts([objects[0], inner]))
    clips = {"type": "PseudoClips", "stills": objects[0]}
    with pytest.raises(ConfigError, match="is a PseudoClips") as caught:
        Concat(parts([objects[0], clips]))
    assert "MixedClips" in caught.value.remedy


def test_images_of_one_channel(labels: list[dict[str, Any]]) -> None:
    section = {"type": "Concat", "parts": parts([part | {"img_channels": 1, "img_range": [0, 200]} for part in labels])}
    for part in labels:
        for path in Path(part["dataset_root"]).glob("*.png"):
            if not path.stem.endswith("_label"):
                Image.fromarray(np.full((24, 32), 100, np.uint8)).save(path)
    dataset = build_dataset(section)
    assert dataset.pixels == PixelFormat(1, (0, 200)) == PixelFormat.of_section(section)
    image = dataset.pixels.read(dataset.items[-1].image)
    assert (image.shape, int(image.max())) == ((24, 32, 1), 100)
    assert dataset[4]["image"].shape == (1, 24, 32)


@pytest.mark.parametrize("sections", [[], "parts", None, [{"dataset": {}}]])
def test_fewer_than_two_parts(sections: Any) -> None:
    with pytest.raises(ConfigError, match="at least two"):
        Concat(sections)


def test_some_ratios_are_none(objects: list[dict[str, Any]]) -> None:
    sections = parts(objects, 1, 2)
    del sections[0]["ratio"]
    with pytest.raises(ConfigError, match="1 of 2 parts have a ratio"):
        Concat(sections)
