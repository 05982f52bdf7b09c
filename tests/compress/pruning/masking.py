"""The network that ignores channels: what the one without them must compute."""

import numpy as np

from mobileseg.nn.width import set_arrays


def masked(network, groups, removed):
    """Set the kernels to zero where they read removed channels."""
    state, arrays = network.state_dict(), {}
    for name, layer in groups.layers.items():
        if layer.in_axis is not None and (name, layer.in_axis) in groups.units:
            kernel = state[name].numpy().copy()
            np.moveaxis(kernel, layer.in_axis, 0)[np.isin(groups.units[name, layer.in_axis], sorted(removed))] = 0.0
            arrays[name] = kernel
    set_arrays(network, arrays)
