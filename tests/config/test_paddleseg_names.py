"""Names of PaddleSeg that resolve by themselves, and the table of them against the package."""

import logging
from importlib import metadata

import pytest

from mobileseg.config.components import check_components
from mobileseg.config.load import load_config
from mobileseg.config.paddleseg_names import NAMES
from mobileseg.errors import ConfigError, DependencyError
from mobileseg.registry import BACKBONES, DATASETS, LOSSES, NETWORKS, TRANSFORMS

FILE = """\
model:
  type: PPLiteSeg
  num_classes: 3
  backbone: {type: STDC1}
loss:
  types:
    - {type: MixedLoss, losses: [{type: CrossEntropyLoss}, {type: LovaszHingeLoss}], coef: [1, 0.5]}
    - type: DetailAggregateLoss
  coef: [1, 1]
"""


def test_the_table_is_what_the_package_has_and_the_suite_has_not():
    pytest.importorskip("paddleseg", reason="needs requirements-paddleseg.txt")
    from mobileseg.semantic.paddleseg_package import import_paddleseg

    manager, _ = import_paddleseg()
    unregistered = {"ResNet34_vd", "ResNet152_vd"}
    for kind, registry, theirs in (
        ("network", NETWORKS, manager.MODELS),
        ("backbone", BACKBONES, manager.BACKBONES),
        ("loss", LOSSES, manager.LOSSES),
    ):
        own = {name for name in registry if registry.get(name).__module__.startswith("mobileseg.")}
        extra = unregistered - own if kind == "backbone" else set()
        assert NAMES[kind] == (set(theirs.components_dict) | extra) - own


def test_datasets_and_transforms_of_the_package_are_all_here():
    pytest.importorskip("paddleseg", reason="needs requirements-paddleseg.txt")
    from paddleseg import datasets, transforms  # noqa: F401  # they fill the registries
    from paddleseg.cvlibs import manager

    assert set(manager.DATASETS.components_dict) <= set(DATASETS)
    not_steps = {"Compose", "GenerateInstanceTargets"}  # the latter is a part of MaskFormerLoss here
    assert set(manager.TRANSFORMS.components_dict) - not_steps <= set(TRANSFORMS)


def test_names_are_written_out_and_told_in_one_line(write, caplog):
    with caplog.at_level(logging.INFO, logger="mobileseg"):
        config = load_config(write("a.yml", FILE))
    assert config.model["type"] == "paddleseg.PPLiteSeg"
    assert config.model["backbone"]["type"] == "paddleseg.STDC1"
    mixed, detail = config.loss.types
    assert [part["type"] for part in mixed["losses"]] == ["CrossEntropyLoss", "paddleseg.LovaszHingeLoss"]
    assert detail["type"] == "paddleseg.DetailAggregateLoss"
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == "from the paddleseg package: PPLiteSeg, STDC1, LovaszHingeLoss, DetailAggregateLoss"
    assert config.origin("model.backbone.type") == "a.yml:4"


def test_ours_win_where_both_have_a_name(write):
    config = load_config(write("a.yml", "model: {type: MobileSeg, backbone: {type: ResNet50_vd}}"))
    assert (config.model["type"], config.model["backbone"]["type"]) == ("MobileSeg", "ResNet50_vd")


def test_gscnn_reads_inside_of_the_packages_backbone(write):
    config = load_config(write("a.yml", "model: {type: GSCNN, backbone: {type: ResNet50_vd}}"))
    assert config.model["backbone"]["type"] == "paddleseg.ResNet50_vd"


@pytest.mark.usefixtures("forget_plugins")
def test_a_plugin_wins_over_the_package(write):
    write("mine.py", "from mobileseg.registry import NETWORKS\n\n@NETWORKS.add_component\nclass OCRNet: ...\n")
    config = load_config(write("a.yml", "plugins: [mine.py]\nmodel: {type: OCRNet}"))
    assert config.model["type"] == "OCRNet"


def test_a_changed_type_drops_pretrained_as_in_a_file(write):
    file = write("a.yml", "model: {type: PPLiteSeg, backbone: {type: STDC1, pretrained: one.pdparams}}")
    assert "pretrained" in load_config(file).model["backbone"]
    assert "pretrained" not in load_config(file, ["model.backbone.type=STDC2"]).model["backbone"]
    kept = load_config(file, ["model.backbone.type=STDC2", "model.backbone.pretrained=two.pdparams"])
    assert kept.model["backbone"] == {"type": "paddleseg.STDC2", "pretrained": "two.pdparams"}


def test_arguments_are_checked_before_anything_is_built(write, refused):
    pytest.importorskip("paddleseg", reason="needs requirements-paddleseg.txt")
    text = FILE.replace("num_classes: 3", "num_classes: 3\n  arm_typ: x").replace(
        "DetailAggregateLoss", "DetailAggregateLoss\n      border: 3"
    )
    error = refused(check_components, load_config(write("a.yml", text)))
    found = {problem.key: problem for problem in error.problems}
    assert set(found) == {"model.arm_typ", "loss.types.1.border"}
    assert "did you mean arm_type" in found["model.arm_typ"].remedy


def test_without_the_package_the_command_that_installs_it_is_named(write, monkeypatch):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    config = load_config(write("a.yml", FILE))
    with pytest.raises(DependencyError) as caught:
        check_components(config)
    assert "pip install --no-deps -r requirements-paddleseg.txt" in str(caught.value)


def test_a_network_of_the_next_release_is_not_there(write, refused):
    error = refused(check_components, load_config(write("a.yml", "model: {type: SeaFormerSeg, num_classes: 2}")))
    assert isinstance(error, ConfigError)
    assert "there is no network named 'SeaFormerSeg'" in str(error)
