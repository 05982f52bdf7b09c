"""CamVid as list files and as folders of the SegNet tutorial."""

from pathlib import Path

import pytest

from mobileseg.data.formats.camvid import CamVid
from mobileseg.errors import DataError


def test_camvid_in_segnet_folders(tmp_path: Path, save, image, row) -> None:
    save(tmp_path / "train/0001.png", image)
    save(tmp_path / "trainannot/0001.png", row(8, 11))
    data = CamVid(str(tmp_path))
    assert data.load(0).label[0, :2].tolist() == [8, 255]
    assert data.classes[8] == "car"
    with pytest.raises(DataError, match=r"val\.txt"):
        CamVid(str(tmp_path), mode="val")


def test_camvid_lists(photos: Path) -> None:
    root = photos / "camvid"
    data = CamVid(str(root), mode="val")
    assert len(data) == 101
    assert data.classes == tuple((root / "classes.txt").read_text().split())
    assert data.load(0).label.shape == (360, 480)
    assert len(CamVid(str(root), train_path="val.txt")) == 101
