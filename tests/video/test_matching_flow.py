from __future__ import annotations

import numpy as np
import paddle
import pytest

from mobileseg.video.matching_flow import MatchingFeatures, MatchingFlow, SeparableRefinement
from mobileseg.video.warp import warp

pytestmark = pytest.mark.both

CHANNELS = 32


@pytest.fixture
def network() -> MatchingFlow:
    paddle.seed(0)
    network = MatchingFlow(CHANNELS, 16)
    network.eval()
    return network


def features(seed: int, height: int = 12, width: int = 16) -> np.ndarray:
    return np.random.RandomState(seed).randn(1, CHANNELS, height, width).astype(np.float32)


def flow_of(network: MatchingFlow, current: np.ndarray, key: np.ndarray) -> np.ndarray:
    with paddle.no_grad():
        return network.match(paddle.to_tensor(current), paddle.to_tensor(key)).numpy()


def test_by_brute_force(network: MatchingFlow) -> None:
    """The mean of all places under the softmax, place by place."""
    current, key = features(0, 5, 4), features(1, 5, 4)
    found = flow_of(network, current, key)
    sharpness, locality = network.sharpness.item(), network.locality.item()
    places = [(2 * x / 3 - 1, 2 * y / 4 - 1, y, x) for y in range(5) for x in range(4)]
    for own_x, own_y, row, column in places:
        likeness = np.array([
            sharpness * float(current[0, :, row, column] @ key[0, :, y, x])
            - locality * ((own_x - at_x) ** 2 + (own_y - at_y) ** 2)
            for at_x, at_y, y, x in places
        ])  # fmt: skip
        weights = np.exp(likeness - likeness.max())
        weights /= weights.sum()
        expected = [
            8 * (sum(weight * place[axis] for weight, place in zip(weights, places, strict=True)) - own)
            for axis, own in ((0, own_x), (1, own_y))
        ]
        np.testing.assert_allclose(found[0, :, row, column], expected, atol=1e-4)


def test_a_still_image_does_not_move_before_training(network: MatchingFlow) -> None:
    image = features(2)
    assert np.abs(flow_of(network, image, image)).mean() < 0.05
    with paddle.no_grad():
        motions = network(paddle.to_tensor(image), paddle.to_tensor(image))
    assert [list(motion.flow.shape) for motion in motions] == [[1, 2, 12, 16], [1, 2, 6, 8]]
    for motion in motions:
        assert float(motion.flow.abs().mean()) < 0.1
        assert motion.scale.shape == motion.bias.shape == [1, 16, *motion.flow.shape[2:]]


@pytest.mark.parametrize(("down", "right"), [(0, 2), (1, 0), (-2, -1)])
def test_a_shift_is_found_and_undone(network: MatchingFlow, down: int, right: int) -> None:
    key = features(3)
    current = np.roll(key, (-down, -right), (2, 3))  # what is at (y, x) was at (y + down, x + right)
    flow = flow_of(network, current, key)[0, :, 3:-3, 3:-3]
    np.testing.assert_allclose(flow[0].mean(), right * 16 / 15, atol=0.1)
    np.testing.assert_allclose(flow[1].mean(), down * 16 / 11, atol=0.1)
    whole = paddle.to_tensor(flow_of(network, current, key))
    moved = warp(paddle.to_tensor(key), whole).numpy()[:, :, 3:-3, 3:-3]
    assert np.abs(moved - current[:, :, 3:-3, 3:-3]).mean() < 0.3 * np.abs(current).mean()


def test_what_flow_training_reaches(network: MatchingFlow) -> None:
    network.train()
    flows = network.flows(paddle.to_tensor(features(4)), paddle.to_tensor(features(5)))
    assert len(flows) == 3
    paddle.add_n([flow.square().mean() for flow in flows]).backward()
    held = {id(one) for head in network.motion_heads() for part in (head.scale, head.bias) for one in part.parameters()}
    for name, parameter in network.named_parameters():
        if not parameter.stop_gradient:
            assert (parameter.grad is None) == (id(parameter) in held), name
    assert not network.pretrained_alone()


@pytest.mark.parametrize(("step", "size"), [(2, [4, 5]), (1, [7, 9])])
def test_features_are_at_the_stride_of_the_finer_map(step: int, size: list[int]) -> None:
    layer = MatchingFeatures(8, 4, step)
    assert layer.channels == 4
    assert layer(paddle.zeros([1, 8, 7, 9])).shape == [1, 4, *size]


def test_a_refinement_begins_with_no_correction_and_learns_to_add_and_to_take_away() -> None:
    paddle.seed(0)
    refinement = SeparableRefinement(16)
    lateral = paddle.to_tensor(np.random.RandomState(3).randn(2, 16, 16, 24).astype(np.float32))
    maps = [
        paddle.to_tensor(np.random.RandomState(4).randn(2, 16, *side).astype(np.float32)) for side in ((8, 12), (4, 6))
    ]
    refined = refinement(lateral, maps)
    for found, level in zip(refined, maps, strict=True):
        assert found.shape == level.shape
        assert float((found - level).abs().mean()) < 0.1 * float(level.abs().mean())
    paddle.add_n([one.sum() for one in refined]).backward()
    assert all(p.grad is not None for p in refinement.parameters() if not p.stop_gradient)
    for sign in (-1.0, 1.0):
        learning = SeparableRefinement(16)
        optimizer = paddle.optimizer.Adam(0.02, parameters=learning.parameters())
        for _ in range(30):
            loss = paddle.add_n(
                [(one - level - sign).square().mean() for one, level in zip(learning(lateral, maps), maps, strict=True)]
            )
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
        assert float(loss) < 0.5


def test_the_coarser_map_is_corrected_by_the_corrected_finer_one() -> None:
    paddle.seed(0)
    refinement = SeparableRefinement(4)
    refinement.eval()
    for conv in refinement.convs:  # corrections that can be seen
        conv[1].pointwise.weight.set_value(paddle.ones_like(conv[1].pointwise.weight))
    maps = [paddle.ones([1, 4, 4, 4]), paddle.ones([1, 4, 2, 2])]
    lateral = paddle.ones([1, 4, 8, 8])
    before = refinement(lateral, maps)
    after = refinement(lateral, [2 * maps[0], maps[1]])
    assert float((after[1] - before[1]).abs().max()) > 0
    assert list(after[1].shape) == [1, 4, 2, 2]
