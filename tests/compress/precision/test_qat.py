import numpy as np
import pytest
from paddle import nn

from mobileseg.compress.fold import fold_norms
from mobileseg.compress.precision.qat import plain_weights, simulate, train_quantised
from mobileseg.config.build import build_dataset, build_network
from mobileseg.errors import WeightsError
from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.trainer import Trainer
from mobileseg.training.weights import load_checkpoint_weights
from mobileseg.weights.load import load_into
from tests.compress.parts import config_of
from tests.compress.precision.small import small


def test_names_come_back_and_skipped_layers_stay():
    network = small()
    fold_norms(network, (32, 48))
    before = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    simulate(network, {"backbone.stem.0", "heads.0.out"})
    kinds = {path: type(layer).__name__ for path, layer in network.named_sublayers()}
    assert list(kinds.values()).count("QuantizedConv2D") == 2
    assert type(dict(network.named_sublayers())["backbone.down.0._layer"]) is nn.Conv2D  # only observed
    found = plain_weights({name: tensor.numpy() for name, tensor in network.state_dict().items()})
    assert found.keys() == before.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(found[name], value)


def test_training_with_simulated_int8_gives_weights_for_the_plain_network(parts_run, tmp_path):
    config = config_of(parts_run, "compress.quantize.qat={iters: 4}", "compress.quantize.components=[stem]")

    def load():
        network = build_network(config, load_pretrained=False)
        load_checkpoint_weights(parts_run, network)
        network.eval()
        return network

    said = []
    dataset = build_dataset(config.to_dict()["val_dataset"])
    network = train_quantised(config, load, tmp_path, dataset, said.append)
    plain = load()
    fold_norms(plain)
    moved = {
        name: np.abs(tensor.numpy() - plain.state_dict()[name].numpy()).max()
        for name, tensor in network.state_dict().items()
    }
    assert moved["stem.conv.weight"] > 0
    assert moved["head.weight"] > 0
    assert said == ["train with simulated int8 in 2 layers, 4 iterations"]
    checkpoint = read_checkpoint(tmp_path / "qat" / "best")
    assert checkpoint.state["config"]["lr_scheduler"]["learning_rate"] == pytest.approx(0.005)  # a tenth
    # An ordinary training neither starts from it nor goes on with it.
    with pytest.raises(WeightsError, match="a quantised network"):
        load_into(build_network(config, load_pretrained=False), checkpoint.weights, strict=False)
    with pytest.raises(WeightsError, match="a quantised network"):
        load_checkpoint_weights(tmp_path / "qat", build_network(config, load_pretrained=False))
    with pytest.raises(WeightsError, match="a quantised network"):
        Trainer(config, tmp_path / "other", do_eval=False).fit(tmp_path / "qat")
    # The same call again finds it finished.
    again = train_quantised(config, load, tmp_path, dataset, said.append)
    np.testing.assert_array_equal(again.head.weight.numpy(), network.head.weight.numpy())
