import numpy as np
import paddle
import pytest

from mobileseg.nn.attention import attend, silent_conv_norm

pytestmark = pytest.mark.both


@pytest.mark.parametrize(("heads", "scale"), [(1, 1.0), (3, 1.0), (2, 0.25)])
def test_against_loops_over_heads(heads, scale):
    rng = np.random.default_rng(heads)
    q, k = (rng.normal(size=(2, 6, 2, 5)).astype(np.float32) for _ in range(2))
    v = rng.normal(size=(2, 12, 2, 5)).astype(np.float32)
    found = attend(*(paddle.to_tensor(x) for x in (q, k, v)), heads, scale).numpy()
    assert found.shape == (2, heads, 12 // heads, 10)
    for image in range(2):
        for head, (qs, ks, vs) in enumerate(zip(*(np.split(x[image], heads) for x in (q, k, v)), strict=True)):
            scores = np.exp(scale * qs.reshape(-1, 10).T @ ks.reshape(-1, 10))
            weights = scores / scores.sum(axis=1, keepdims=True)
            np.testing.assert_allclose(found[image, head], vs.reshape(-1, 10) @ weights.T, atol=1e-5)


def test_silent_layers_give_zeros_until_trained():
    layer = silent_conv_norm(4, 6)
    layer.eval()
    assert float(layer(paddle.randn([1, 4, 3, 3])).abs().max()) == 0.0
    layer(paddle.randn([1, 4, 3, 3])).sum().backward()
    assert float(layer.norm_layer.weight.grad.abs().max()) > 0
