"""Filter scores by PaddleSlim's criteria, against NumPy and SciPy."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from mobileseg.compress.channels.groups import find_groups
from mobileseg.compress.pruning.score import filter_scores
from tests.compress.networks import build


@pytest.fixture(scope="module")
def case():
    network = build("MobileNetV2_x0_5")
    return network, find_groups(network)


@pytest.mark.parametrize("method", ["l1", "fpgm"])
def test_against_numpy(case, method):
    network, groups = case
    scores = filter_scores(network, groups, method)
    state = network.state_dict()
    expected = {}
    for name, layer in groups.layers.items():
        if layer.in_axis is None or (name, layer.out_axis) not in groups.units:
            continue
        flat = np.moveaxis(state[name].numpy().astype(np.float64), layer.out_axis, 0)
        flat = flat.reshape(len(flat), -1)
        values = np.abs(flat).sum(axis=1) if method == "l1" else cdist(flat, flat).sum(axis=1)
        values = values / values.mean()
        for unit, value in zip(groups.units[name, layer.out_axis].tolist(), values, strict=True):
            if unit in groups.entries:
                expected[unit] = max(value, expected.get(unit, 0.0))
    assert scores.keys() == expected.keys()
    np.testing.assert_allclose([scores[u] for u in expected], list(expected.values()), rtol=1e-4)
    assert len(set(scores.values())) > 100


def test_every_removable_channel_is_judged(case):
    network, groups = case
    assert filter_scores(network, groups, "l1").keys() == groups.entries.keys()
