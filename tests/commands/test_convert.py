"""`mobileseg convert`: annotations of other tools become files that the suite's own datasets read."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.cli import main
from mobileseg.data.datasets import YouTubeVIS
from mobileseg.data.io import read_label
from mobileseg.errors import ConfigError, DataError
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


def test_the_exports_are_not_written_into(exports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in (exports / "exports").iterdir()}
    frames = ["--frames", str(exports / "frames")]
    for output in ("exports/one.xml", "exports/train.json"):
        assert main(["convert", "tracks", str(exports / "exports"), str(exports / output), *frames]) == 2
        assert "lies in the input" in capsys.readouterr().err
    one = str(exports / "exports/one.xml")
    assert main(["convert", "tracks", one, one, *frames]) == 2
    assert {path: path.read_bytes() for path in (exports / "exports").iterdir()} == before


COLOURS = "\ufeff128 0 0 sky\n0,128,0\tgreen land\n\n0 0 0 ignore\n0 0 128 sky\n"
PIXELS = np.array([[[128, 0, 0], [0, 128, 0], [0, 0, 0]], [[0, 0, 128], [0, 128, 0], [128, 0, 0]]], np.uint8)
INDICES = [[0, 1, 255], [0, 1, 0]]


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """One as RGB, one with alpha, and one with a palette of its own order."""
    for name in ("a/one.png", "two.bmp", "palette.png"):
        (tmp_path / "masks" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS).save(tmp_path / "masks" / name)
    Image.fromarray(np.dstack([PIXELS, np.full((2, 3), 255, np.uint8)])).save(tmp_path / "masks/alpha.png")
    image = Image.fromarray(np.array([[2, 0, 1], [3, 0, 2]], np.uint8), mode="P")
    image.putpalette([0, 128, 0, 0, 0, 0, 128, 0, 0, 0, 0, 128])
    image.save(tmp_path / "masks/palette.png")
    (tmp_path / "colours.txt").write_text(COLOURS, encoding="utf-8")
    return tmp_path


def convert_masks(folder: Path, *more: str) -> int:
    return main(["convert", "masks", str(folder / "masks"), str(folder / "out"), *more])


def test_colours_become_indices(masks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert_masks(masks, "--colors", str(masks / "colours.txt")) == 0
    shown = capsys.readouterr().out
    assert "4 masks of 2 classes" in shown
    assert "0 sky: 50.00 %" in shown
    assert "1 green land: 33.33 %" in shown
    assert "255 ignored: 16.67 %" in shown
    written = sorted(path.relative_to(masks / "out") for path in (masks / "out").rglob("*.*"))
    assert [str(path) for path in written] == ["a/one.png", "alpha.png", "palette.png", "two.png"]
    for path in written:
        assert read_label(masks / "out" / path).tolist() == INDICES
    colours = np.asarray(Image.open(masks / "out/two.png").convert("RGB"))
    assert colours[0, :2].tolist() == [[128, 0, 0], [0, 128, 0]]


def test_colours_that_are_not_listed(masks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = PIXELS.copy()
    changed[0, 0] = 1, 2, 3
    Image.fromarray(changed).save(masks / "masks/two.bmp")
    colours = ["--colors", str(masks / "colours.txt")]
    assert convert_masks(masks, *colours) == DataError.exit_code
    message = capsys.readouterr().err
    assert "two.bmp: colours that are not in the table: 1 2 3 (1 pixels)" in message
    assert "--others" in message
    assert sorted(path.name for path in masks.iterdir()) == ["colours.txt", "masks"]
    assert convert_masks(masks, *colours, "--others", "7") == 0
    assert read_label(masks / "out/two.png")[0, 0] == 7


def test_without_a_table_the_colours_are_said(masks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert_masks(masks) == ConfigError.exit_code
    assert "0 128 0 (8 pixels), 128 0 0 (8 pixels), 0 0 0 (4 pixels)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "seen"),
    [
        ("", "0 classes"),
        ("0 0 0 ignore\n", "0 classes"),
        ("0 0 256 sky\n", "colours.txt:1"),
        ("1 2 3 sky\n4 5 six\n", "colours.txt:2"),
        ("1 2 3 sky\n1 2 3 land\n", "stands there twice"),
        ("".join(f"0 {i % 250} {i // 250} c{i}\n" for i in range(256)), "256 classes"),
    ],
)
def test_tables_that_cannot_be_used(masks: Path, table: str, seen: str, capsys: pytest.CaptureFixture[str]) -> None:
    (masks / "colours.txt").write_text(table)
    assert convert_masks(masks, "--colors", str(masks / "colours.txt")) == DataError.exit_code
    assert seen in capsys.readouterr().err


def test_masks_that_cannot_be_converted(masks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colours = ["--colors", str(masks / "colours.txt")]
    source = str(masks / "masks")
    for output in (source, f"{source}/out", str(masks)):
        assert main(["convert", "masks", source, output, *colours]) == ConfigError.exit_code
    assert "holds the input" in capsys.readouterr().err
    (masks / "out").mkdir()
    (masks / "out/mine.txt").write_text("precious")
    assert convert_masks(masks, *colours) == ConfigError.exit_code
    assert "is not empty" in capsys.readouterr().err
    assert convert_masks(masks, *colours, "--others", "256") == ConfigError.exit_code
    Image.fromarray(PIXELS).save(masks / "masks/two.png")
    assert convert_masks(masks, *colours) == DataError.exit_code
    assert "two masks are named" in capsys.readouterr().err
    Image.fromarray(PIXELS).save(masks / "masks/three.jpg")
    assert convert_masks(masks, *colours) == DataError.exit_code
    assert "is a JPEG file" in capsys.readouterr().err
    assert main(["convert", "masks", str(masks / "none"), str(masks / "x"), *colours]) == DataError.exit_code
