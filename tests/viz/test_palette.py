import numpy as np
import pytest
from scipy.spatial.distance import pdist

from mobileseg.viz.palette import IGNORED_COLOUR, index_table, palette


def lab(colours: np.ndarray) -> np.ndarray:
    """sRGB to CIE Lab (D65) by its definition."""
    value = colours / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize(("count", "apart"), [(11, 40), (21, 30), (150, 8)])
def test_colours_stay_apart_for_the_eye(count: int, apart: float) -> None:
    """A difference of 2.3 in Lab is just noticeable; patches far apart on a screen need several times that."""
    assert pdist(lab(palette(count))).min() > apart


def test_colours_do_not_depend_on_how_many_follow() -> None:
    np.testing.assert_array_equal(palette(5), palette(256)[:5])
    assert palette(0).shape == (0, 3)
    assert len(np.unique(palette(256), axis=0)) == 256


def test_colours_stay_apart_from_the_white_of_ignored_pixels() -> None:
    distance = np.linalg.norm(lab(palette(150)) - lab(np.array([IGNORED_COLOUR])), axis=1)
    assert distance.min() > 20


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="0 to 256"):
        palette(257)


def test_a_caller_may_change_its_copy() -> None:
    palette(3)[:] = 0
    assert palette(3).any()


def test_index_table_covers_all_values() -> None:
    table = index_table([(1, 2, 3), (4, 5, 6)])
    assert table.shape == (256, 3)
    assert table[:2].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert table[255].tolist() == [255, 255, 255]
    assert not table[2:255].any()
    assert index_table(palette(256))[255].tolist() == palette(256)[255].tolist()
