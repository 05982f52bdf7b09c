"""ADE20K on a folder laid out like the download."""

from pathlib import Path

import pytest

from mobileseg.data.formats.ade20k import ADE20K
from mobileseg.errors import ConfigError, DataError


def test_ade20k(tmp_path: Path, save, image, row) -> None:
    for part in ("training", "validation"):
        save(tmp_path / f"images/{part}/ADE_{part}.jpg", image)
        save(tmp_path / f"annotations/{part}/ADE_{part}.png", row(1, 150, 0, 3))
    data = ADE20K(str(tmp_path))
    assert data.load(0).label[0, :4].tolist() == [0, 149, 255, 2]
    assert (len(data.classes), data.classes[0], data.classes[2], data.classes[149]) == (150, "wall", "sky", "flag")
    assert ADE20K(str(tmp_path), mode="val").evaluates
    save(tmp_path / "annotations/training/ADE_training.png", row(151))
    with pytest.raises(DataError, match="150"):
        data.load(0)
    with pytest.raises(ConfigError, match="no mode 'test'"):
        ADE20K(str(tmp_path), mode="test")
