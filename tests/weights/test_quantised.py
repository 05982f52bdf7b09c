import numpy as np
import pytest

from mobileseg.errors import WeightsError
from mobileseg.weights.load import load_into
from mobileseg.weights.quantised import is_quantised, refuse_exported, refuse_quantised
from mobileseg.weights.read import read_weights

pytestmark = pytest.mark.both

QUANTISED = ["conv._layer._fake_quant_input._scale", "conv._layer.weight"]


def test_names_of_simulated_int8_are_known():
    assert is_quantised(QUANTISED)
    assert not is_quantised(["conv.weight", "fake_quant.bias"])
    refuse_quantised(QUANTISED, QUANTISED, "a run that goes on")
    refuse_quantised(["conv.weight"], QUANTISED, "weights for it")
    with pytest.raises(WeightsError, match="a quantised network") as caught:
        refuse_quantised(QUANTISED, ["conv.weight"], "run/best")
    assert "quantise the result again" in str(caught.value)


def test_a_network_does_not_take_quantised_weights():
    class Network:
        def state_dict(self):
            return {"conv.weight": np.zeros((1, 1, 1, 1), np.float32)}

    with pytest.raises(WeightsError, match="a quantised network"):
        load_into(Network(), {name: np.zeros(1, np.float32) for name in QUANTISED}, strict=False)


@pytest.mark.parametrize("name", ["", "model.pdiparams", "model.onnx", "model.arm.nb"])
def test_an_int8_folder_is_not_weights(tmp_path, name):
    (tmp_path / "deploy.yaml").write_text("mobileseg:\n  graphs:\n    main:\n      onnx:\n        precision: int8\n")
    for file in ("model.pdiparams", "model.onnx", "model.arm.nb"):
        (tmp_path / file).write_bytes(b"graph")
    with pytest.raises(WeightsError, match=r"is exported and quantised \(int8\): graphs"):
        read_weights(tmp_path / name)


def test_a_float_folder_is_not_called_quantised_and_a_zoo_folder_is_weights(tmp_path):
    (tmp_path / "deploy.yaml").write_text("mobileseg:\n")
    with pytest.raises(WeightsError, match="is exported: graphs"):
        refuse_exported(tmp_path)
    (tmp_path / "model.pdparams").write_bytes(b"weights")
    refuse_exported(tmp_path)
    refuse_exported(tmp_path / "absent")
