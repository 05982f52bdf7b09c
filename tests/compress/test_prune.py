"""Networks without some of their channels."""

import numpy as np
import pytest

from mobileseg.compress.groups import find_groups
from mobileseg.compress.prune import prune
from mobileseg.compress.score import random_scores
from mobileseg.compress.select import Limits, select_by_macs
from mobileseg.nn.width import set_arrays
from tests.compress.networks import SECTIONS, build, image, outputs

SMALL = Limits(least=2, share=0.1, multiple=1)


def masked(network, groups, removed):
    """Set the kernels to zero where they read removed channels."""
    state, arrays = network.state_dict(), {}
    for name, layer in groups.layers.items():
        if layer.in_axis is not None and (name, layer.in_axis) in groups.units:
            kernel = state[name].numpy().copy()
            np.moveaxis(kernel, layer.in_axis, 0)[np.isin(groups.units[name, layer.in_axis], sorted(removed))] = 0.0
            arrays[name] = kernel
    set_arrays(network, arrays)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_pruned_network_is_the_network_that_ignores_the_channels(name):
    """In evaluation and in training, where auxiliary heads run and norms take the statistics of the batch."""
    network, other = build(name), build(name)
    groups = find_groups(network)
    every = [unit for channels in groups.sets for unit in channels.units]
    removed = select_by_macs(groups, random_scores(every, seed=1), 0.3, SMALL)
    whole = sum(tensor.size for tensor in network.parameters())
    pruned = prune(network, groups, removed, fold=False)
    masked(other, groups, removed)
    assert sum(tensor.size for tensor in network.parameters()) < 0.9 * whole
    assert all(list(network.state_dict()[key].shape) == shape for key, shape in pruned.plan.items())
    for training in (False, True):
        ours, theirs = outputs(network, image(), training), outputs(other, image(), training)
        assert ours.keys() == theirs.keys()
        for key, expected in theirs.items():
            np.testing.assert_allclose(
                ours[key], expected, atol=(1e-2 if training else 1e-3) * max(float(expected.std()), 1e-6), err_msg=key
            )
