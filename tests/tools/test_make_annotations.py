"""tools/make_annotations.py: what it writes can be opened, and has the size that it says."""

import importlib.util
from pathlib import Path

import pytest

from mobileseg.data.datasets import LabelmeInstances
from mobileseg.data.formats.coco_json import read_coco
from mobileseg.data.formats.youtube_vis_json import read_youtube_vis

_spec = importlib.util.spec_from_file_location(
    "make_annotations", Path(__file__).parents[2] / "tools/make_annotations.py"
)
make_annotations = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_annotations)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def make(form: str, share: float) -> Path:
        path = tmp_path / form
        monkeypatch.setattr("sys.argv", ["", str(path), "--format", form, "--share", str(share)])
        make_annotations.main()
        return path

    return make


def test_coco(made, capsys) -> None:
    found = read_coco(made("coco", 1e-3))
    assert "118 images, 860 objects" in capsys.readouterr().out
    assert (len(found.image_ids), len(found.table), len(found.classes)) == (118, 860, 80)
    assert found.table.crowd.sum() == 9
    assert all(found.table.instances(i).masks.shape[1:] == (480, 640) for i in range(9))


def test_youtube_vis(made, capsys) -> None:
    found = read_youtube_vis(made("youtube_vis", 2e-3))
    assert "6 videos, 180 frames, 16 tracks" in capsys.readouterr().out
    assert (len(found.videos), len(found.table.sizes), len(found.classes)) == (6, 180, 40)
    assert 420 < len(found.table) < 480
    kinds = [bool(found.table.polygons(row)) for row in range(len(found.table))]
    assert 0.03 < sum(kinds) / len(kinds) < 0.2
    for image in range(9):
        for row, mask in zip(found.table.rows(image), found.table.instances(image).masks, strict=True):
            x1, y1, x2, y2 = found.table.boxes[row].astype(int)
            assert mask[y1:y2, x1:x2].sum() == mask.sum()


def test_labelme(made, capsys) -> None:
    data = LabelmeInstances(str(made("labelme", 5e-4)))
    assert "10 files, 60 shapes" in capsys.readouterr().out
    assert (len(data), len(data.annotations)) == (10, 60)


def test_a_share_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["", str(tmp_path / "file"), "--share", "0"])
    with pytest.raises(SystemExit):
        make_annotations.main()
