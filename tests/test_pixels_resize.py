"""One resize, with the same numbers on every machine."""

import re
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobileseg.pixels import resize

pytestmark = pytest.mark.both

PACKAGE = Path(__file__).parents[1] / "mobileseg"


def bilinear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The formula, with positions in float32 and values in float64: half-pixel centres, edges repeated."""

    def axis(values: np.ndarray, target: int) -> np.ndarray:
        source = len(values)
        position = np.clip(((np.arange(target) + 0.5) * (source / target) - 0.5).astype("f"), 0, source - 1)
        low = np.floor(position).astype(int)
        weight = (position - low).reshape(-1, *[1] * (values.ndim - 1))
        return values[low] * (1 - weight) + values[np.minimum(low + 1, source - 1)] * weight

    return axis(axis(image.astype(np.float64), size[0]).swapaxes(0, 1), size[1]).swapaxes(0, 1)


SIDES = (1, 2, 7, 31, 64, 97, 224, 288, 333, 352, 480)


@pytest.mark.parametrize("side", SIDES)
def test_bilinear_is_the_formula_at_every_pair_of_sizes(side: int) -> None:
    image = np.random.default_rng(side).integers(0, 256, (side, 5, 3)).astype(np.float32)
    for target in (*SIDES, 160, 192, 256, 320, 512, 550):
        for turned, size in ((image, (target, 5)), (image.swapaxes(0, 1), (7, target))):
            difference = np.abs(resize(np.ascontiguousarray(turned), size) - bilinear(turned, size)).max()
            assert difference < 1e-4, (side, target)


def test_the_switch_of_the_thread_that_calls_decides() -> None:
    image = np.random.default_rng(0).random((480, 640), np.float32)
    expected = resize(image, (352, 352))
    answers = []

    def work() -> None:
        cv2.ipp.setUseIPP(True)
        answers.append(resize(image, (352, 352)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert np.array_equal(answers[0], expected)


def test_an_array_of_the_callers_is_filled() -> None:
    out = np.empty((4, 6), np.float32)
    assert resize(np.ones((2, 2), np.float32), (4, 6), out=out) is out
    assert (out == 1).all()


def test_pixels_are_resized_in_one_place() -> None:
    calls = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"cv2\.resize\(", path.read_text(encoding="utf-8"))
    }
    assert calls == {"pixels.py"}
