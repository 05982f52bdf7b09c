"""`mobileseg convert tracks`: exports become a file that the suite's own dataset reads."""

import json
from pathlib import Path

import pytest

from mobileseg.cli import main
from mobileseg.data.datasets import YouTubeVIS
from tests.data.video_folder import noise, save

EXPORT = (
    "<annotations><meta><task><size>2</size><original_size><width>64</width><height>48</height></original_size></task>"
    '</meta><track label="{label}"><polygon frame="0" outside="0" points="4,4;30,4;30,30;4,30"/>'
    '<polygon frame="1" outside="0" points="8,4;34,4;34,30;8,30"/></track>'
    '<track label="box"><box frame="0" outside="0" xtl="40" ytl="5" xbr="60" ybr="40"/></track></annotations>'
)


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    (tmp_path / "exports").mkdir()
    for name, label in (("one", "cat"), ("two", "dog")):
        (tmp_path / f"exports/{name}.xml").write_text(EXPORT.format(label=label))
        for number in range(2):
            save(tmp_path / f"frames/{name}/{number:06d}.png", noise(number))
    return tmp_path


def convert(folder: Path, *more: str) -> int:
    arguments = [str(folder / "exports"), str(folder / "train.json"), "--frames", str(folder / "frames"), *more]
    return main(["convert", "tracks", *arguments])


def test_a_folder_of_exports(exports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(exports) == 0
    shown = capsys.readouterr().out
    assert "2 videos, 2 tracks, 4 masks, classes cat, dog" in shown
    assert "left out: 2 boxes" in shown
    data = YouTubeVIS(str(exports), annotation_file="train.json", image_dir="frames", clip=2)
    assert [video.name for video in data.videos] == ["one", "two"]
    assert data.classes == ("cat", "dog")
    assert data.objects(2).classes.tolist() == [1]
    assert data[(0, 0)]["frame_present"].tolist() == [[1, 1]]
    assert convert(exports, "--boxes") == 0
    assert "4 tracks, 6 masks, classes box, cat, dog" in capsys.readouterr().out


def test_label_studio_has_boxes_alone(exports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = [{"frame": 1, "x": 10, "y": 10, "width": 30, "height": 30, "enabled": True}]
    result = {"id": "r", "type": "videorectangle", "value": {"framesCount": 2, "sequence": keys, "labels": ["Car"]}}
    tasks = [{"id": 1, "data": {"video": "one.mp4"}, "annotations": [{"result": [result]}]}]
    for path in (exports / "exports").iterdir():
        path.unlink()
    (exports / "exports/export.json").write_text(json.dumps(tasks))
    assert convert(exports) != 0
    message = capsys.readouterr().err
    assert "has 2 boxes, but no mask" in message
    assert "--boxes" in message
    assert convert(exports, "--boxes") == 0


def test_exports_that_cannot_be_used(exports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (exports / "exports/two.xml").write_text("<svg/>")
    assert convert(exports) != 0
    assert "expected <annotations>" in capsys.readouterr().err
    assert not (exports / "train.json").exists()
    (exports / "empty").mkdir()
    arguments = [str(exports / "empty"), str(exports / "x.json"), "--frames", str(exports / "frames")]
    assert main(["convert", "tracks", *arguments]) != 0
    assert "has no export in it" in capsys.readouterr().err
