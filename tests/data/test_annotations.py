"""Annotations as arrays: masks against pycocotools, order, selection, pickling."""

import pickle

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.data.annotations import AnnotationRows, AnnotationTable, coco_document

SIZE = (31, 23)


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


def test_images_among_others_without_objects() -> None:
    made, masks = table()
    placed = made.select_images([2, 0]).place_images(np.array([1, 4]), np.array([(5, 5), SIZE, (6, 7), (8, 9), SIZE]))
    assert [list(placed.rows(i)) for i in range(5)] == [[], [0, 1], [], [], [2]]
    assert placed.ids.tolist() == [0, 3, 5]
    assert [placed.size(i) for i in (1, 2)] == [SIZE, (6, 7)]
    np.testing.assert_array_equal(placed.instances(1).masks, masks)
    assert len(made.select_images([]).place_images(np.zeros(0, np.int64), np.array([SIZE]))) == 0


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
