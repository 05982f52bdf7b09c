"""What networks of PaddleSeg do with sizes, done with numbers."""

import paddle
import paddle.nn.functional as F
import pytest

from mobileseg.semantic.known_sizes import KnownSize, known_sizes

pytestmark = pytest.mark.both


def test_sizes_are_numbers_and_where_they_are_used_as_one_a_tensor():
    """DecoupledSegNet: ``size[::-1].reshape(...)``; GINet: ``(size[2] * size[3]).astype('float32')``."""
    with known_sizes():
        size = paddle.shape(paddle.zeros([2, 3, 4, 6]))[2:]
    assert size == [4, 6]
    assert isinstance(size[0], int)
    assert size[::-1].reshape([1, 1, 1, -1]).numpy().tolist() == [[[[6, 4]]]]
    assert float((size[0] * size[1]).astype("float32")) == 24
    with pytest.raises(AttributeError):
        _ = size.no_such_method


def test_windows_and_their_padding_are_numbers():
    """ISANet and HRFormer."""
    with known_sizes():
        size = paddle.shape(paddle.zeros([1, 3, 17, 16]))
        rows = paddle.ceil(size[2] / 8).astype("int32")
        padding = (rows * 8 - size[2]).astype("int32")
        other = paddle.cast(paddle.ceil(size[3] / 8) * 8 - size[3], paddle.int32)
        tensor = paddle.ceil(paddle.to_tensor([1.5]))
        casted = paddle.cast(tensor, "int32")
    assert (rows, padding, other, padding // 2, padding + 1) == (3, 7, 0, 3, 8)
    assert all(type(one) is KnownSize for one in (rows, padding, other, padding // 2, padding + 1))
    assert casted.numpy().tolist() == [2]


@pytest.mark.parametrize(("factor", "sides"), [(2, [10, 14]), (0.5, [2, 3]), (1.2, [6, 8])])
def test_a_factor_is_the_size_that_it_gives(factor, sides):
    """MscaleOCRNet; a factor that gives no whole size is left to Paddle."""
    image = paddle.rand([1, 2, 5, 7])
    with known_sizes():
        found = F.interpolate(image, scale_factor=factor, mode="bilinear")
    expected = F.interpolate(image, scale_factor=factor, mode="bilinear")
    assert found.shape[2:] == sides
    assert float((found - expected).abs().max()) < 1e-6


def test_paddle_is_as_before_afterwards():
    before = paddle.shape, paddle.ceil, paddle.cast, F.interpolate
    with pytest.raises(ZeroDivisionError), known_sizes():
        _ = 1 / 0
    assert (paddle.shape, paddle.ceil, paddle.cast, F.interpolate) == before
