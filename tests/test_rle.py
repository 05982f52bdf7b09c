"""COCO's encoding against pycocotools, which reads and writes the format by its own code."""

import numpy as np
import pytest
from pycocotools import mask as coco

from mobileseg.rle import area_of, compress, decode_region, encode_region, run_lengths
from mobileseg.structures import InstanceMasks

pytestmark = pytest.mark.both

RNG = np.random.default_rng(0)
SIZE = (31, 23)


def expected(mask: np.ndarray) -> dict[str, object]:
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode("ascii")}


def corner(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((11, 13), bool)
    mask[rows, columns] = True
    return mask


MASKS = {
    "empty": np.zeros((5, 7), bool),
    "full": np.ones((5, 7), bool),
    "one pixel": corner(slice(4, 5), slice(6, 7)),
    "first pixel": corner(slice(0, 1), slice(0, 1)),
    "last pixel": corner(slice(10, 11), slice(12, 13)),
    "columns of full height": corner(slice(None), slice(2, 6)),
    "to the lower edge": corner(slice(5, None), slice(2, 6)),
    "from the upper edge": corner(slice(0, 5), slice(None)),
    "noise": RNG.random((37, 53)) > 0.5,
    "sparse": RNG.random((480, 640)) > 0.999,
    "large runs": np.repeat(np.repeat(RNG.random((6, 8)) > 0.5, 80, 0), 80, 1),
    "one row": RNG.random((1, 40)) > 0.5,
    "one column": RNG.random((40, 1)) > 0.5,
}


@pytest.mark.parametrize("name", MASKS)
def test_encoding_is_that_of_pycocotools(name: str) -> None:
    mask = MASKS[name]
    assert encode_region(mask.shape, 0, 0, mask) == expected(mask)
    (encoded,) = InstanceMasks.from_array(mask[None]).to_rle()
    assert encoded == expected(mask)
    np.testing.assert_array_equal(coco.decode(encoded).astype(bool), mask)


def test_a_region_stands_for_the_whole_image() -> None:
    bitmap = RNG.random((9, 6)) > 0.4
    whole = np.zeros((20, 30), bool)
    whole[3:12, 24:30] = bitmap
    assert encode_region((20, 30), 3, 24, bitmap) == expected(whole)
    assert encode_region((20, 30), 5, 5, np.zeros((0, 0), bool)) == expected(np.zeros((20, 30), bool))


def test_runs_alternate_from_zero() -> None:
    mask = np.array([[1, 0, 0], [1, 1, 0]], bool)
    assert run_lengths((2, 3), 0, 0, mask).tolist() == [0, 2, 1, 1, 2]
    assert run_lengths((2, 3), 0, 0, np.zeros((2, 3), bool)).tolist() == [6]


def test_numbers_of_every_size_survive() -> None:
    """pycocotools reads back run lengths from 1 to millions, rising and falling."""
    runs = np.array([0, 1, 15, 16, 31, 32, 1023, 1024, 3, 1_000_000, 1, 40_000_000, 2])
    height = int(runs.sum())
    encoded = {"size": [height, 1], "counts": compress(runs)}
    assert int(coco.area(encoded)) == int(runs[1::2].sum()) == area_of(encoded)
    assert coco.toBbox(encoded).tolist() == [0, 0, 1, float(runs[:-1].sum())]


def decoded(rle: dict) -> np.ndarray:
    """The mask that this project draws, in the whole image."""
    top, left, bitmap = decode_region(rle)
    full = np.zeros(rle["size"], np.uint8)
    full[top : top + bitmap.shape[0], left : left + bitmap.shape[1]] = bitmap
    return full


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_rle_is_decoded_as_pycocotools_does(share: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        mask = (rng.random(SIZE) < share).astype(np.uint8)
        rle = coco.encode(np.asfortranarray(mask))
        np.testing.assert_array_equal(decoded(rle), mask)
        np.testing.assert_array_equal(decoded({**rle, "counts": rle["counts"].decode()}), mask)


def test_long_runs_and_large_images() -> None:
    mask = np.zeros((1200, 1600), np.uint8)
    mask[3, 5] = mask[1100, 1500] = 1
    mask[:, 700:900] = 1  # crosses columns: one run of 240,000 pixels
    rle = coco.encode(np.asfortranarray(mask))
    np.testing.assert_array_equal(decoded(rle), mask)


def test_region_there_and_back() -> None:
    bitmap = np.array([[1, 0, 1], [1, 1, 1]], np.uint8)
    rle = encode_region(SIZE, 4, 7, bitmap)
    top, left, decoded_bitmap = decode_region(rle)
    assert (top, left) == (4, 7)
    np.testing.assert_array_equal(decoded_bitmap, bitmap)
    assert decode_region(encode_region(SIZE, 0, 0, bitmap[:0]))[2].size == 0


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
        (compress(np.array([0, 1 << 41])).encode(), "a run of 2199023255552 pixels"),
        (compress(np.array([1 << 52] * 4096)).encode(), "a run of"),  # their sum is 2^64, which is 0 in 64 bits
    ],
)
def test_broken_run_lengths(counts: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_region({"size": [7, 8], "counts": counts})


def test_polygons_are_drawn_as_pycocotools_does() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        polygons = [(rng.random(2 * int(rng.integers(3, 9))) * 45 - 8).round(2).tolist() for _ in range(2)]
        rle = coco.merge(coco.frPyObjects(polygons, *SIZE))
        np.testing.assert_array_equal(decoded(rle), coco.decode(rle))
