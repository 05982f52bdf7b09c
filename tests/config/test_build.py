"""Networks, datasets and criteria from sections."""

import logging
import sys
from types import ModuleType

import numpy as np
import paddle
import pytest

import mobileseg
from mobileseg.config.build import build_dataset, build_losses, build_network
from mobileseg.config.load import load_config
from mobileseg.data.io import write_png
from mobileseg.errors import ConfigError, DataError, WeightsError
from mobileseg.registry import BACKBONES, DATASETS, NETWORKS
from mobileseg.weights.pdparams import save_pdparams

MODEL = {"type": "MobileSeg", "num_classes": 3, "backbone": {"type": "MobileNetV2_x0_25"}}
CONFIG = """\
model: {type: MobileSeg, num_classes: 3, backbone: {type: MobileNetV2_x0_25}}
loss: {types: [{type: CrossEntropyLoss}], coef: [1, 0.5, 0.25]}
"""


def arrays(layer):
    return {name: tensor.numpy() for name, tensor in layer.state_dict().items()}


def test_network_of_a_section():
    network = build_network(MODEL)
    network.eval()
    assert network(paddle.zeros([1, 3, 64, 64]))["logits"].shape == [1, 3, 64, 64]
    assert mobileseg.build_network is build_network


def test_network_of_a_configuration_and_of_whole_data(write):
    config = load_config(write("a.yml", CONFIG))
    names = set(build_network(config).state_dict())
    assert names == set(build_network(MODEL).state_dict())
    assert names == set(build_network(config.to_dict()).state_dict())


def test_sections_are_left_alone(write):
    section = {**MODEL, "backbone": {"type": "MobileNetV2_x0_25", "pretrained": None}}
    build_network(section)
    assert section == {**MODEL, "backbone": {"type": "MobileNetV2_x0_25", "pretrained": None}}
    config = load_config(write("a.yml", CONFIG))
    before = config.hash
    build_network(config)
    build_losses(config)
    assert config.hash == before


def test_class_count_of_the_caller():
    section = {key: value for key, value in MODEL.items() if key != "num_classes"}
    network = build_network(section, num_classes=5)
    network.eval()
    assert network(paddle.zeros([1, 3, 32, 32]))["logits"].shape[1] == 5
    with pytest.raises(ConfigError, match="is 3, but 5 classes were asked for"):
        build_network(MODEL, num_classes=5)
    with pytest.raises(ConfigError, match="needs the argument 'num_classes'"):
        build_network(section)


def test_backbone_of_the_caller():
    backbone = BACKBONES.get("MobileNetV2_x0_25")()
    assert build_network({**MODEL, "backbone": backbone}).backbone is backbone


def test_pretrained_backbone(write, caplog):
    write("x", "")
    source = BACKBONES.get("MobileNetV2_x0_25")()
    save_pdparams("backbone.pdparams", arrays(source))
    section = {**MODEL, "backbone": {"type": "MobileNetV2_x0_25", "pretrained": "backbone.pdparams"}}
    with caplog.at_level(logging.INFO):
        built = arrays(build_network(section))
    for name, value in arrays(source).items():
        np.testing.assert_array_equal(built[f"backbone.{name}"], value)
    assert "backbone weights: backbone.pdparams" in caplog.text
    fresh = arrays(build_network(section, load_pretrained=False))
    first = next(name for name in fresh if name.startswith("backbone.") and fresh[name].ndim == 4)
    assert not np.array_equal(fresh[first], built[first])


def test_pretrained_network_overrides_the_backbone(write):
    write("x", "")
    whole = build_network(MODEL)
    save_pdparams("net.pdparams", arrays(whole))
    save_pdparams("backbone.pdparams", arrays(BACKBONES.get("MobileNetV2_x0_25")()))
    backbone = {"type": "MobileNetV2_x0_25", "pretrained": "backbone.pdparams"}
    built = arrays(build_network({**MODEL, "pretrained": "net.pdparams", "backbone": backbone}))
    for name, value in arrays(whole).items():
        np.testing.assert_array_equal(built[name], value)


