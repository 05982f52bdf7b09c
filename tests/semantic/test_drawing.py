import numpy as np
import pytest

from mobileseg.semantic.drawing import class_shares, colour_map, legend, overlay, with_legend

PALETTE = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)


def halves() -> tuple[np.ndarray, np.ndarray]:
    image = np.full((8, 10, 3), 100, np.uint8)
    labels = np.zeros((8, 10), np.uint8)
    labels[:, 5:] = 1
    return image, labels


def test_colour_map_is_the_palette_by_label() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (7, 9), dtype=np.uint8)
    np.testing.assert_array_equal(colour_map(labels, PALETTE), PALETTE[labels])
    labels[0, 0] = 255
    assert colour_map(labels, PALETTE)[0, 0].tolist() == [255, 255, 255]


def test_overlay_mixes_by_opacity_and_outlines_in_full_colour() -> None:
    image, labels = halves()
    drawn = overlay(image, labels, PALETTE, opacity=0.5)
    assert drawn[0, 0].tolist() == [150, 50, 50]
    assert drawn[3, 7].tolist() == [50, 150, 50]
    assert drawn[3, 4].tolist() == [200, 0, 0]  # last column of class 0
    assert overlay(image, labels, PALETTE, opacity=0.5, outlines=False)[3, 4].tolist() == [150, 50, 50]
    assert (image == 100).all()


def test_ignored_pixels_show_the_image_alone() -> None:
    image, labels = halves()
    labels[2:4, 2:4] = 255
    drawn = overlay(image, labels, PALETTE, opacity=0.5)
    assert (drawn[2:4, 2:4] == 100).all()
    assert drawn[0, 0].tolist() == [150, 50, 50]


def test_class_255_is_a_class_when_there_are_256() -> None:
    image, labels = halves()
    labels[:] = 255
    palette = np.tile(np.uint8([[10, 20, 30]]), (256, 1))
    assert overlay(image, labels, palette, opacity=1.0)[0, 0].tolist() == [10, 20, 30]


def test_sizes_that_differ_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"image is \[8, 10\] and the labels are \[4, 4\]"):
        overlay(halves()[0], np.zeros((4, 4), np.uint8), PALETTE)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_tiny_images_are_drawn(shape: tuple[int, int]) -> None:
    assert overlay(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8), PALETTE).shape == (*shape, 3)


@pytest.mark.parametrize("width", [40, 320, 1920])
def test_legend_is_as_wide_as_the_image_and_shows_every_colour(width: int) -> None:
    strip = legend(width, ("road", "a very long class name that fits nowhere", "Bäume"), PALETTE)
    assert strip.shape[1:] == (width, 3)
    for colour in PALETTE:
        assert (strip == colour).all(axis=2).any()
    picture = np.zeros((30, width, 3), np.uint8)
    assert with_legend(picture, strip).shape == (30 + len(strip), width, 3)


def test_legend_with_shares_leaves_absent_classes_out() -> None:
    strip = legend(300, ("a", "b", "c"), PALETTE, shares=(0.5, 0.0, 0.5))
    assert not (strip == PALETTE[1]).all(axis=2).any()
    assert (strip == PALETTE[2]).all(axis=2).any()


def test_legend_without_entries_is_a_blank_strip() -> None:
    assert legend(100, (), np.zeros((0, 3), np.uint8)).shape[1] == 100


def test_shares_count_ignored_pixels_in_the_whole() -> None:
    labels = np.array([[0, 0, 1, 255]], np.uint8)
    np.testing.assert_allclose(class_shares(labels, 3), [0.5, 0.25, 0])
