"""Folding as a recipe: two forms of every network, exported and measured together."""

import pytest

from mobileseg.compress import recipe_fold
from mobileseg.compress.recipe_fold import FoldRecipe
from mobileseg.compress.steps import save_network
from mobileseg.config.build import build_network
from mobileseg.errors import CompressionError

SIZE = ("model.width=16", "export.size.height=32", "export.size.width=32", "compress.measure.engines=[onnxruntime]")


@pytest.fixture
def exported(monkeypatch):
    """Folders that would have been written."""
    calls = []
    monkeypatch.setattr(
        recipe_fold, "export_variant", lambda _network, _config, folder, *_: calls.append(folder) or {"onnx": 9}
    )
    return calls


@pytest.fixture
def measured(monkeypatch):
    calls = []
    monkeypatch.setattr(recipe_fold, "measure_engines", lambda variants, folders, *_: calls.append(folders))
    return calls


def networks(config, folder):
    network = build_network(config)
    network.eval()
    save_network(folder, network, config, None)
    return lambda: build_network(config, load_pretrained=False)


def run_cells(toy_config, tmp_path, measured):
    config = toy_config(*SIZE)
    build = networks(config, tmp_path / "a")
    cells = {"dense": ("--against", build, tmp_path / "a"), "pruned": ("the input", build, tmp_path / "a")}
    rows = FoldRecipe(config, cells, tmp_path / "out", lambda _line: None).run()
    names = ["dense", "dense folded", "pruned", "pruned folded"]
    assert [row.name for row in rows] == names
    assert [list(folders) for folders in measured] == [names]
    assert all(row.sizes["onnx"] > 0 for row in rows)
    assert "1 norms folded, outputs moved by" in rows[1].note
    assert "report.md" in {path.name for path in (tmp_path / "out").iterdir()}
    again = FoldRecipe(config, cells, tmp_path / "out", lambda _line: pytest.fail("done again")).run()
    assert again == rows
    assert len(measured) == 1


def test_four_cells(toy_config, tmp_path, measured, exported):
    run_cells(toy_config, tmp_path, measured)
    assert exported == list(measured[0].values())


@pytest.mark.long
def test_four_cells_exported(toy_config, tmp_path, measured):
    run_cells(toy_config, tmp_path, measured)
    for folder in measured[0].values():
        assert (folder / "deploy.yaml").is_file()
        assert (folder / "model.onnx").is_file()


def test_nothing_to_fold_is_an_error(toy_config, tmp_path, measured, exported):
    from mobileseg.compress.fold import fold_norms

    config = toy_config(*SIZE)
    networks(config, tmp_path / "a")

    def build():
        network = build_network(config, load_pretrained=False)
        fold_norms(network)
        return network

    with pytest.raises(CompressionError, match="there is nothing to fold"):
        FoldRecipe(config, {"network": ("x", build, tmp_path / "a")}, tmp_path / "out", print).run()
    assert not measured


def test_no_engines_is_an_error(toy_config, tmp_path):
    config = toy_config(*SIZE, "compress.measure.engines=[]")
    with pytest.raises(CompressionError, match="names none"):
        FoldRecipe(config, {}, tmp_path / "out", print).run()
    assert not (tmp_path / "out").exists()
