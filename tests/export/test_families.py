"""The five MobileSeg networks on every engine, at sizes whose coarsest map the bins do not divide."""

import pytest

from mobileseg.export.exporter import export_network
from mobileseg.export.options import TARGETS, ExportOptions
from mobileseg.export.settings import drawn_images
from tests.export.families import FAMILIES, build, subject


def check(family, size, folder):
    network = build(family)
    options = ExportOptions(*size, output_op="none")
    result = export_network(network, folder, options, subject(family, network), drawn_images(size, 4))
    assert [row.target for row in result.rows] == list(TARGETS)
    assert {row.target for row in result.rows if row.status != "ok"} == {"lite_arm"}
    for row in result.rows:
        assert row.max_diff is None or row.max_diff < 1e-3


DEAR = {"litehrnet18"}
"""Families whose export takes three times as long as that of the others."""


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=[pytest.mark.long] if name in DEAR else []) for name in FAMILIES]
)
def test_family_at_an_awkward_size(family, tmp_path):
    """A 3x5 map of stride 32, 4 bins."""
    check(family, (96, 160), tmp_path / family)


@pytest.mark.long
@pytest.mark.parametrize("size", [(256, 256), (256, 320), (360, 480)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("family", FAMILIES)
def test_family(family, size, tmp_path):
    check(family, size, tmp_path / family)