def test_a_backbone_file_fits_or_is_refused(write):
    write("x", "")
    state = arrays(BACKBONES.get("MobileNetV2_x0_25")())
    dropped = sorted(state)[0]
    del state[dropped]
    save_pdparams("part.pdparams", state)
    with pytest.raises(WeightsError, match=dropped):
        build_network({**MODEL, "backbone": {"type": "MobileNetV2_x0_25", "pretrained": "part.pdparams"}})


def test_what_does_not_fit_a_network_is_printed(write, caplog):
    write("x", "")
    state = arrays(build_network(MODEL))
    state["seg_heads.0.conv_out.weight"] = state["seg_heads.0.conv_out.weight"][:1]  # as from other classes
    save_pdparams("other_classes.pdparams", state)
    with caplog.at_level(logging.WARNING):
        build_network({**MODEL, "pretrained": "other_classes.pdparams"})
    assert "seg_heads.0.conv_out.weight" in caplog.text


def test_pretrained_of_another_network(write):
    write("x", "")
    save_pdparams("other.pdparams", {"something": np.zeros(3, np.float32)})
    with pytest.raises(WeightsError):
        build_network({**MODEL, "pretrained": "other.pdparams"})
    with pytest.raises(WeightsError):
        build_network({**MODEL, "pretrained": "missing.pdparams"})


@pytest.mark.parametrize(
    ("section", "part"),
    [
        ({"backbone": {"type": "MobileNetV2_x0_25"}}, "no 'type'"),
        ({**MODEL, "backbone": {}}, "no 'type'"),
        ({**MODEL, "backbone": {"type": "MobileNetV2"}}, "no backbone named"),
        ({**MODEL, "backbone": {"type": "MobileNetV2_x0_25", "width": 2}}, "no argument 'width'"),
        ({**MODEL, "arm_out_chs": [8, 8]}, "arm_out_chs"),
        ({"type": "MobileSeg", "num_classes": 3}, "needs the argument 'backbone'"),
    ],
)
def test_bad_sections(section, part):
    with pytest.raises(ConfigError, match=part):
        build_network(section)


def test_what_a_constructor_refuses_is_an_error_with_a_line(write, refused, monkeypatch):
    NETWORKS.load()
    monkeypatch.setattr(NETWORKS, "_components", dict(NETWORKS._components))

    @NETWORKS.add_component
    def Moody(num_classes: int) -> None:
        raise ValueError("not today")

    config = load_config(write("a.yml", "iters: 5\nmodel: {type: Moody, num_classes: 2}"))
    assert "a.yml:2: model: the network Moody cannot be built: not today" in str(refused(build_network, config))


def test_what_a_component_of_ours_refuses_gets_its_line_too(write, refused):
    config = load_config(write("a.yml", CONFIG), ["model.arm_out_chs=[8, 8]"])
    error = refused(build_network, config)
    assert [(problem.key, problem.origin) for problem in error.problems] == [("model", "a.yml:1")]
    assert "arm_out_chs" in str(error)
    config = load_config(
        write("b.yml", "iters: 5\nloss: {types: [{type: OhemCrossEntropyLoss, thresh: 2.0}], coef: [1]}")
    )
    assert "b.yml:2: loss.types.0: OhemCrossEntropyLoss" in str(refused(build_losses, config))


def test_configuration_without_a_model(write, refused):
    assert "model: this section is missing" in str(refused(build_network, load_config(write("a.yml", ""))))


def test_dataset(write):
    write("data/train.txt", "a.png b.png\n")
    write_png("data/a.png", np.zeros((4, 6, 3), np.uint8))
    write_png("data/b.png", np.ones((4, 6), np.uint8))
    section = {
        "type": "Dataset", "dataset_root": "data", "train_path": "train.txt", "num_classes": 2, "mode": "train",
        "transforms": [{"type": "RandomHorizontalFlip"}, {"type": "Normalize"}],
    }  # fmt: skip
    dataset = build_dataset(section, seed=7)
    assert dataset.seed == 7
    assert dataset[0]["image"].shape == (3, 4, 6)
    assert build_dataset({**section, "seed": 1}, seed=7).seed == 1
    assert section["transforms"][0] == {"type": "RandomHorizontalFlip"}


