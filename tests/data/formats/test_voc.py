"""PASCAL VOC on a folder laid out like the development kit."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.formats.voc import PascalVOC, voc_palette
from mobileseg.errors import DataError


def test_voc(tmp_path: Path, save, image, row) -> None:
    year = tmp_path / "VOCdevkit/VOC2012"
    lists = year / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for name, kind in (("a", "SegmentationClass"), ("b", "SegmentationClass"), ("c", "SegmentationClassAug")):
        save(year / f"JPEGImages/{name}.jpg", image)
        picture = Image.fromarray(row(15, 20, 255), mode="P")
        picture.putpalette(voc_palette().tobytes())
        (year / kind).mkdir(exist_ok=True)
        picture.save(year / kind / f"{name}.png")
    for part, names in (("train", "a\n"), ("val", "b\n"), ("trainval", "a\nb\n")):
        (lists / f"{part}.txt").write_text(names)
    assert [len(PascalVOC(str(tmp_path), mode=part)) for part in ("train", "val", "trainval")] == [1, 1, 2]
    with pytest.raises(DataError, match=r"aug\.txt"):
        PascalVOC(str(tmp_path), mode="trainaug")
    (lists / "aug.txt").write_text("c\n")
    data = PascalVOC(str(tmp_path), mode="trainaug")
    assert [item.label.parent.name for item in data.items] == ["SegmentationClass", "SegmentationClassAug"]
    assert data.load(1).label[0, :3].tolist() == [15, 20, 255]
    assert not data.evaluates
    assert data.classes[15] == "person"
    assert PascalVOC(str(tmp_path / "VOCdevkit"), mode="trainaug").items == data.items
    with pytest.raises(DataError, match="VOCtrainval_11-May-2012"):
        PascalVOC(str(tmp_path / "nowhere"))


def test_voc_palette_is_the_official_one() -> None:
    colours = voc_palette()
    official = {0: (0, 0, 0), 1: (128, 0, 0), 3: (128, 128, 0), 8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128)}
    for index, colour in official.items():
        assert tuple(colours[index]) == colour
    assert tuple(colours[255]) == (224, 224, 192)
    assert len(np.unique(colours, axis=0)) == 256
