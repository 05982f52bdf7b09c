"""Every folder of the zoo: small, complete, verified, loadable, usable."""

from pathlib import Path

import numpy as np
import pytest

from mobileseg import Segmenter, build_network, load_config
from mobileseg.export.verify import verify
from mobileseg.files import sha256_of
from mobileseg.runtime.manifest import Manifest
from mobileseg.structures import InstanceResult
from mobileseg.weights.load import load_into

ROOT = Path(__file__).parent.parent
FOLDERS = sorted(path.parent for path in (ROOT / "zoo").glob("*/README.md"))


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_there_is_a_zoo() -> None:
    assert FOLDERS


def test_small_and_complete(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert {"README.md", "config.yml", "model.pdparams", "deploy.yaml", "golden.npz"} <= names
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 25e6


def test_card_names_the_configuration(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert sha256_of(folder / "config.yml") in card
    assert card.splitlines()[0].endswith((" mIoU", " mask AP"))
    for word in ("data", "terms"):
        assert f"| {word} |" in card


def test_weights_fit_strictly(folder: Path) -> None:
    network = build_network(load_config(folder / "config.yml"), load_pretrained=False)
    assert load_into(network, folder / "model.pdparams", strict=True).complete


def test_golden_outputs_are_answered(folder: Path) -> None:
    assert any(row.status == "ok" for row in verify(folder))


def test_segments_any_size(folder: Path) -> None:
    segmenter = Segmenter(folder)
    rng = np.random.default_rng(0)
    for size in ((1, 1), (97, 33), (600, 300)):
        result = segmenter(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        if isinstance(result, InstanceResult):
            assert result.masks.size == size
            found = result.classes
        else:
            assert result.labels.shape == size
            found = result.labels
        assert found.max(initial=0) < len(Manifest.read(folder).classes)
