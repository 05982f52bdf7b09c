"""Networks without some of their channels."""

import numpy as np
import paddle
import pytest
from paddle import nn

from mobileseg.compress.channels.groups import find_groups
from mobileseg.compress.channels.norms import find_norms
from mobileseg.compress.pruning.score import norm_scores, random_scores
from mobileseg.compress.pruning.select import Limits, select_by_macs
from mobileseg.compress.pruning.surgery import prune
from mobileseg.errors import CompressionError
from mobileseg.nn.width import set_arrays
from tests.compress.networks import SECTIONS, build, image, outputs
from tests.compress.pruning.masking import masked

SLOW = ("Lite_HRNet_18", "GhostNet_x0_5", "MobileNetV3_large_x0_5", "EfficientNetLite0", "TopFormer", "PPMobileSeg")
SIZES = {"TopFormer": (256, 256)}
"""Where 64x96 leaves two tokens, of which a norm in training makes 1 and -1 whatever they are."""
SMALL = Limits(least=2, share=0.1, multiple=1)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in SECTIONS]
)
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
        x = image(*SIZES.get(name, (64, 96)))
        ours, theirs = outputs(network, x, training), outputs(other, x, training)
        assert ours.keys() == theirs.keys()
        for key, expected in theirs.items():
            np.testing.assert_allclose(
                ours[key], expected, atol=(1e-2 if training else 1e-3) * max(float(expected.std()), 1e-6), err_msg=key
            )


def silenced(network, groups, removed):
    """Scale the removed channels by zero, as a long sparsity training does."""
    state = network.state_dict()
    arrays = {}
    for norm in find_norms(groups.graph):
        gone = np.isin(groups.units[norm.scale, 0], sorted(removed))
        arrays[norm.scale] = np.where(gone, 0.0, state[norm.scale].numpy())
    set_arrays(network, arrays)


@pytest.mark.parametrize("name", ["MobileNetV2_x0_5", "MobileNetV3_large_x0_5", "Yolact"])
def test_constants_of_silent_channels_are_folded(name):
    """Channels scaled by zero are constants; with the fold nothing is lost but at the border."""
    network, plain, expected = build(name), build(name), build(name)
    groups = find_groups(network)
    removed = select_by_macs(groups, norm_scores(network, groups), 0.3)
    for each in (network, plain, expected):
        silenced(each, groups, removed)
    done = prune(network, groups, removed)
    assert done.folded
    assert not done.not_folded
    prune(plain, groups, removed, fold=False)
    x = image(256, 256)
    whole, folded, bare = (outputs(each, x) for each in (expected, network, plain))
    key = "proto" if name == "Yolact" else "logits"
    inner = (..., slice(16, -16), slice(16, -16)) if name == "Yolact" else (..., slice(96, -96), slice(96, -96))
    left = np.abs(folded[key] - whole[key])[inner].mean() / whole[key].std()
    lost = np.abs(bare[key] - whole[key])[inner].mean() / whole[key].std()
    assert left < 0.1 * lost


def test_means_of_images_are_folded_where_channels_are_not_constant():
    network, other, expected = (build("MobileNetV2_x0_5") for _ in range(3))
    groups = find_groups(network)
    removed = select_by_macs(groups, norm_scores(network, groups), 0.2)
    images = [image(128, 128, seed) for seed in range(3)]
    prune(network, groups, removed, images=images)
    prune(other, groups, removed, fold=False)
    whole, folded, bare = (outputs(each, image(128, 128, 9))["logits"] for each in (expected, network, other))
    assert np.abs(folded - whole).mean() < np.abs(bare - whole).mean()


def test_a_network_that_computes_its_widths_is_refused():
    class Fixed(nn.Layer):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2D(3, 8, 1), nn.Conv2D(4, 2, 1)

        def forward(self, x):
            return self.b(paddle.split(self.a(x), [4, 4], axis=1)[0])

    network = Fixed()
    groups = find_groups(network)
    with pytest.raises(CompressionError, match="does not run"):
        prune(network, groups, groups.units["a.weight", 0][:1].tolist())


def test_groups_of_another_network():
    groups = find_groups(build("MobileNetV2_x0_5"))
    with pytest.raises(CompressionError, match="not the one that the groups were found in"):
        prune(build("ShuffleNetV2_x0_5"), groups, [])
