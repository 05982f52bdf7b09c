"""Cityscapes on a folder laid out like the download."""

from pathlib import Path

import pytest

from mobileseg.data.formats.cityscapes import Cityscapes
from mobileseg.errors import DataError


@pytest.mark.parametrize("kind", ["labelTrainIds", "labelIds"])
def test_cityscapes(tmp_path: Path, save, image, row, kind: str) -> None:
    for city, name in (("ulm", "ulm_000001_000019"), ("bonn", "bonn_000000_000019"), ("bonn", "bonn_000004_000019")):
        save(tmp_path / f"leftImg8bit/train/{city}/{name}_leftImg8bit.png", image)
        # road, sky, bicycle, licence plate of another car (ignored)
        label = row(0, 10, 18, 255) if kind == "labelTrainIds" else row(7, 23, 33, 1)
        save(tmp_path / f"gtFine/train/{city}/{name}_gtFine_{kind}.png", label)
    data = Cityscapes(str(tmp_path))
    assert len(data) == 3
    assert all(item.label.name.startswith(item.image.name[:12]) for item in data.items)
    assert data.load(0).label[0, :4].tolist() == [0, 10, 18, 255]
    assert data.load(0).label[2, 2] == (0 if kind == "labelTrainIds" else 255)  # labelIds 0: unlabelled
    assert data.classes[10] == "sky"
    assert data.palette[10].tolist() == [70, 130, 180]
    assert len(data.classes) == len(data.palette) == 19
    data.items[0].label.unlink()
    with pytest.raises(DataError, match="1 of 3 images"):
        Cityscapes(str(tmp_path))
    with pytest.raises(DataError, match="leftImg8bit"):
        Cityscapes(str(tmp_path), mode="val")


def test_cityscapes_test_set_has_no_labels(tmp_path: Path, save, image) -> None:
    save(tmp_path / "leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png", image)
    data = Cityscapes(str(tmp_path), mode="test")
    assert data.items[0].label is None


def test_cityscapes_train_ids_agree_with_the_official_table() -> None:
    """colour -> train id, from the labels table of cityscapesScripts."""
    official = {(128, 64, 128): 0, (153, 153, 153): 5, (107, 142, 35): 8, (255, 0, 0): 12, (119, 11, 32): 18}
    for colour, train_id in official.items():
        assert tuple(Cityscapes.PALETTE[train_id]) == colour
