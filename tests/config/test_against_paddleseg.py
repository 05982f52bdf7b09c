"""Merging compared with the paddleseg package, and PaddleSeg's published files.

The files are not in the package: PADDLESEG_DIR names a checkout of PaddleSeg 2.8.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from mobileseg.config.build import build_losses, build_network
from mobileseg.config.components import check_components
from mobileseg.config.load import load_config
from mobileseg.config.source import read_tree
from mobileseg.config.tree import flatten

CHAINS = {
    "sections": ("a: {x: 1, y: {z: 2}}\nb: [1, 2]", "a: {y: {w: 3}}\nb: [3]"),
    "changed type": ("o: {type: SGD, momentum: 0.9}", "o: {type: AdamW}"),
    "not inherited": ("o: {type: SGD, momentum: 0.9}\np: 1", "o: {_inherited_: False, type: AdamW}"),
    "scalar over mapping": ("a: {x: 1}", "a: 5"),
    "new section": ("a: 1", "b: {c: {d: 1}}"),
}


@pytest.fixture
def published() -> Path:
    folder = Path(os.environ.get("PADDLESEG_DIR", "")) / "configs"
    if not os.environ.get("PADDLESEG_DIR") or not folder.is_dir():
        pytest.skip("needs PaddleSeg's configurations: set PADDLESEG_DIR to a checkout of PaddleSeg 2.8")
    return folder


def theirs(path: Path) -> dict[str, Any]:
    module = pytest.importorskip("paddleseg.cvlibs.config", reason="needs the paddleseg package")
    return module.parse_from_yaml(str(path))


@pytest.mark.parametrize("name", CHAINS)
def test_chains_merge_alike(write, name):
    base, upper = CHAINS[name]
    write("base.yml", base)
    middle = write("middle.yml", "_base_: base.yml\nmore: {k: 1}")
    top = write("top.yml", f"_base_: '{middle}'\n{upper}")
    assert flatten(read_tree(top))[0] == theirs(Path(top))


def test_several_bases_merge_alike(write):
    write("one.yml", "a: {x: 1, y: 1}\nb: 1")
    write("two.yml", "a: {x: 2, z: 2}\nc: 2")
    top = write("top.yml", "_base_: [one.yml, two.yml]\na: {w: 3}")
    assert flatten(read_tree(top))[0] == theirs(Path(top))


@pytest.mark.parametrize("name", ["ghostnet", "litehrnet18", "mobilenetv2", "mobilenetv3", "shufflenetv2"])
def test_published_mobileseg_file_is_usable_and_equals_ours(published, name):
    file = f"mobileseg/mobileseg_{name}_cityscapes_1024x512_80k.yml"
    original = load_config(published / file)
    check_components(original)
    ours = load_config(Path(__file__).parents[2] / "configs" / file)
    first, second = original.to_dict(), ours.to_dict()
    first["export"] = second["export"]  # ours name the size of a later export
    for data in (first, second):
        for section in ("train_dataset", "val_dataset"):
            for step in data[section]["transforms"]:
                if step["type"] == "Normalize":  # ours spell out PaddleSeg's defaults
                    step.setdefault("mean", [0.5, 0.5, 0.5])
                    step.setdefault("std", [0.5, 0.5, 0.5])
        for loss in data["loss"]["types"]:
            loss.setdefault("thresh", 0.7)
    assert first == second
    network = build_network(original, load_pretrained=False)
    assert len(build_losses(original).losses) == 3
    assert any(key.startswith("backbone.") for key in network.state_dict())


def test_published_files_of_all_models_merge_alike(published):
    compared = 0
    for file in sorted(published.rglob("*.yml")):
        assert flatten(read_tree(file))[0] == theirs(file), file
        compared += 1
    assert compared > 190


@pytest.mark.parametrize("overrides", [[], ["iters=2", "batch_size=2"]], ids=["as shipped", "iters below the warm-up"])
def test_all_published_files_load_unchanged_and_name_components_that_exist(published, overrides):
    """192 files of release 2.8; bases (_base_/) are no configurations of their own."""
    pytest.importorskip("paddleseg", reason="needs the paddleseg package")
    files = [file for file in sorted(published.rglob("*.yml")) if "_base_" not in file.parts]
    for file in files:
        check_components(load_config(file, overrides))
    assert len(files) >= 192
