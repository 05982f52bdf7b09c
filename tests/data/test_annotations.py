"""Annotations as arrays: masks against pycocotools, order, selection, pickling."""

import pickle

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mobileseg.data.annotations import AnnotationRows, AnnotationTable, coco_document, decode_region, encode_region
from mobileseg.data.instances import Region

SIZE = (31, 23)


def decoded(rle: dict) -> np.ndarray:
    """The mask that this project draws, in the whole image."""
    region = decode_region(rle)
    full = np.zeros(rle["size"], np.uint8)
    x1, y1, x2, y2 = region.box
    full[y1:y2, x1:x2] = region.bitmap
    return full


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_rle_is_decoded_as_pycocotools_does(share: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        mask = (rng.random(SIZE) < share).astype(np.uint8)
        rle = coco_mask.encode(np.asfortranarray(mask))
        np.testing.assert_array_equal(decoded(rle), mask)
        np.testing.assert_array_equal(decoded({**rle, "counts": rle["counts"].decode()}), mask)


def test_long_runs_and_large_images() -> None:
    mask = np.zeros((1200, 1600), np.uint8)
    mask[3, 5] = mask[1100, 1500] = 1
    mask[:, 700:900] = 1  # crosses columns: one run of 240,000 pixels
    rle = coco_mask.encode(np.asfortranarray(mask))
    np.testing.assert_array_equal(decoded(rle), mask)


def test_polygons_are_drawn_as_pycocotools_does() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        polygons = [(rng.random(2 * int(rng.integers(3, 9))) * 45 - 8).round(2).tolist() for _ in range(2)]
        rle = coco_mask.merge(coco_mask.frPyObjects(polygons, *SIZE))
        np.testing.assert_array_equal(decoded(rle), coco_mask.decode(rle))


def test_region_there_and_back() -> None:
    bitmap = np.array([[1, 0, 1], [1, 1, 1]], np.uint8)
    rle = encode_region(Region(4, 7, bitmap), SIZE)
    region = decode_region(rle)
    assert region.box == (7, 4, 10, 6)
    np.testing.assert_array_equal(region.bitmap, bitmap)
    assert decode_region(encode_region(Region(0, 0, bitmap[:0]), SIZE)).bitmap.size == 0


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (b"", "0 pixels"),
        ("", "0 pixels"),
        (b"05", "5 pixels"),
        (b"\x10\x11", "compressed text"),
        (b"0P", "compressed text"),  # ends inside a number
        (b"0@5", "negative"),
        (b"PPPPPPPPPPPP0", "55 bits"),
    ],
)
def test_broken_run_lengths(counts: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_region({"size": [7, 8], "counts": counts})


def table() -> tuple[AnnotationTable, list[np.ndarray]]:
    """Three images, the objects written in the order 2, 0, 2; the second image has none."""
    rows = AnnotationRows()
    mask = np.zeros(SIZE, np.uint8)
    mask[2:9, 3:11] = 1
    rle = coco_mask.encode(np.asfortranarray(mask))
    square, triangle = [1.0, 1, 9, 1, 9, 9, 1, 9], [10.0, 10, 20, 10, 15, 20]
    rows.add(2, 1, identifier=0, crowd=True, box=(3, 2, 11, 9), area=56, rle=rle)
    rows.add(0, 0, identifier=5, crowd=False, box=(1, 1, 9, 9), area=64, polygons=[square])
    rows.add(2, 0, identifier=3, crowd=False, box=(1, 1, 40, 20), area=114, polygons=[square, triangle])
    drawn = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([square, triangle], *SIZE)))
    return AnnotationTable(rows, [SIZE] * 3), [mask, drawn]


def test_table_is_in_the_order_of_the_images() -> None:
    made, masks = table()
    assert len(made) == 3
    assert made.ids.tolist() == [5, 0, 3]
    assert [list(made.rows(i)) for i in range(3)] == [[0], [], [1, 2]]
    assert made.usable().tolist() == [True, False, True]
    instances = made.instances(2)
    np.testing.assert_array_equal(instances.masks, masks)
    assert instances.crowd.tolist() == [True, False]
    assert instances.boxes.tolist() == [[3, 2, 11, 9], [1, 1, 23, 20]]  # cut to the image
    assert len(made.instances(1)) == 0


def test_choice_of_images_and_pickling() -> None:
    made, masks = table()
    chosen = pickle.loads(pickle.dumps(made.select_images([2, 1])))
    assert chosen.ids.tolist() == [0, 3]
    np.testing.assert_array_equal(chosen.instances(0).masks, masks)
    assert len(chosen.instances(1)) == 0
    assert len(made.select_images([1])) == 0
    assert len(made.select_images([])) == 0
    assert made.ids.tolist() == [5, 0, 3]


def test_size_of_a_pickle() -> None:
    rows = AnnotationRows()
    for index in range(2000):
        rows.add(index, 0, identifier=index + 1, crowd=False, box=(0, 0, 9, 9), area=1, polygons=[[0.5] * 60])
    assert len(pickle.dumps(AnnotationTable(rows, [SIZE] * 2000))) < 2000 * 700  # 60 numbers are 480 bytes


def test_document_is_read_by_pycocotools(tmp_path) -> None:
    import json

    from pycocotools.coco import COCO

    made, masks = table()
    document = coco_document(made, ["a.png", "b.png", "c.png"], [9, 4, 2], {3: "cat", 70: "dog"}, [3, 70])
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(document))
    coco = COCO(str(path))
    assert coco.getImgIds() == [9, 4, 2] or set(coco.getImgIds()) == {2, 4, 9}
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["cat", "dog"]
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=[2]))
    for annotation, mask in zip(annotations, masks, strict=True):
        np.testing.assert_array_equal(coco.annToMask(annotation), mask)
    assert min(coco.getAnnIds()) == 1  # the source counts from 0
    assert [annotation["iscrowd"] for annotation in annotations] == [1, 0]
    assert annotations[0]["bbox"] == [3, 2, 8, 7]
    assert annotations[0]["category_id"] == 70
