"""Which channels are removed, and by which scores."""

import numpy as np
import pytest

from mobileseg.compress.channels.groups import find_groups
from mobileseg.compress.pruning.score import norm_scores, random_scores
from mobileseg.compress.pruning.select import Limits, random_like, select_by_macs, select_by_share
from mobileseg.compress.pruning.surgery import prune
from mobileseg.errors import CompressionError
from mobileseg.nn import cost
from tests.compress.networks import build


@pytest.fixture(scope="module")
def network():
    return build("MobileNetV2_x0_5")


@pytest.fixture(scope="module")
def groups(network):
    return find_groups(network)


@pytest.fixture
def scores(network, groups):
    return norm_scores(network, groups)


def gamma(network, name):
    return np.abs(network.state_dict()[f"{name}._batch_norm.weight"].numpy())


def test_pairs_take_the_smaller_factor_and_sums_the_largest(network, groups, scores):
    unit = "backbone.conv4.conv4_2"
    hidden = np.minimum(gamma(network, f"{unit}._expand_conv"), gamma(network, f"{unit}._bottleneck_conv"))
    labels = groups.units[f"{unit}._expand_conv._conv.weight", 0]
    np.testing.assert_array_equal([scores[label] for label in labels], hidden)
    writers = ("_first_block", "conv4_2", "conv4_3")
    stage = np.max([gamma(network, f"backbone.conv4.{name}._linear_conv") for name in writers], axis=0)
    labels = groups.units[f"{unit}._linear_conv._conv.weight", 0]
    np.testing.assert_array_equal([scores[label] for label in labels], stage)


def test_what_has_no_norm_has_no_score(network, groups, scores):
    assert scores.keys() == set(groups.entries)
    yolact = build("Yolact")
    found = find_groups(yolact)
    judged = norm_scores(yolact, found)
    assert judged.keys() == set(found.units["backbone.bn1.weight", 0].tolist()) | {
        int(unit)
        for (name, axis), units in found.units.items()
        for unit in units
        if axis == 0 and name.startswith("backbone.layer") and ".bn" in name
    }
    assert not judged.keys() & set(found.units["fpn.lat_layers.0.weight", 0].tolist())


def test_the_lowest_go(groups, scores):
    loose = Limits(least=1, share=0.0, multiple=1)
    removed = select_by_share(groups, scores, 0.3, loose)
    kept = scores.keys() - removed
    small = {unit for channels in groups.sets for unit in channels.units if kept & set(channels.units) == {unit}}
    assert max(scores[unit] for unit in removed) <= min(scores[unit] for unit in kept - small)
    assert len(removed) == pytest.approx(0.3 * len(scores), abs=len(groups.sets))


def test_limits(groups, scores):
    removed = select_by_share(groups, scores, 0.6)
    for channels in groups.sets:
        size = len(channels.units)
        remaining = size - len(removed.intersection(channels.units))
        assert remaining >= min(size, 8)
        assert remaining >= 0.1 * size
        assert remaining % 8 == 0 or remaining == size


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_share_of_the_multiply_adds(groups, scores, share):
    removed = select_by_macs(groups, scores, share)
    left = groups.macs(removed) / groups.macs()
    assert 1 - share - 0.02 < left <= 1 - share
    other = random_like(groups, removed, seed=3)
    assert groups.macs(other) == groups.macs(removed)
    assert other != removed
    assert select_by_macs(groups, random_scores(scores, 1), share) == select_by_macs(
        groups, random_scores(scores, 1), share
    )


def test_impossible_requests(groups, scores):
    with pytest.raises(CompressionError, match=r"at most .* of the multiply-adds can be removed, 99\.0%"):
        select_by_macs(groups, scores, 0.99)
    with pytest.raises(CompressionError, match=r"between 0 and 1, got 1\.5"):
        select_by_share(groups, scores, 1.5)
    with pytest.raises(CompressionError, match="none is scaled by a batch norm"):
        select_by_macs(groups, {}, 0.3)


@pytest.mark.parametrize("size", [(64, 96), (96, 160)])
def test_multiply_adds_are_those_of_the_size(size):
    """Pooled maps do not grow with the image, so the share of a layer depends on the size."""
    network = build("MobileNetV2_x0_5")
    groups = find_groups(network, size)
    network.eval()
    assert groups.macs() == pytest.approx(cost.total(cost.measure(network, *size)).macs, rel=1e-3)
    removed = select_by_macs(groups, norm_scores(network, groups), 0.4)
    prune(network, groups, removed, fold=False)
    left = cost.total(cost.measure(network, *size)).macs
    assert left == pytest.approx(groups.macs(removed), rel=1e-3)
    assert left <= 0.6 * groups.macs()
