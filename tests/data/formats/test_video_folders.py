"""Videos as folders: DAVIS, MOTS and the Cell Tracking Challenge."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.datasets import CellTracking, Davis, Mots
from mobileseg.data.io import ColourLabelError, FileError
from mobileseg.errors import ConfigError, DataError
from tests.data.video_folder import box_mask, noise, rle_of, save


def palette_png(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values, mode="P")
    image.putpalette(list(range(256)) * 3)
    image.save(path)


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    """'pair' has two objects and a void, in frames 0 and 2 of 3; 'single' is drawn in 0 and 255."""
    for number in range(3):
        save(tmp_path / f"JPEGImages/480p/pair/{number:05d}.png", noise(number))
        save(tmp_path / f"JPEGImages/480p/single/{number:05d}.png", noise(number))
        save(tmp_path / f"Annotations/480p/single/{number:05d}.png", box_mask(4, 4, 20, 20) * 255)
    values = box_mask(2, 2, 20, 20) + 7 * box_mask(30, 10, 50, 40) + 255 * box_mask(50, 10, 52, 40)
    palette_png(tmp_path / "Annotations/480p/pair/00000.png", values)
    palette_png(tmp_path / "Annotations/480p/pair/00002.png", 255 * box_mask(1, 1, 9, 9))
    return tmp_path


def test_davis(davis: Path) -> None:
    data = Davis(str(davis), mode="val")
    assert [video.name for video in data.videos] == ["pair", "single"]
    assert data.objects(0).ids.tolist() == [1, 7]
    np.testing.assert_array_equal(data.objects(0).masks[1], box_mask(30, 10, 50, 40))
    assert [data.annotated(index) for index in range(3)] == [True, False, True]
    assert len(data.objects(2)) == 0  # a void in a palette
    assert data.objects(3).ids.tolist() == [1]
    assert data.objects(1).size == (48, 64)
    assert data.prepare(1).instances is None
    assert data.annotations.ids.tolist() == [1, 7, 1, 1, 1]
    assert data.file_name(3) == "single/00000.png"


def test_davis_lists_and_names(davis: Path) -> None:
    (davis / "ImageSets/2017").mkdir(parents=True)
    (davis / "ImageSets/2017/train.txt").write_text("single\n")
    assert [video.name for video in Davis(str(davis)).videos] == ["single"]
    assert [video.name for video in Davis(str(davis), sequences=["pair"]).videos] == ["pair"]
    with pytest.raises(ConfigError, match="sequences has 'dog'"):
        Davis(str(davis), sequences=["dog"])
    with pytest.raises(ConfigError, match="twice"):
        Davis(str(davis), sequences=["pair", "pair"])


def test_davis_draws_another_frame_for_one_without_objects(davis: Path) -> None:
    data = Davis(str(davis), sequences=["pair"])
    assert {int(data[(epoch, 0)]["index"]) for epoch in range(8)} == {0}


def test_davis_that_cannot_be_used(davis: Path, tmp_path: Path) -> None:
    save(davis / "Annotations/480p/pair/00009.png", box_mask(0, 0, 9, 9))
    with pytest.raises(DataError, match=r"has no frame 00009.\*"):
        Davis(str(davis))
    (davis / "Annotations/480p/pair/00009.png").unlink()
    save(davis / "Annotations/480p/pair/00000.png", noise(1))
    with pytest.raises(ColourLabelError):
        Davis(str(davis)).objects(0)
    (davis / "JPEGImages/480p/empty").mkdir()
    with pytest.raises(DataError, match="the video empty has no frames"):
        Davis(str(davis))
    with pytest.raises(DataError, match="no folders JPEGImages"):
        Davis(str(davis / "JPEGImages"))


def ids_map(*parts: tuple[int, tuple[int, int, int, int]]) -> np.ndarray:
    """uint16 [H, W] with rectangles of given values."""
    values = np.zeros((48, 64), np.uint16)
    for value, box in parts:
        values[box_mask(*box) > 0] = value
    return values


def test_mots_of_maps(tmp_path: Path) -> None:
    for name in ("0000", "0002"):
        for number in range(2):
            save(tmp_path / f"training/image_02/{name}/{number:06d}.png", noise(number))
            parts = [(1001, (2, 2, 20, 20)), (2005, (30, 10, 50, 40)), (10000, (52, 0, 64, 48))]
            save(tmp_path / f"instances/{name}/{number:06d}.png", ids_map(*parts))
    data = Mots(str(tmp_path))
    assert [video.name for video in data.videos] == ["0000"]
    assert [video.name for video in Mots(str(tmp_path), mode="val").videos] == ["0002"]
    assert [video.name for video in Mots(str(tmp_path), sequences=[2]).videos] == ["0002"]
    instances = data.objects(0)
    assert instances.ids.tolist() == [1001, 2005, 10000, 10001]
    assert instances.classes.tolist() == [0, 1, 0, 1]
    assert instances.crowd.tolist() == [False, False, True, True]
    people = Mots(str(tmp_path), classes=["pedestrian"]).objects(0)
    assert people.ids.tolist() == [2005, 10000]
    assert people.classes.tolist() == [0, 0]
    save(tmp_path / "instances/0000/000000.png", ids_map((5, (2, 2, 9, 9))))
    with pytest.raises(DataError, match="value 5, of class 0"):
        data.objects(0)


def mots_text(folder: Path, lines: list[str]) -> str:
    for number in (1, 2):
        save(folder / f"train/MOTS20-02/img1/{number:06d}.png", noise(number))
    (folder / "train/MOTS20-02/gt").mkdir(parents=True, exist_ok=True)
    (folder / "train/MOTS20-02/gt/gt.txt").write_text("\n".join(lines) + "\n")
    return str(folder)


def line(frame: int, identifier: int, category: int = 2, box: tuple[int, int, int, int] = (2, 2, 20, 30)) -> str:
    return f"{frame} {identifier} {category} 48 64 {rle_of(box_mask(*box))['counts']}"


def test_mots_of_text(tmp_path: Path) -> None:
    strange = box_mask(0, 44, 1, 48)  # its first run of 44 pixels is a backslash in the code
    assert "\\" in rle_of(strange)["counts"]
    root = mots_text(
        tmp_path, [line(1, 2001), line(2, 2001), f"2 2002 2 48 64 {rle_of(strange)['counts']}", line(2, 10000, 10)]
    )
    data = Mots(root, classes=["pedestrian"])
    assert data.objects(0).ids.tolist() == [2001]
    assert data.objects(1).ids.tolist() == [2001, 2002, 10000]
    np.testing.assert_array_equal(data.objects(1).masks[1], strange)
    assert data.objects(0).boxes.tolist() == [[2, 2, 20, 30]]
    with pytest.raises(ConfigError, match="for validation is not known"):
        Mots(root, mode="val")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "has no object"),
        (["1 2001 2 48 64"], "expected 'frame id class height width rle'"),
        (["1 -1 2 48 64 0"], "expected 'frame id"),
        (["1 9999999999999999999999 2 48 64 0"], "expected 'frame id"),
        ([line(1, 2001), line(1, 2001)], r"id 2001 is in frame 1 twice \(line 1\)"),
        ([line(1, 2001), "2 2001 2 64 48 0"], "the size is 48x64, that of the lines before 64x48"),
        (["1 2001 2 99999999 99999999 0"], "more than"),
        (["1 2001 2 48 64 52"], "the RLE describes"),
        (["1 2001 2 48 64 \u00e9"], "RLE"),
        ([line(9, 2001)], "is about frame 9"),
        ([line(1, 3001, 3)], "has the class 3"),
    ],
)
def test_mots_text_that_cannot_be_used(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Mots(mots_text(tmp_path, lines))


def test_a_folder_without_mots(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no video of MOTS"):
        Mots(str(tmp_path))


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Cell 1 divides into 2 and 3 before frame 2; segments are larger than markers and numbered otherwise."""
    tracks = {0: [(1, (4, 4, 8, 8))], 1: [(1, (4, 4, 8, 8))], 2: [(2, (4, 4, 8, 8)), (3, (40, 4, 44, 8))]}
    for number, parts in tracks.items():
        save(tmp_path / f"01/t{number:03d}.tif", noise(number)[..., 0])
        save(tmp_path / f"01_GT/TRA/man_track{number:03d}.tif", ids_map(*parts))
    save(tmp_path / "01_GT/SEG/man_seg000.tif", ids_map((9, (2, 2, 12, 12))))
    save(
        tmp_path / "01_GT/SEG/man_seg002.tif", ids_map((1, (36, 0, 48, 12)), (2, (2, 2, 12, 12)), (5, (20, 20, 30, 30)))
    )
    (tmp_path / "01_GT/TRA/man_track.txt").write_text("1 0 1 0\n2 2 2 1\n3 2 2 1\n")
    return tmp_path


