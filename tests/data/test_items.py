"""Files of a dataset."""

import pickle
from pathlib import Path

import pytest

from mobileseg.data.items import Item, Items

LIST = [
    Item(Path("/a/b.jpg"), Path("/a/all.json")),
    Item(Path("c.jpg"), None),
    Item(Path("/d.jpg"), Path("/a/all.json")),
]


def test_a_sequence_of_items() -> None:
    items = Items(LIST)
    assert list(items) == LIST
    assert (len(items), items[-1], list(items[1:])) == (3, LIST[2], LIST[1:])
    assert list(items.select([2, 0, 2])) == [LIST[2], LIST[0], LIST[2]]
    assert items == Items(LIST) == pickle.loads(pickle.dumps(items))
    assert items != Items(LIST[:2])
    assert items[1:2] != Items([Item(Path("c.jpg"), Path("c.png"))])
    with pytest.raises(IndexError):
        items[3]


def test_a_pickle_has_a_file_of_all_images_once() -> None:
    many = Items(Item(Path(f"{index}.jpg"), Path("/data/" + "x" * 1000)) for index in range(1000))
    assert len(pickle.dumps(many)) < 30_000
