"""Fast clips: exact flow, and that what a style promises does happen."""

from itertools import pairwise

import numpy as np
import pytest

from mobileseg.data.synthetic.clip import ClipFrame
from mobileseg.data.synthetic.moving import STYLES, ClipStyle, draw_moving_clip

CLIPS = 8


def clips(style: str, length: int = 15) -> list[list[list[ClipFrame]]]:
    return [
        draw_moving_clip(np.random.default_rng([3, clip]), 160, 160, "train", length, STYLES[style])
        for clip in range(CLIPS)
    ]


@pytest.fixture(scope="module")
def hard() -> list[list[list[ClipFrame]]]:
    return clips("hard")


def counting(shot: list[ClipFrame]) -> list[int]:
    """Numbers of the objects with a class."""
    return [number for number, thing in enumerate(shot[0].scene.objects, start=1) if thing.category]


def test_motion_of_hard_clips(hard: list) -> None:
    speeds = []
    for clip in hard:
        for shot in clip:
            for frame in shot[:-1]:
                speeds.append(np.hypot(*frame.flow[np.isin(frame.ids, counting(shot))].T))
    assert np.median(np.concatenate(speeds)) * 320 / 160 >= 6


def test_objects_hide_each_other_enter_and_leave(hard: list) -> None:
    occluded, entered, left = 0, 0, 0
    for clip in hard:
        hidden = False
        for shot in clip:
            for number in counting(shot):
                seen = np.array([(frame.ids == number).sum() for frame in shot])
                whole = np.array([frame.scene.only([number - 1]).ids().sum() for frame in shot])
                large = whole > 100
                hidden |= bool((large & (seen < 0.6 * whole)).any() and (large & (seen > 0.9 * whole)).any())
                entered += bool(seen[0] == 0 and seen.any())
                left += bool(seen[-1] == 0 and seen.any())
        occluded += hidden
    assert occluded >= CLIPS / 2
    assert entered > 0
    assert left > 0


def test_the_camera_moves_everything(hard: list) -> None:
    shot = hard[0][0]
    pans = np.array([frame.scene.pan for frame in shot])
    assert np.hypot(*np.diff(pans, axis=0).T).max() > 0.2
    assert np.hypot(*np.diff(pans, axis=0).T).max() <= np.hypot(1, 1) * STYLES["hard"].camera / 2 + 1e-6


def test_flow_is_where_the_point_goes(hard: list) -> None:
    """A point of an object, moved by the flow, has the same coordinates in the object."""
    shot = hard[1][0]
    for now, then in pairwise(shot[:4]):
        for number in counting(shot):
            rows, columns = np.nonzero(now.ids == number)
            if not len(rows):
                continue
            u, v = now.scene.objects[number - 1].pose.to_local(columns.astype(float), rows.astype(float))
            x, y = (columns + now.flow[rows, columns, 0], rows + now.flow[rows, columns, 1])
            after = then.scene.objects[number - 1].pose.to_local(x.astype(float), y.astype(float))
            np.testing.assert_allclose(after, (u, v), atol=1e-3)


def test_cuts_make_shots() -> None:
    style = ClipStyle(speed=(1, 2), cut=1.0)
    shots = draw_moving_clip(np.random.default_rng(0), 64, 64, "val", 9, style)
    assert [len(shot) for shot in shots] in ([3, 6], [4, 5], [5, 4], [6, 3])
    assert all(shot[-1].flow is None and all(frame.flow is not None for frame in shot[:-1]) for shot in shots)
    assert len(draw_moving_clip(np.random.default_rng(0), 64, 64, "val", 3, style)) == 1  # too short to cut


def test_a_clip_of_one_frame() -> None:
    shots = draw_moving_clip(np.random.default_rng(0), 64, 64, "val", 1, STYLES["hard"])
    assert [len(shot) for shot in shots] == [1]
    assert shots[0][0].flow is None
