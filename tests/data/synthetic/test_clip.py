"""Clips: the flow moves one frame into the next, and the annotations follow the objects."""

import itertools
import json

import cv2
import numpy as np
import pytest

from mobileseg.data.synthetic.clip import Motion, draw_clip, exact_flow
from mobileseg.data.synthetic.datasets import generate
from mobileseg.data.synthetic.scene import Pose


@pytest.fixture(scope="module")
def clip():
    return draw_clip(np.random.default_rng(11), 120, 150, "train", 4)


class NoNoise(np.random.Generator):
    """Draws zeros, so that an image is the drawing alone."""

    def standard_normal(self, size=None, dtype=np.float64, out=None):
        return np.zeros(size, dtype)


def test_warping_the_next_frame_back_gives_this_frame(clip):
    images = [frame.scene.image(frame.ids, NoNoise(np.random.PCG64(0))).astype(np.float32) for frame in clip]
    y, x = np.indices(clip[0].ids.shape).astype(np.float32)
    for frame, (now, then) in zip(clip, itertools.pairwise(images), strict=False):
        seen = ~frame.occluded

        def error(dx, dy, now=now, then=then, seen=seen):
            warped = cv2.remap(then, x + dx, y + dy, cv2.INTER_CUBIC)
            return np.abs(warped - now).mean(axis=2)[seen]

        u, v = frame.flow[..., 0], frame.flow[..., 1]
        exact = error(u, v)
        assert np.median(exact) < 2  # grey values of 255; the brightness ramp does not move along
        for wrong in (error(0 * u, 0 * v), error(-u, -v), error(v, u), error(u + 1, v), error(u, v - 1)):
            assert exact.mean() < 0.6 * wrong.mean()


def test_flow_of_an_object_is_its_rigid_motion(clip):
    now, then = clip[0].scene, clip[1].scene
    flow = exact_flow(now, then, clip[0].ids)
    for index, (before, after) in enumerate(zip(now.objects, then.objects, strict=True), start=1):
        points = np.argwhere(clip[0].ids == index)
        if not len(points):
            continue
        turn, zoom = after.pose.angle - before.pose.angle, after.pose.radius / before.pose.radius
        matrix = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        offset = points[:, ::-1] - [before.pose.x, before.pose.y]
        expected = offset @ matrix.T + [after.pose.x, after.pose.y] - points[:, ::-1]
        np.testing.assert_allclose(flow[points[:, 0], points[:, 1]], expected, atol=1e-4)
    background = flow[clip[0].ids == 0]
    np.testing.assert_allclose(background, np.broadcast_to(then.pan, background.shape), atol=1e-6)


def test_visible_points_arrive_on_their_own_object(clip):
    for frame, following in itertools.pairwise(clip):
        rows, columns = np.nonzero(~frame.occluded)
        x = np.rint(columns + frame.flow[rows, columns, 0]).astype(int)
        y = np.rint(rows + frame.flow[rows, columns, 1]).astype(int)
        np.testing.assert_array_equal(following.ids[y, x], frame.ids[rows, columns])
        assert 0 < frame.occluded.mean() < 0.3


def test_motion_turns_about_the_centre():
    pose = Motion(1.0, -2.0, 0.5, 2.0)(Pose(10.0, 20.0, 0.25, 8.0))
    assert pose == Pose(11.0, 18.0, 0.75, 16.0)
    u, v = pose.to_local(np.array([30.0]), np.array([5.0]))
    np.testing.assert_allclose(np.concatenate(pose.to_image(u, v)), [30.0, 5.0])


def test_written_clips_are_what_was_drawn(tmp_path):
    root = tmp_path / "data"
    generate(root, seed=3, train=0, val=0, size=(64, 96), clips=1, val_clips=1, clip_length=3)
    for split, number in (("train", 0), ("val", 1)):
        frames = draw_clip(np.random.default_rng([3, number, 1, 0]), 64, 96, split, 3)
        content = json.loads((root / "annotations" / f"clips_{split}.json").read_text())
        (video,) = content["videos"]
        assert video["file_names"] == [f"000/{index:05d}.png" for index in range(3)]
        folder = root / "clips" / split
        painted = np.zeros((3, 64, 96), np.uint8)
        for one in content["annotations"]:
            assert one["video_id"] == video["id"]
            for index in range(3):
                run, area = one["segmentations"][index], one["areas"][index]
                assert (run is None) == (area is None) == (one["bboxes"][index] is None)
                if run is not None:
                    values = np.arange(len(run["counts"])) % 2
                    mask = np.repeat(values, run["counts"]).reshape(run["size"], order="F").astype(bool)
                    assert mask.sum() == area
                    painted[index][mask] = one["category_id"]
        for index, (name, frame) in enumerate(zip(video["file_names"], frames, strict=True)):
            label = cv2.imread(str(folder / "labels" / name), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(label, frame.scene.labels(frame.ids))
            np.testing.assert_array_equal(label, painted[index])
            assert cv2.imread(str(folder / "frames" / name)).shape == (64, 96, 3)
            flow_file = folder / "flow" / name.replace(".png", ".flo")
            assert flow_file.exists() == (index < 2)
            if frame.flow is not None:
                np.testing.assert_array_equal(cv2.readOpticalFlow(str(flow_file)), frame.flow)
                occluded = cv2.imread(str(folder / "occluded" / name), cv2.IMREAD_UNCHANGED)
                np.testing.assert_array_equal(occluded == 255, frame.occluded)
