"""One pass over the files: facts per item, sums per split."""

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.datasets import Dataset, Item
from mobileseg.data.doctor.scan import EXAMPLES, Examples, examine_item, scan, thumbnail
from mobileseg.data.pixel_format import PixelFormat
from mobileseg.semantic.doctor_labels import LabelSummary


def codes(item: Item) -> list[str]:
    return [code for code, _ in examine_item(item).problems]


def test_facts_of_a_good_pair(folder) -> None:
    label = np.zeros((24, 32), np.uint8)
    label[:2] = 7
    facts = examine_item(Item(*folder.add("one", label)))
    assert facts.problems == []
    assert facts.size == (24, 32)
    assert facts.stored.sum() == 24 * 32
    assert (facts.stored[7], facts.stored[0]) == (64, 22 * 32)
    assert len(facts.digest) == 16
    assert facts.turn == 1


def test_damage_is_named(folder, tmp_path) -> None:
    image, label = folder.add("one")
    missing = tmp_path / "no.png"
    assert codes(Item(missing, label)) == ["image-missing"]
    assert codes(Item(image, missing)) == ["label-missing"]
    assert codes(Item(missing, missing)) == ["image-missing", "label-missing"]
    assert codes(Item(image, None)) == []
    cut = tmp_path / "cut.png"
    cut.write_bytes(image.read_bytes()[:-40])
    assert codes(Item(cut, cut)) == ["image-truncated", "label-truncated"]
    text = tmp_path / "text.png"
    text.write_text("hello")
    assert codes(Item(text, text)) == ["image-unreadable", "label-unreadable"]
    assert codes(Item(image, image)) == ["label-colour"]
    Image.fromarray(np.full((24, 32), 999, np.uint16)).save(tmp_path / "deep.png")
    assert codes(Item(image, tmp_path / "deep.png")) == ["label-depth"]
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(tmp_path / "lossy.jpg")
    assert codes(Item(image, tmp_path / "lossy.jpg")) == ["label-lossy"]
    Image.fromarray(np.zeros((24, 31), np.uint8)).save(tmp_path / "narrow.png")
    assert codes(Item(image, tmp_path / "narrow.png")) == ["size-mismatch"]


@pytest.mark.parametrize(
    ("turn", "label_size", "expected"),
    [
        (1, (24, 32), []),
        (6, (32, 24), []),  # the label is turned like the image
        (6, (24, 32), ["exif-mask"]),
        (8, (24, 32), ["exif-mask"]),
        (5, (32, 24), []),
        (5, (24, 32), ["exif-mask"]),
        (8, (24, 30), ["size-mismatch"]),
        (3, (24, 32), ["exif-unsure"]),
    ],
)
def test_exif(folder, turn: int, label_size: tuple[int, int], expected: list[str]) -> None:
    image, label = folder.add("one", np.zeros(label_size, np.uint8))
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.open(image).save(image, exif=exif)
    facts = examine_item(Item(image, label))
    assert [code for code, _ in facts.problems] == expected
    assert facts.turn == turn
    assert facts.size == ((32, 24) if turn > 4 else (24, 32))


def test_thumbnail(picture) -> None:
    image = picture(64, 80)
    small = thumbnail(image)
    assert small.shape == (256,)
    np.testing.assert_allclose([small.mean(), np.linalg.norm(small)], [0, 1], atol=1e-5)
    assert not thumbnail(np.full((20, 20, 3), 9, np.uint8)).any()
    assert thumbnail(image[:1, :1]).shape == (256,)


def test_sums_of_a_split(folder) -> None:
    labels = [np.zeros((24, 32), np.uint8) for _ in range(4)]
    labels[0][0] = 1
    labels[1][0], labels[1][1] = 5, 255
    labels[2][:] = 255
    for index, label in enumerate(labels):
        folder.add(str(index), label)
    folder.list("l.txt", list("0123"))
    data = Dataset(str(folder.root), train_path="l.txt", num_classes=3, label_map={5: 2})
    steps: list[tuple[int, int]] = []
    for workers in (1, 3):
        summary = scan(LabelSummary("train", data), workers=workers, progress=lambda *step: steps.append(step))
        assert summary.pixels.tolist() == [23 * 32 + 22 * 32 + 24 * 32, 32, 32]
        assert summary.images_with.tolist() == [3, 1, 1]
        assert summary.counted_with.tolist() == [24 * 32 + 23 * 32 + 24 * 32, 24 * 32, 23 * 32]
        assert summary.ignored == 32 + 24 * 32
        assert summary.all_ignored.files == [str(data.items[2].label)]
        assert summary.sizes == {(24, 32): 4}
        assert summary.wrong == {}
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)] * 2


def test_wrong_values_and_limit(folder) -> None:
    folder.fill("l.txt", 9)
    summary = scan(LabelSummary("train", Dataset(str(folder.root), train_path="l.txt", num_classes=2)), limit=3)
    assert (summary.scanned, summary.total) == (3, 9)
    assert list(summary.wrong) == [2]
    assert summary.wrong[2].count == summary.wrong_files.count == 3
    assert summary.thumbnail_files == [str(folder.root / f"l_{index}.png") for index in (0, 4, 8)]


def test_ignore_index_that_is_a_class_number(folder) -> None:
    folder.fill("l.txt", 1)
    summary = scan(LabelSummary("train", Dataset(str(folder.root), train_path="l.txt", num_classes=3, ignore_index=0)))
    assert summary.pixels[0] == 0
    assert summary.ignored == summary.stored[0] > 0


def test_examples_keep_only_a_few() -> None:
    examples = Examples()
    for index in range(12):
        examples.add(f"file {index}", "detail")
    assert (examples.count, len(examples.files), len(examples.details)) == (12, EXAMPLES, EXAMPLES)


def test_sizes_and_depths_are_named(folder, monkeypatch) -> None:
    image, label = folder.add("one")
    deep = folder.root / "deep.tif"
    Image.fromarray(np.zeros((24, 32), np.float32)).save(deep)
    assert codes(Item(deep, label)) == ["image-depth"]
    monkeypatch.setattr("mobileseg.limits.MAX_PIXELS", 100)
    assert codes(Item(image, label)) == ["image-size", "label-size"]


def test_images_are_read_as_the_dataset_reads_them(folder) -> None:
    _, label = folder.add("one")
    deep = folder.root / "deep.png"
    Image.fromarray(np.full((24, 32), 2000, np.uint16)).save(deep)
    for pixels, expected in (
        (PixelFormat(), []),
        (PixelFormat(1, (0, 4095)), []),
        (PixelFormat(1, (0, 1000)), ["image-depth"]),
        (PixelFormat(4), ["image-channels"]),
    ):
        assert [code for code, _ in examine_item(Item(deep, label), pixels).problems] == expected
