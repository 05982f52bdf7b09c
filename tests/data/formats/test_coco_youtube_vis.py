"""COCO under the names of YouTube-VIS."""

from pathlib import Path

import pytest

from mobileseg.data.datasets import CocoYouTubeVIS
from mobileseg.data.formats.coco_youtube_vis import YOUTUBE_VIS
from mobileseg.errors import ConfigError
from tests.data.instance_folder import CocoFolder


@pytest.fixture
def coco(tmp_path: Path) -> str:
    folder = CocoFolder(tmp_path, categories=("car", "person", "toaster", "mouse", "frisbee"))
    image = folder.image()
    for category in (10, 20, 30, 40, 50):
        folder.object(image, (4, 4, 40, 40), category)
    folder.object(folder.image(), (4, 4, 40, 40), 30)
    return folder.write()


def test_shared_classes(coco: str) -> None:
    data = CocoYouTubeVIS(coco)
    assert data.num_classes == 40
    assert [data.classes[label] for label in data.objects(0).classes] == ["sedan", "person"]
    assert data.objects(0).ids.tolist() == [1, 2]
    assert len(data) == 1  # the other image has a toaster alone
    assert data.category_ids == tuple(range(1, 41))
    newer = CocoYouTubeVIS(coco, edition=2021)
    assert [newer.classes[label] for label in newer.objects(0).classes] == ["car", "person", "flying_disc"]
    some = CocoYouTubeVIS(coco, classes=["person", "owl"])
    assert some.objects(0).classes.tolist() == [0]
    assert some.category_ids == (1, 26)
    assert len(CocoYouTubeVIS(coco, keep_empty=True)) == 2


def test_unknown_names(coco: str) -> None:
    with pytest.raises(ConfigError, match="no edition 2020"):
        CocoYouTubeVIS(coco, edition=2020)
    with pytest.raises(ConfigError, match="'car', which is no class of YouTube-VIS 2019"):
        CocoYouTubeVIS(coco, classes=["car"])


def test_both_editions_have_forty_names() -> None:
    assert all(len(set(names)) == 40 for names in YOUTUBE_VIS.values())
    assert YOUTUBE_VIS[2021] == tuple(sorted(YOUTUBE_VIS[2021]))


def test_nineteen_classes_are_shared_with_2019(photos: Path) -> None:
    from mobileseg.data.datasets import CocoInstances

    names = CocoInstances(str(photos / "coco")).classes
    renamed = {"car": "sedan", "motorcycle": "motorbike", "tennis racket": "tennis_racket"}
    shared = {renamed.get(name, name) for name in names} & set(YOUTUBE_VIS[2019]) - {"mouse"}
    assert len(shared) == 19
    data = CocoYouTubeVIS(str(photos / "coco"), keep_empty=True)
    assert {data.classes[label] for label in data.annotations.classes} == shared
