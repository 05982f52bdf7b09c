"""What counts as an image: the same pixels whether it comes as path, array or Pillow's image."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.io import read_image
from mobileseg.errors import DataError
from mobileseg.runtime.images import load_image
from mobileseg.runtime.segmenter import Segmenter
from tests.runtime.artefacts import artefact
from tests.runtime.stripes import stripes, truth

pytestmark = pytest.mark.both

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (12, 18, 3), dtype=np.uint8)


def images() -> dict[str, Image.Image]:
    """One of every mode that a PNG can have."""
    colour = Image.fromarray(COLOURS)
    alpha = Image.fromarray(np.dstack([COLOURS, RNG.integers(0, 256, (12, 18), dtype=np.uint8)]))
    deep = Image.fromarray(RNG.integers(0, 65536, (12, 18)).astype(np.uint16))
    return {
        "RGB": colour,
        "RGBA": alpha,
        "L": colour.convert("L"),
        "LA": alpha.convert("LA"),
        "P": colour.quantize(16),
        "1": colour.convert("1"),
        "I;16": deep,
    }


@pytest.mark.parametrize("mode", list(images()))
def test_an_image_of_pillow_is_seen_as_its_file(mode: str, tmp_path: Path) -> None:
    image = images()[mode]
    image.save(tmp_path / "a.png")
    expected = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(load_image(image), expected)
    with Image.open(tmp_path / "a.png") as opened:
        np.testing.assert_array_equal(load_image(opened), expected)
    np.testing.assert_array_equal(load_image(str(tmp_path / "a.png")), expected)
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), expected)


def test_rotation_is_applied_as_in_a_file(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = io.BytesIO()
    Image.fromarray(COLOURS).save(stored, format="PNG", exif=exif)
    (tmp_path / "a.png").write_bytes(stored.getvalue())
    with Image.open(tmp_path / "a.png") as opened:
        turned = load_image(opened)
    assert turned.shape == (18, 12, 3)
    np.testing.assert_array_equal(turned, read_image(tmp_path / "a.png"))


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mode F"):
        load_image(Image.fromarray(np.zeros((2, 2), np.float32)))
    with pytest.raises(DataError, match="NoneType is no image"):
        load_image(None)
    stored = io.BytesIO()
    Image.fromarray(COLOURS).save(stored, format="PNG")
    with pytest.raises(DataError, match="cannot be decoded"), Image.open(io.BytesIO(stored.getvalue()[:200])) as cut:
        load_image(cut)


def test_a_segmenter_takes_an_image_of_pillow(tmp_path: Path) -> None:
    artefact(tmp_path, dynamic=True)
    segmenter = Segmenter(tmp_path)
    image = Image.fromarray(stripes(40, 60))
    np.testing.assert_array_equal(segmenter(image).labels, truth(40, 60))
    assert "decode" in segmenter(image).times
    (batched,) = segmenter.batch([image])
    np.testing.assert_array_equal(batched.labels, truth(40, 60))