def test_cells(cells: Path) -> None:
    data = CellTracking(str(cells), masks="gold", mode="val")
    assert [data.annotated(index) for index in range(3)] == [True, False, True]
    assert data.objects(0).ids.tolist() == [1]
    np.testing.assert_array_equal(data.objects(0).masks[0], box_mask(2, 2, 12, 12))
    found = dict(zip(data.objects(2).ids.tolist(), data.objects(2).boxes.tolist(), strict=True))
    assert found.pop(3) == [36, 0, 48, 12]
    assert found.pop(2) == [2, 2, 12, 12]
    assert list(found.values()) == [[20, 20, 30, 30]]  # a segment without a marker is a track of its own
    assert min(found) >= 1_000_000
    assert data.tracks(0)[3].parent == 1
    assert len(data.objects(1)) == 0
    markers = CellTracking(str(cells), masks="markers", sequences=[1])
    assert markers.objects(1).ids.tolist() == [1]
    with pytest.raises(DataError, match="no map of cells"):
        CellTracking(str(cells))
    with pytest.raises(ConfigError, match="masks is 'best'"):
        CellTracking(str(cells), masks="best")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 1\n", "expected 'id first last parent'"),
        ("1 2 1 0\n", "expected 'id first last parent'"),
        ("1 0 1 0\n1 2 2 0\n", "has a line before"),
        ("1 0 2 7\n", "the parent 7 of cell 1 has no line"),
        ("x 0 2 0\n", "expected"),
    ],
)
def test_tracks_of_cells_that_cannot_be_used(cells: Path, text: str, message: str) -> None:
    (cells / "01_GT/TRA/man_track.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        CellTracking(str(cells), masks="gold")


def test_maps_of_cells_that_cannot_be_used(cells: Path) -> None:
    data = CellTracking(str(cells), masks="gold", mode="val")
    save(cells / "01_GT/SEG/man_seg000.tif", np.zeros((40, 64), np.uint16))
    with pytest.raises(DataError, match=r"man_seg000.tif is 64x40"):
        data.objects(0)
    save(cells / "01_GT/TRA/man_track000.tif", ids_map((2, (4, 4, 8, 8))))
    with pytest.raises(DataError, match=r"has the cell 2, which man_track.txt does not have in frame 0"):
        data.objects(0)
    (cells / "01_GT/TRA/man_track000.tif").write_bytes(b"II*\0" + bytes(40))
    with pytest.raises(FileError):
        data.objects(0)
    save(cells / "01_GT/SEG/man_seg007.tif", ids_map((1, (0, 0, 9, 9))))
    with pytest.raises(DataError, match=r"has no frame t007.tif"):
        CellTracking(str(cells), masks="gold")


def test_real_cells(photos: Path) -> None:
    data = CellTracking(str(photos / "ctc/DIC-C2DH-HeLa"), clip=2)
    assert len(data) == 84
    assert data.tracks(0)[8].parent == 7
    tracks = data.tracks(0)
    for index in range(0, 84, 9):
        ids = [identifier for identifier in data.objects(index).ids.tolist() if identifier < 1_000_000]
        assert len(ids) >= 10
        assert all(tracks[identifier].first <= index <= tracks[identifier].last for identifier in ids)


def test_real_davis(photos: Path) -> None:
    data = Davis(str(photos / "davis_multi"), mode="val")
    assert {identifier for index in data.videos[1].frames for identifier in data.objects(index).ids.tolist()} == {
        1,
        2,
        3,
    }
    single = Davis(str(photos / "davis"), sequences=["dog"])
    assert single.objects(0).ids.tolist() == [1]
