from __future__ import annotations

import numpy as np
import pytest

from mobileseg.backbones.base import FeatureSpec, indices_of_strides
from mobileseg.registry import BACKBONES
from tests.model_tester import REFERENCE

pytestmark = pytest.mark.both

INFO = (FeatureSpec(8, 4), FeatureSpec(16, 8), FeatureSpec(24, 8), FeatureSpec(32, 16))


def test_features_by_stride() -> None:
    assert indices_of_strides(INFO, (4, 16)) == [0, 3]
    assert indices_of_strides(INFO, (16, 4)) == [3, 0]
    assert indices_of_strides(INFO, (8,)) == [2], "of several features with one stride the last, the deepest, counts"


def test_missing_strides_are_named() -> None:
    with pytest.raises(ValueError, match=r"strides \[4, 8, 16\], but strides \[2, 32\]"):
        indices_of_strides(INFO, (2, 8, 32))


def test_every_published_backbone_has_a_reference() -> None:
    """A variant added to a family without outputs of the original is found here."""
    known: set[str] = set()
    for file in ("variants", "efficientnet_lite"):
        with np.load(REFERENCE / "golden" / f"{file}.npz") as archive:
            known |= {key.rsplit(":", 1)[0] for key in archive.files}
    torchvision = {f"ResNet{depth}" for depth in (18, 34, 50, 101)}  # not PaddleSeg's
    assert set(BACKBONES) - torchvision <= known
