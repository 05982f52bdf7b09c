"""Block motion against images that were moved, and against a search written out."""

import cv2
import numpy as np
import pytest

from mobileseg.data.synthetic.clip import draw_clip
from mobileseg.tracking.motion import (
    BLOCK,
    block_motion,
    cell_of,
    consistent,
    estimated_flow,
    flow_of,
    grey_cells,
    targets,
)


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 [H, W, 3] of blobs of some ten pixels."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.clip((soft - soft.mean()) * 12 + 128, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (5, 0), (0, -7), (-12, 9), (20, 16)])
def test_a_moved_image_moves_as_it_was_moved(dx: int, dy: int) -> None:
    scene = texture(320, 420)
    first, second = scene[60:300, 60:380], scene[60 - dy : 300 - dy, 60 - dx : 380 - dx]
    flow = estimated_flow(first, second)
    inner = flow[48:-48, 48:-48]
    assert ((inner == (dx, dy)).all(axis=-1)).mean() > 0.9


def test_the_flow_is_in_pixels_of_the_frame() -> None:
    scene = cv2.resize(texture(320, 420), None, fx=3, fy=3, interpolation=cv2.INTER_LINEAR)
    size = (640, 960)
    assert cell_of(size) == 3
    flow = estimated_flow(scene[90:730, 90:1050], scene[90 - 6 : 730 - 6, 90 + 9 : 1050 + 9])
    assert flow.shape == (*size, 2)
    assert flow.dtype == np.float32
    assert ((flow[150:-150, 150:-150] == (-9, 6)).all(axis=-1)).mean() > 0.9


def test_nothing_moves_where_nothing_can_be_seen() -> None:
    plain = np.full((50, 70, 3), 90, np.uint8)
    assert not estimated_flow(plain, plain).any()
    assert not estimated_flow(plain, plain + np.uint8(3)).any()


def test_grey_cells_are_means() -> None:
    image = np.random.default_rng(3).integers(0, 256, (13, 700, 3)).astype(np.uint8)
    cell = cell_of((13, 700))
    assert cell == 3
    found = grey_cells(image)
    assert found.shape == (4, 233)
    part = image[3:6, 6:9].astype(int)
    assert found[1, 2] == (part[..., 0] + 2 * part[..., 1] + part[..., 2]).sum() // 36


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 5), (33, 40), (2, 1000)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 256, (*size, 3)).astype(np.uint8) for _ in range(2))
    flow = estimated_flow(one, other)
    assert flow.shape == (*size, 2)
    assert np.isfinite(flow).all()


def test_one_block_is_the_best_of_all_displacements() -> None:
    """On the smallest level: sums of absolute differences with what a cell of displacement costs, written out."""
    from mobileseg.tracking import motion

    rng = np.random.default_rng(5)
    one, other = rng.integers(0, 256, (2, 8, 12)).astype(np.int32)
    found = motion._refined(one, other, np.zeros((2, 3, 2), np.int32), 4, 6, 8)
    padded = np.pad(other, 6, mode="edge")
    for row in range(2):
        for column in range(3):
            costs = {}
            for dy in range(-6, 7):
                for dx in range(-6, 7):
                    top, left = 4 * row + 6 + dy, 4 * column + 6 + dx
                    part = padded[top : top + 4, left : left + 4]
                    far = abs(dx) + abs(dy)
                    block = one[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
                    costs[int(np.abs(block - part).sum()) + 8 * far, far, dy, dx] = (dx, dy)
            assert tuple(found[row, column]) == costs[min(costs)]


def test_going_and_coming_back_agree_where_the_scene_moves_as_a_whole() -> None:
    scene = texture(320, 420)
    first, second = scene[60:300, 60:380], scene[52:292, 65:385]
    there, back = estimated_flow(first, second), estimated_flow(second, first)
    assert consistent(there, back)[32:-32, 32:-32].mean() > 0.9
    stranger = estimated_flow(first, texture(240, 320, 9))
    assert consistent(stranger, estimated_flow(texture(240, 320, 9), first)).mean() < 0.5


def test_the_estimate_is_near_the_exact_flow_of_clips() -> None:
    rng = np.random.default_rng(4)
    clip = draw_clip(rng, 160, 240, "train", 4)
    images = [frame.scene.image(frame.ids, rng) for frame in clip]
    errors = []
    for index in range(3):
        flow = estimated_flow(images[index], images[index + 1])
        trusted = consistent(flow, estimated_flow(images[index + 1], images[index]))
        off = np.hypot(*np.moveaxis(flow - clip[index].flow, -1, 0))
        errors.append(np.median(off[trusted & ~clip[index].occluded]))
    assert max(errors) < 1.5, errors


def test_targets_are_the_nearest_pixels() -> None:
    flow = np.zeros((3, 4, 2), np.float32)
    flow[0, 0] = (1.6, 1.4)
    flow[2, 3] = (1, 0)
    flow[1, 1] = (1e30, 0)
    rows, columns, inside = targets(flow)
    assert (rows[0, 0], columns[0, 0]) == (1, 2)
    assert (~inside).sum() == 2
    assert rows.max() <= 2
    assert columns.max() <= 3


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        block_motion(np.zeros((4, 4), np.int32), np.zeros((4, 5), np.int32))
    with pytest.raises(ValueError, match=r"\[H, W, 2\]"):
        targets(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="not finite"):
        targets(np.full((4, 4, 2), np.nan))


def test_blocks_become_pixels() -> None:
    motion = np.arange(12, dtype=np.int32).reshape(2, 3, 2)
    flow = flow_of(motion, (BLOCK + 5, 3 * BLOCK))
    assert (flow[0, 0] == (0, 1)).all()
    assert (flow[BLOCK, 2 * BLOCK] == (10, 11)).all()