def test_bad_datasets(write):
    write("data/train.txt", "a.png b.png")
    listed = {"type": "Dataset", "dataset_root": "data", "train_path": "train.txt", "num_classes": 2}
    with pytest.raises(ConfigError, match=r"dataset\.type: there is no dataset named 'Cityscape'"):
        build_dataset({"type": "Cityscape"})
    with pytest.raises(ConfigError, match="no argument 'root'"):
        build_dataset({"type": "Cityscapes", "root": "data", "dataset_root": "data"})
    with pytest.raises(ConfigError, match="no transform named 'Nope'"):
        build_dataset({**listed, "transforms": [{"type": "Nope"}]})
    with pytest.raises(DataError, match="nowhere"):
        build_dataset({"type": "Cityscapes", "dataset_root": "nowhere"})


def test_a_dataset_of_a_plugin_has_the_common_base(monkeypatch: pytest.MonkeyPatch):
    DATASETS.load()
    monkeypatch.setattr(DATASETS, "_components", dict(DATASETS._components))

    @DATASETS.add_component
    class Photographs:
        def __getitem__(self, key):
            return {}

    with pytest.raises(ConfigError, match="the dataset Photographs is a Photographs and no ImageDataset"):
        build_dataset({"type": "Photographs"})


def test_losses_are_weighted_and_in_order(write):
    criterion = build_losses(load_config(write("a.yml", CONFIG)))
    logits = paddle.to_tensor(np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype("float32"))
    label = paddle.to_tensor(np.random.default_rng(1).integers(0, 3, (1, 8, 8)))
    parts = criterion({"logits": logits, "logits_aux1": logits, "logits_aux2": logits}, {"label": label})
    whole = float(paddle.nn.functional.cross_entropy(logits, label, axis=1))
    assert [float(value) for value in parts.values()] == pytest.approx([whole, 0.5 * whole, 0.25 * whole], rel=1e-5)


def test_losses_ignore_what_the_dataset_ignores(write):
    file = write(
        "a.yml",
        """\
        train_dataset: {type: Dataset, dataset_root: x, num_classes: 2, ignore_index: 0}
        loss:
          types:
            - {type: CrossEntropyLoss}
            - {type: MixedLoss, losses: [{type: CrossEntropyLoss}, {type: OhemCrossEntropyLoss}], coef: [0.8, 0.2]}
          coef: [1, 1]
        """,
    )
    plain, mixed = build_losses(load_config(file)).losses
    assert plain.ignore_index == 0
    assert [loss.ignore_index for loss in mixed.losses] == [0, 0]
    assert mixed.coef == [0.8, 0.2]


def test_bad_losses(write, refused):
    config = load_config(write("a.yml", "loss: {types: [{type: CrossEntropyLoss, wieght: 1}], coef: [1]}"))
    assert "a.yml:1: loss.types.0.wieght" in str(refused(build_losses, config))
    assert "loss: this section is missing" in str(refused(build_losses, load_config(write("b.yml", ""))))


def test_components_of_the_paddleseg_package_go_over_the_bridge(monkeypatch):
    asked = []

    def build_paddleseg(kind, name, kwargs, measure):
        asked.append((kind, name, dict(kwargs)))
        return BACKBONES.get("MobileNetV2_x0_25")() if kind == "backbone" else paddle.nn.Conv2D(3, 2, 1)

    bridge = ModuleType("mobileseg.semantic.paddleseg_bridge")
    bridge.build_paddleseg = build_paddleseg
    monkeypatch.setitem(sys.modules, bridge.__name__, bridge)
    section = {"type": "paddleseg.FCN", "num_classes": 2, "backbone": {"type": "paddleseg.HRNet_W18", "padding": 1}}
    assert isinstance(build_network(section), paddle.nn.Conv2D)
    assert asked[0] == ("backbone", "HRNet_W18", {"padding": 1})
    kind, name, arguments = asked[1]
    assert (kind, name, arguments["num_classes"]) == ("network", "FCN", 2)
    assert hasattr(arguments["backbone"], "feature_info")
