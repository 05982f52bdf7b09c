import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mobileseg.config.build import build_network
from mobileseg.config.load import load_config
from mobileseg.weights.pdparams import read_pdparams, save_pdparams

ROOT = Path(__file__).parents[2]
CONFIG = "configs/mobileseg/mobileseg_mobilenetv2_synthetic.yml"


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Two weights files of one network, and their numbers."""
    folder = tmp_path_factory.mktemp("networks")
    network = build_network(load_config(str(ROOT / CONFIG)), load_pretrained=False)
    base = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    states = [base, {name: value + 1 for name, value in base.items()}]
    for number, state in enumerate(states):
        save_pdparams(folder / f"{number}.pdparams", state)
    return folder, states


def _run(*arguments):
    call = [sys.executable, "tools/average_weights.py", CONFIG, *map(str, arguments)]
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def test_mean_of_every_number(networks, tmp_path):
    folder, states = networks
    target = tmp_path / "new" / "model.pdparams"
    done = _run(folder / "0.pdparams", folder / "1.pdparams", folder / "1.pdparams", "--output", target)
    assert done.returncode == 0, done.stderr
    with target.open("rb") as stream:
        found = read_pdparams(stream, str(target))
    assert found.keys() == states[0].keys()
    for name, value in states[0].items():
        np.testing.assert_allclose(found[name], value + 2 / 3, rtol=1e-6, atol=1e-6)
    again = _run(folder / "0.pdparams", "--output", target)
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_file_that_is_not_there(tmp_path):
    done = _run(tmp_path / "none.pdparams", "--output", tmp_path / "model.pdparams")
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "model.pdparams").exists()
