"""`mobileseg convert` for labels: every result is read back by what it is made for."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mobileseg.cli import main
from mobileseg.data.datasets import Dataset


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def pairs(root: Path, names: list[str], images: str = "images", labels: str = "annotations") -> None:
    rng = np.random.default_rng(len(names))
    for name in names:
        save(root / images / f"{name}.jpg", rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        save(root / labels / f"{name}.png", rng.integers(0, 3, (12, 16), dtype=np.uint8))


def convert(*words: object) -> int:
    return main(["convert", *map(str, words)])


def test_split_divides_all_pairs_and_the_dataset_reads_them(tmp_path, capsys):
    pairs(tmp_path, ["a", "b", "sub/c", "sub/d", "e", "f", "g", "h", "i", "j"])
    assert convert("split", tmp_path, "images", "annotations", "--split", 0.6, 0.3, 0.1) == 0
    lists = {name: (tmp_path / f"{name}.txt").read_text() for name in ("train", "val", "test")}
    assert [text.count("\n") for text in lists.values()] == [6, 3, 1]
    lines = sorted("".join(lists.values()).splitlines())
    assert len(set(lines)) == 10
    assert "images/sub/c.jpg annotations/sub/c.png" in lines
    assert str(tmp_path / "val.txt") + ": 3 images" in capsys.readouterr().out
    data = Dataset(str(tmp_path), train_path=str(tmp_path / "train.txt"), num_classes=3)
    assert len(data) == 6
    assert convert("split", tmp_path, "images", "annotations") == 3
    assert "exist already" in capsys.readouterr().err
    assert convert("split", tmp_path, "images", "annotations", "--seed", 1, "--overwrite") == 0
    assert (tmp_path / "train.txt").read_text() != lists["train"]
    assert (tmp_path / "test.txt").read_text() == lists["test"]  # share 0 writes no list, and deletes none


def test_lists_of_folders(tmp_path, capsys):
    pairs(tmp_path, ["train/a", "train/b", "val/c"])
    save(tmp_path / "images/test/d.jpg", np.zeros((4, 4, 3), np.uint8))
    assert convert("lists", tmp_path, "--separator", ",") == 0
    assert (tmp_path / "train.txt").read_text() == (
        "images/train/a.jpg,annotations/train/a.png\nimages/train/b.jpg,annotations/train/b.png\n"
    )
    assert (tmp_path / "val.txt").read_text() == "images/val/c.jpg,annotations/val/c.png\n"
    assert (tmp_path / "test.txt").read_text() == "images/test/d.jpg\n"
    assert "the list names images alone" in capsys.readouterr().out


def test_lists_of_cityscapes(tmp_path):
    for part in ("train", "val"):
        save(tmp_path / f"leftImg8bit/{part}/ulm/ulm_1_leftImg8bit.png", np.zeros((4, 8, 3), np.uint8))
        save(tmp_path / f"gtFine/{part}/ulm/ulm_1_gtFine_labelTrainIds.png", np.zeros((4, 8), np.uint8))
        save(tmp_path / f"gtFine/{part}/ulm/ulm_1_gtFine_color.png", np.zeros((4, 8, 3), np.uint8))
    assert convert("lists", tmp_path, "--type", "cityscapes") == 0
    assert (tmp_path / "val.txt").read_text() == (
        "leftImg8bit/val/ulm/ulm_1_leftImg8bit.png gtFine/val/ulm/ulm_1_gtFine_labelTrainIds.png\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "0.5", "0.2", "0.1"], "no division of 1"),
        (["--split", "0.9", "0.1", "0"], "none would be for val"),
        (["--format", "bmp", "png"], "has no image *.bmp"),
        (["--separator", "/"], "is in the file name"),
    ],
)
def test_splits_that_cannot_be(tmp_path, capsys, words, message):
    pairs(tmp_path, ["a", "b", "c"])
    assert convert("split", tmp_path, "images", "annotations", *words) != 0
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*.txt"))


def test_an_image_without_label_is_named(tmp_path, capsys):
    pairs(tmp_path, ["a", "b", "c"])
    (tmp_path / "annotations/b.png").rename(tmp_path / "annotations/z.png")  # as many files, other names
    assert convert("split", tmp_path, "images", "annotations") == 3
    assert "1 images have no label of their name: b" in capsys.readouterr().err
    assert convert("split", tmp_path, "images", "absent") == 3
    assert "does not exist" in capsys.readouterr().err


def shapes(folder: Path, name: str, found: list[tuple[str, list[list[float]]]]) -> None:
    save(folder / f"{name}.jpg", np.zeros((30, 40, 3), np.uint8))
    drawn = [{"label": label, "points": points, "shape_type": "polygon"} for label, points in found]
    document = {"shapes": drawn, "imagePath": f"{name}.jpg", "imageHeight": 30, "imageWidth": 40}
    (folder / f"{name}.json").write_text(json.dumps(document))


def test_labelme(tmp_path, capsys):
    square = [[4.0, 4.0], [24.0, 4.0], [24.0, 20.0], [4.0, 20.0]]
    corner = [[14.0, 10.0], [38.0, 10.0], [38.0, 28.0], [14.0, 28.0]]
    shapes(tmp_path, "one", [("dog", square), ("cat", corner)])
    shapes(tmp_path, "two", [])
    assert convert("labelme", tmp_path) == 0
    assert (tmp_path / "class_names.txt").read_text() == "_background_\ncat\ndog\n"
    assert "0 _background_" in capsys.readouterr().out
    stored = Image.open(tmp_path / "annotations/one.png")
    assert stored.mode == "P"
    mask = np.asarray(stored)
    reference = Image.new("L", (40, 30))  # Pillow's own polygons, drawn one over the other
    for index, points in ((2, square), (1, corner)):
        ImageDraw.Draw(reference).polygon([tuple(point) for point in points], fill=index)
    assert (mask != np.asarray(reference)).mean() < 0.08  # whether pixels on an edge belong to it
    assert mask[12, 16] == 1  # the later shape is seen
    assert mask[6, 6] == 2
    assert not np.asarray(Image.open(tmp_path / "annotations/two.png")).any()
    assert convert("labelme", tmp_path, "--classes", "dog", "--output", tmp_path / "out") == 3
    shown = capsys.readouterr()
    assert "has a shape 'cat', the classes are dog" in shown.err
    assert "1 of 2 files could not be used" in shown.err
    assert convert("labelme", tmp_path, "--classes", "dog", "cat", "--output", tmp_path / "out") == 0
    assert np.asarray(Image.open(tmp_path / "out/one.png"))[6, 6] == 1


def test_masks_of_labelme_replace_no_photograph(tmp_path, capsys):
    folder = tmp_path / "drawn"
    shapes(folder, "one", [("dog", [[4.0, 4.0], [24.0, 4.0], [24.0, 20.0]])])
    save(tmp_path / "photos/one.png", np.zeros((30, 40, 3), np.uint8))
    document = json.loads((folder / "one.json").read_text()) | {"imagePath": "../photos/one.png"}
    (folder / "one.json").write_text(json.dumps(document))
    before = (tmp_path / "photos/one.png").read_bytes()
    assert convert("labelme", folder, "--output", folder) == 2
    assert "holds the input" in capsys.readouterr().err
    assert convert("labelme", folder, "--output", tmp_path / "photos") == 2
    assert "is the input" in capsys.readouterr().err
    assert (tmp_path / "photos/one.png").read_bytes() == before


def test_labelme_without_files(tmp_path, capsys):
    assert convert("labelme", tmp_path) == 3
    assert "has no JSON file" in capsys.readouterr().err


def test_palette_keeps_values(tmp_path, capsys):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    save(tmp_path / "grey/sub/a.png", values)
    assert convert("palette", tmp_path / "grey", tmp_path / "colour") == 0
    found = Image.open(tmp_path / "colour/sub/a.png")
    np.testing.assert_array_equal(np.asarray(found), values)
    assert len({tuple(colour) for row in np.asarray(found.convert("RGB")) for colour in row}) == 12
    (tmp_path / "list.txt").write_text("x.jpg grey/sub/a.png\n")
    assert convert("palette", tmp_path / "list.txt", tmp_path / "listed", "--dataset_dir", tmp_path) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "listed/grey/sub/a.png")), values)
    assert convert("palette", tmp_path / "grey", tmp_path / "grey") == 2
    save(tmp_path / "grey/colour.png", np.zeros((3, 4, 3), np.uint8))
    assert convert("palette", tmp_path / "grey", tmp_path / "again") == 3
    shown = capsys.readouterr().err
    assert "is a colour image" in shown
    assert "1 of 2 files could not be used" in shown
    assert (tmp_path / "again/sub/a.png").is_file()


def test_overlays(tmp_path, capsys):
    pairs(tmp_path, ["a", "b"])
    (tmp_path / "val.txt").write_text("images/a.jpg annotations/a.png\nimages/b.jpg annotations/b.png\n")
    save(tmp_path / "predicted/a.png", np.zeros((12, 16), np.uint8))
    words = ["overlays", "--file_path", tmp_path / "val.txt", "--save_dir", tmp_path / "out"]
    assert convert(*words, "--pred_dir", tmp_path / "predicted") == 0
    assert "2 images, 1 without a prediction" in capsys.readouterr().out
    three, two = (Image.open(tmp_path / f"out/images/{name}.png") for name in "ab")
    assert (three.size, two.size) == ((3 * 16 + 16, 12), (2 * 16 + 8, 12))
    original = np.asarray(Image.open(tmp_path / "images/a.jpg"))
    np.testing.assert_array_equal(np.asarray(three)[:, :16], original)
    assert (np.asarray(three)[:, 24:40] != original).any()
    save(tmp_path / "annotations/a.png", np.zeros((4, 4), np.uint8))
    assert convert(*words) == 3
    assert "a.png is 4x4, its image is 16x12" in capsys.readouterr().err
    for inputs in ("images", "annotations", "predicted", "."):
        assert convert(*words[:3], "--pred_dir", tmp_path / "predicted", "--save_dir", tmp_path / inputs) == 2
        assert "holds the input" in capsys.readouterr().err
