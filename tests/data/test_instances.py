"""Objects that move: every step against dense masks and brute force."""

import cv2
import numpy as np
import pytest

from mobileseg.data.instances import Instances, Region

SIZE = (37, 53)


def blobs(rng: np.random.Generator, count: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 [count, H, W]: ellipses, some of them cut by the border, the last a single pixel."""
    masks = np.zeros((count, *size), np.uint8)
    for mask in masks:
        centre = (int(rng.integers(size[1])), int(rng.integers(size[0])))
        axes = (int(rng.integers(2, 16)), int(rng.integers(2, 16)))
        cv2.ellipse(mask, centre, axes, int(rng.integers(180)), 0, 360, 1, -1)
    masks[-1] = 0
    masks[-1, rng.integers(size[0]), rng.integers(size[1])] = 1
    return masks


def tight(masks: np.ndarray) -> np.ndarray:
    """float32 [n, 4]: boxes by looking at every row and column."""
    boxes = []
    for mask in masks:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return np.array(boxes, np.float32).reshape(-1, 4)


@pytest.fixture
def masks() -> np.ndarray:
    return blobs(np.random.default_rng(0), 12)


@pytest.fixture
def instances(masks: np.ndarray) -> Instances:
    count = len(masks)
    return Instances.from_masks(
        masks, np.arange(count) % 3, crowd=np.arange(count) % 5 == 0, ids=100 + np.arange(count)
    )


def same_objects(moved: Instances, masks: np.ndarray, original: Instances) -> np.ndarray:
    """The objects of ``moved`` are those of ``masks`` that have a pixel; returns their indices."""
    alive = masks.reshape(len(masks), -1).any(axis=1)
    np.testing.assert_array_equal(moved.masks, masks[alive])
    for name in ("classes", "crowd", "ids"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(original, name)[alive])
    assert moved.masks.shape[1:] == moved.size
    return np.flatnonzero(alive)


def test_masks_and_boxes(masks: np.ndarray, instances: Instances) -> None:
    np.testing.assert_array_equal(instances.masks, masks)
    assert instances.masks.dtype == np.uint8
    np.testing.assert_array_equal(instances.boxes, tight(masks))
    assert instances.boxes.dtype == np.float32
    np.testing.assert_array_equal(instances.areas(), masks.sum(axis=(1, 2)))
    assert instances.classes.dtype == np.int64


@pytest.mark.parametrize("axis", [0, 1])
def test_flip(masks: np.ndarray, instances: Instances, axis: int) -> None:
    flipped = instances.flip(axis)
    same_objects(flipped, np.flip(masks, 1 + axis), instances)
    np.testing.assert_array_equal(flipped.boxes, tight(np.flip(masks, 1 + axis)))
    np.testing.assert_array_equal(flipped.flip(axis).masks, masks)


def test_place(masks: np.ndarray, instances: Instances) -> None:
    canvas = np.zeros((len(masks), 60, 90), np.uint8)
    canvas[:, 11 : 11 + SIZE[0], 7 : 7 + SIZE[1]] = masks
    placed = instances.place(11, 7, (60, 90))
    same_objects(placed, canvas, instances)
    np.testing.assert_array_equal(placed.boxes, tight(canvas))


@pytest.mark.parametrize("window", [(0, 0, 37, 53), (5, 9, 20, 20), (30, 0, 7, 53), (0, 52, 37, 1)])
def test_crop(masks: np.ndarray, instances: Instances, window: tuple[int, int, int, int]) -> None:
    top, left, height, width = window
    part = masks[:, top : top + height, left : left + width]
    cropped = instances.crop(*window)
    alive = same_objects(cropped, part, instances)
    np.testing.assert_array_equal(cropped.boxes, tight(part[alive]))


def test_crop_keeps_the_annotated_box_of_what_it_does_not_cut() -> None:
    mask = np.zeros((1, 20, 20), np.uint8)
    mask[0, 5:10, 5:10] = 1
    annotated = np.array([[4.6, 4.7, 10.3, 10.2]])
    instances = Instances.from_masks(mask, [0], boxes=annotated)
    np.testing.assert_allclose(instances.crop(2, 2, 15, 15).boxes, annotated - 2, atol=1e-6)
    np.testing.assert_allclose(instances.crop(5, 5, 15, 15).boxes, [[0, 0, 5.3, 5.2]], atol=1e-6)
    np.testing.assert_array_equal(instances.crop(7, 2, 5, 5).boxes, [[3, 0, 5, 3]])


@pytest.mark.parametrize("size", [(37, 53), (74, 106), (18, 26), (20, 50), (100, 30), (1, 1), (5, 200)])
def test_resize_is_opencv_s_on_the_whole_mask(masks: np.ndarray, instances: Instances, size: tuple[int, int]) -> None:
    height, width = size
    grey = np.stack([cv2.resize(mask.astype(np.float32), (width, height)) for mask in masks])
    resized = instances.resize(size)
    dense = np.zeros((len(masks), *size), np.uint8)
    dense[np.isin(instances.ids, resized.ids)] = resized.masks
    clear = np.abs(grey - 0.5) > 1e-4  # float32 and float64 weights may round a half to either side
    np.testing.assert_array_equal(dense[clear], (grey >= 0.5)[clear])
    scale = np.array([width / SIZE[1], height / SIZE[0]] * 2)
    kept = np.isin(instances.ids, resized.ids)
    np.testing.assert_allclose(resized.boxes, instances.boxes[kept] * scale, rtol=1e-6)
    assert all(region.bitmap.any() for region in resized.regions)


def test_half_covered_pixels_belong_to_the_object() -> None:
    mask = np.zeros((1, 8, 8), np.uint8)
    mask[0, 2] = 1  # one row of two that become one
    np.testing.assert_array_equal(Instances.from_masks(mask, [0]).resize((4, 4)).masks[0, 1], [1, 1, 1, 1])


def test_a_speck_vanishes(masks: np.ndarray) -> None:
    mask = np.zeros((2, 40, 40), np.uint8)
    mask[0, 20, 20] = 1
    mask[1, 10:30, 10:30] = 1
    resized = Instances.from_masks(mask, [4, 5]).resize((10, 10))
    assert resized.classes.tolist() == [5]


@pytest.mark.parametrize("angle", [0, 33, 90, 200])
def test_warp_is_opencv_s_on_the_whole_mask(masks: np.ndarray, instances: Instances, angle: float) -> None:
    matrix = cv2.getRotationMatrix2D((26, 18), angle, 1.3)
    matrix[:, 2] += (9, -4)
    whole = np.stack([cv2.warpAffine(mask.astype(np.float32), matrix, (70, 50)) for mask in masks])
    warped = instances.warp(matrix, (50, 70))
    dense = np.zeros((len(masks), 50, 70), np.uint8)
    dense[np.isin(instances.ids, warped.ids)] = warped.masks
    # OpenCV places samples on a grid of 1/32 pixel, which depends on where the image begins.
    clear = np.abs(whole - 0.5) > 0.07
    np.testing.assert_array_equal(dense[clear], (whole >= 0.5)[clear])
    np.testing.assert_array_equal(warped.boxes, tight(warped.masks))


def test_warp_out_of_sight(instances: Instances) -> None:
    away = np.array([[1.0, 0, 1000], [0, 1, 0]])
    assert len(instances.warp(away, SIZE)) == 0


def test_no_objects() -> None:
    empty = Instances.empty(SIZE)
    moves = [
        empty,
        empty.flip(0),
        empty.crop(1, 2, 3, 4),
        empty.place(1, 1, (60, 60)),
        empty.resize((9, 9)),
        empty.warp(np.eye(2, 3), SIZE),
        empty.select(np.zeros(0, bool)),
    ]
    for moved in moves:
        assert len(moved) == 0
        assert moved.boxes.shape == (0, 4)
        assert moved.boxes.dtype == np.float32
        assert moved.masks.shape == (0, *moved.size)
        assert moved.classes.dtype == moved.ids.dtype == np.int64
        assert moved.crowd.dtype == bool
        assert moved.areas().shape == (0,)


def test_objects_without_a_pixel_go_with_the_first_move() -> None:
    instances = Instances.from_masks(np.zeros((1, 9, 9), np.uint8), [0], boxes=np.array([[1, 1, 4, 4]]))
    assert len(instances) == 1
    assert instances.areas().tolist() == [0]
    for moved in (
        instances.flip(1),
        instances.crop(0, 0, 9, 9),
        instances.resize((5, 5)),
        instances.place(0, 0, (9, 9)),
    ):
        assert len(moved) == 0


def test_select_takes_masks_and_indices(instances: Instances) -> None:
    np.testing.assert_array_equal(instances.select([3, 1]).ids, [103, 101])
    np.testing.assert_array_equal(instances.select(instances.crowd).ids, [100, 105, 110])
    assert len(instances.select([])) == 0


def test_the_original_is_left_alone(masks: np.ndarray, instances: Instances) -> None:
    instances.flip(1), instances.crop(3, 3, 9, 9), instances.resize((20, 20)), instances.place(1, 1, (60, 60))
    np.testing.assert_array_equal(instances.masks, masks)
    np.testing.assert_array_equal(instances.boxes, tight(masks))


def test_trimmed_region() -> None:
    bitmap = np.zeros((6, 7), np.uint8)
    bitmap[2:4, 3:6] = 1
    region = Region(10, 20, bitmap).trimmed()
    assert region.box == (23, 12, 26, 14)
    assert region.trimmed() is region
    assert Region(10, 20, np.zeros((6, 7), np.uint8)).trimmed().bitmap.size == 0


def test_without_what_a_region_covers(masks: np.ndarray, instances: Instances) -> None:
    rng = np.random.default_rng(6)
    lost = 0
    for cover in (*blobs(rng, 8), np.ones(SIZE, np.uint8), np.zeros(SIZE, np.uint8)):
        seen = instances.without(Region(0, 0, cover).trimmed())
        np.testing.assert_array_equal(seen.masks, masks & (1 - cover))
        assert seen.ids.tolist() == instances.ids.tolist()
        for index, mask in enumerate(seen.masks):
            if mask.any():
                expected = instances.boxes[index] if (mask == masks[index]).all() else tight(mask[None])[0]
                np.testing.assert_array_equal(seen.boxes[index], expected)
            else:
                assert (seen.boxes[index, 2:] == seen.boxes[index, :2]).all()
                lost += 1
    assert lost >= len(masks)
    np.testing.assert_array_equal(instances.masks, masks)


def test_joined(masks: np.ndarray, instances: Instances) -> None:
    both = instances.select([0, 1]).joined(instances.select([5]))
    np.testing.assert_array_equal(both.masks, masks[[0, 1, 5]])
    for name in ("boxes", "classes", "crowd", "ids"):
        np.testing.assert_array_equal(getattr(both, name), getattr(instances, name)[[0, 1, 5]])
    assert len(Instances.empty(SIZE).joined(Instances.empty(SIZE))) == 0
