"""Networks of several graphs without some of their channels."""

import numpy as np
import paddle
import pytest

from mobileseg.backbones.topformer import TopTransformer_Tiny
from mobileseg.compress.channels.groups import find_groups
from mobileseg.compress.pruning.score import random_scores
from mobileseg.compress.pruning.select import Limits, select_by_macs
from mobileseg.compress.pruning.surgery import prune
from mobileseg.nn.graphs import deployment
from mobileseg.video.mobileinst.model import MobileInst
from tests.compress.pruning.masking import masked
from tests.export.detectors import detector
from tests.model_tester import fill

SIZE = (64, 96)
LIMITS = Limits(least=2, share=0.1, multiple=1)


def stream(network):
    """Tensors of a key frame and of the frame behind it."""
    deployed, rng, kept, made = deployment(network, SIZE), np.random.default_rng(0), {}, []
    with paddle.no_grad():
        for pipeline in ("key", "nonkey"):
            image = paddle.to_tensor(rng.normal(size=(1, 3, *SIZE)).astype(np.float32))
            found = {}
            for run in deployed.run(pipeline, {"x": image, **kept}):
                found |= run.outputs
            kept |= deployed.kept(pipeline, found)
            made.append({name: tensor.numpy() for name, tensor in found.items()})
    return made


def video():
    return detector(network="MobileYolactEdge", size=SIZE)


def queries():
    return fill(MobileInst(5, TopTransformer_Tiny(), 32, 16, num_queries=12, heads=4, hidden=48, token_stride=32))


def pruned(build):
    """The network without a fifth of its multiply-adds, the one that ignores the same channels, and the plan."""
    network, other = build(), build()
    groups = find_groups(network)
    every = [unit for channels in groups.sets for unit in channels.units]
    removed = select_by_macs(groups, random_scores(every, seed=1), 0.2, LIMITS)
    plan = prune(network, groups, removed, fold=False).plan
    masked(other, groups, removed)
    network.eval()
    other.eval()
    return network, other, plan


@pytest.mark.parametrize("build", [video, queries])
def test_key_and_other_frames_are_those_of_the_network_that_ignores_the_channels(build):
    network, other, plan = pruned(build)
    assert plan
    for ours, theirs in zip(stream(network), stream(other), strict=True):
        assert ours.keys() == theirs.keys()
        for name, expected in theirs.items():
            scale = max(float(expected.std()), 1e-6)
            np.testing.assert_allclose(ours[name], expected, atol=1e-3 * scale, err_msg=name)


def test_tensors_between_graphs_keep_their_channels_and_layers_of_the_flow_lose_some():
    network, _, plan = pruned(video)
    assert network.graphs(SIZE) is not None
    before, after = (stream(one)[0] for one in (video(), network))
    assert {name: value.shape for name, value in before.items()} == {name: value.shape for name, value in after.items()}
    assert any(name.startswith("flow_net.") for name in plan)


def test_attention_is_left_alone():
    network, _, plan = pruned(queries)
    assert not any("query_content" in name for name in plan)
    heads = network.instance_decoder
    assert heads.query_content.shape == [1, 12, 32]
