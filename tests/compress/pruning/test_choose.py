"""From settings to channels."""

import numpy as np
import pytest

from mobileseg.compress.channels.groups import find_groups
from mobileseg.compress.pruning.choose import allowed, choose, draw_scales, producers, scores_without_data, widths
from mobileseg.compress.pruning.score import norm_scores
from mobileseg.config.schema_compress import Prune
from mobileseg.errors import CompressionError
from tests.compress.networks import build


@pytest.fixture(scope="module")
def case():
    network = build("Yolact")
    return network, find_groups(network)


def prune(**settings):
    return Prune.model_validate(settings)


def test_only_the_named_layers_lose_channels(case):
    network, groups = case
    patterns = ["backbone.layer?.*.conv1", "backbone.layer?.*.conv2"]
    removed = choose(network, groups, prune(channels=0.3, only=patterns, limits={"multiple": 1}))
    narrowed = widths(groups, removed)
    assert narrowed
    assert all(name.startswith("backbone.layer") and name[-5:] in ("conv1", "conv2") for name in narrowed)
    assert sum(before - after for before, after in narrowed.values()) == len(removed)
    judged = sum(len(channels.units) for channels in groups.sets if _inside(producers(groups, channels)))
    assert len(removed) == pytest.approx(0.3 * judged, abs=1)


def _inside(names):
    return any(name.startswith("backbone.layer") and name[-5:] in ("conv1", "conv2") for name in names)


def test_requests_that_cannot_be_met(case):
    network, groups = case
    with pytest.raises(CompressionError, match="must say how much"):
        choose(network, groups, prune())
    with pytest.raises(CompressionError, match="must say how much"):
        choose(network, groups, prune(macs=0.3, channels=0.3))
    with pytest.raises(CompressionError, match=r"no layer whose outputs can be removed matches 'neck\.\*'"):
        choose(network, groups, prune(macs=0.3, only=["neck.*"]))
    with pytest.raises(CompressionError, match=r"channels can be removed, 97\.0% were asked for: layers would be left"):
        choose(network, groups, prune(channels=0.97))
    with pytest.raises(CompressionError, match="the network would stay as it is"):
        choose(network, groups, prune(channels=0.001, limits={"multiple": 64}))
    with pytest.raises(CompressionError, match="need training images"):
        choose(network, groups, prune(macs=0.3, method="taylor"))


def test_a_network_without_norms_cannot_be_judged_by_them(toy_config):
    from mobileseg.compress.fold import fold_norms
    from mobileseg.config.build import build_network

    network = build_network(toy_config("model.width=16"))
    fold_norms(network)
    groups = find_groups(network)
    with pytest.raises(CompressionError, match="none is scaled by a batch norm"):
        choose(network, groups, prune(macs=0.3))
    assert choose(network, groups, prune(macs=0.3, method="l1"))


def test_relative_scales_have_the_mean_1_in_every_layer(case):
    network, groups = case
    scores = scores_without_data(network, groups, prune(relative=True))
    plain = norm_scores(network, groups)
    assert scores.keys() == plain.keys()
    for channels in groups.sets:
        own = [unit for unit in channels.units if unit in scores]
        if own:
            assert np.mean([scores[unit] for unit in own]) == pytest.approx(1)
            assert np.argsort([scores[u] for u in own]).tolist() == np.argsort([plain[u] for u in own]).tolist()


def test_random_scales(case):
    network = build("MobileNetV2_x0_5")
    groups = find_groups(network)
    draw_scales(network, groups, 4)
    first = norm_scores(network, groups)
    assert 0.3 < np.mean(list(first.values())) < 0.7
    draw_scales(network, groups, 4)
    assert norm_scores(network, groups) == first


def test_without_patterns_everything_is_allowed(case):
    scores = {1: 0.5}
    assert allowed(case[1], scores, None) is scores
