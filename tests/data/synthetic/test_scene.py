"""Shapes and patterns as functions of real coordinates."""

from dataclasses import replace

import numpy as np
import pytest

from mobileseg.data.synthetic.scene import (
    CLASSES,
    MIN_VISIBLE,
    OUTLINES,
    Pose,
    SceneObject,
    Texture,
    Waves,
    draw_scene,
)


def thing(outline="ellipse", pose=None, category=1):
    rng = np.random.default_rng(0)
    colours = np.array([[0, 0, 0], [200, 100, 50]], np.float32)
    texture = Texture(category, 8.0, 0.0, colours, Waves.draw(rng, 20, 40))
    lobes = np.stack([np.full(4, 0.08), np.zeros(4)])
    return SceneObject(category, outline, 1.0, lobes, texture, pose or Pose(0, 0, 0, 1))


@pytest.mark.parametrize("outline", OUTLINES)
def test_an_outline_reaches_no_farther_than_its_window(outline):
    height, width = 90, 100
    y, x = np.indices((height, width)).astype(float)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        pose = Pose(rng.uniform(0, width), rng.uniform(0, height), rng.uniform(-3, 3), rng.uniform(4, 40))
        one = thing(outline, pose)
        covered = one.covers(*pose.to_local(x, y))
        window = np.zeros_like(covered)
        window[one.window(height, width)] = True
        assert covered.any()
        assert not (covered & ~window).any()


def test_an_ellipse_has_the_area_of_a_circle():
    y, x = np.indices((200, 200)).astype(float)
    pose = Pose(100, 100, 1.0, 60)
    assert thing("ellipse", pose).covers(*pose.to_local(x, y)).sum() == pytest.approx(np.pi * 60**2, rel=0.01)


@pytest.mark.parametrize("kind", range(1, len(CLASSES)))
def test_a_pattern_repeats_with_its_period(kind):
    rng = np.random.default_rng(1)
    texture = Texture(kind, 7.5, 0.6, np.zeros((2, 3), np.float32), Waves.draw(rng, 20, 40))
    step = 7.5 * {1: 0.8, 2: 3.0, 3: 1.15, 4: 1.9}[kind]
    x, y = rng.uniform(-50, 50, (2, 500))
    values = texture.mix(x, y)
    moved = texture.mix(x + step * np.cos(0.6), y + step * np.sin(0.6))
    np.testing.assert_allclose(moved, values, atol=1e-3)
    assert values.min() == 0.0
    assert values.max() == 1.0
    half = texture.mix(x + step / 2 * np.cos(0.6), y + step / 2 * np.sin(0.6))
    assert np.abs(half - values).mean() > 0.2


@pytest.mark.parametrize("size", [(32, 32), (64, 200), (192, 192)])
def test_scenes_of_any_size_show_every_object_they_keep(size):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        scene = draw_scene(rng, *size, "val")
        ids = scene.ids()
        assert ids.shape == size
        seen = np.bincount(ids.ravel(), minlength=len(scene.objects) + 1)[1:]
        assert (seen >= MIN_VISIBLE).all()
        image = scene.image(ids, rng)
        assert image.dtype == np.uint8
        assert image.shape == (*size, 3)
        assert image.std() > 5


def test_a_later_object_hides_an_earlier_one():
    scene = draw_scene(np.random.default_rng(0), 64, 64, "train")
    back, front = thing("box", Pose(32, 32, 0, 20)), thing("ellipse", Pose(32, 32, 0, 8), category=2)
    scene = replace(scene, objects=(back, front), reference_radius=(20.0, 8.0))
    labels = scene.labels(scene.ids())
    assert labels[32, 32] == 2
    assert labels[32, 44] == 1
    assert labels[2, 2] == 0
    hidden = replace(scene, objects=(front, back), reference_radius=(8.0, 20.0)).without_hidden()
    assert [one.category for one in hidden.objects] == [1]
