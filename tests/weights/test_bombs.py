"""Small files that would take all memory or for ever: refused at once."""

import io
import pickle
import time
import zipfile

import numpy as np
import pytest

from mobileseg.errors import WeightsError
from mobileseg.weights import safe_pickle
from mobileseg.weights.load import load_into
from mobileseg.weights.read import read_weights

pytestmark = pytest.mark.both


def load(data):
    start = time.process_time()
    try:
        return safe_pickle.read_pickle(io.BytesIO(data), "file")
    finally:
        assert time.process_time() - start < 5.0


def doubled(levels):
    """Opcodes of a tuple that holds itself twice, over and over: 2 ** levels empty tuples in a few bytes."""
    return b")" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(levels))


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"}" + doubled(60) + b"Ns", "as a key, which is hashed"),
        (b"cnumpy\ndtype\n" + doubled(60) + b"\x85R", "as a type, which is shown"),
        (b"c_codecs\nencode\nX\x01\x00\x00\x00a" + doubled(60) + b"\x86R", "as an encoding, which is shown"),
        (doubled(60), "as the whole file"),
        (b"}" + b")" + b"\x85" * 200_000 + b"Ns", "so deep that hashing it overflows the stack"),
        (b"]" * 1 + b"(" + b"](" * 100_000 + b"e" * 100_001, "lists in lists"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nested_pickles_are_refused(body, what):
    with pytest.raises(WeightsError, match=r"refused|truncated"):
        load(b"\x80\x02" + body + b".")


def test_what_weights_do_hold_is_read_whatever_its_size():
    shared = np.zeros(3, np.float32)
    state = {f"layer{i}.weight": ("name", shared) for i in range(5000)} | {"table": {str(i): i for i in range(5000)}}
    assert len(load(pickle.dumps(state, protocol=4))) == 5001


def torch_zip(tensor):
    """A file of PyTorch's layout with one tensor of given pickle opcodes for offset, size and stride."""
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ"
    body = b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n(" + storage + tensor + b"\x89}tRs."
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as bundle:
        bundle.writestr("x/data.pkl", body)
        bundle.writestr("x/data/0", np.float32(1).tobytes())
    return stream.getvalue()


def test_a_number_that_strides_of_zero_make_gigabytes_of(tmp_path):
    path = tmp_path / "expanded.pth"
    path.write_bytes(torch_zip(b"K\x00J\x00\x00\x00\x38\x85K\x00\x85"))  # 939 million times the same number
    assert path.stat().st_size < 600
    with pytest.raises(WeightsError, match="larger than what it holds would explain"):
        read_weights(path)


@pytest.mark.parametrize(
    ("size", "stride"),
    [(b"K\x01\x85", b"\x8a\x08" + (2**61).to_bytes(8, "little") + b"\x85"), (b"K\x01\x85", b"K\x00\x85")],
)
def test_the_stride_of_an_axis_of_length_1_does_not_matter(tmp_path, size, stride):
    path = tmp_path / "one.pth"
    path.write_bytes(torch_zip(b"K\x00" + size + stride))
    np.testing.assert_array_equal(read_weights(path)["a"], [1.0])


def test_an_empty_tensor_of_an_enormous_side(tmp_path):
    path = tmp_path / "empty.pth"
    huge = b"\x8a\x09" + (2**64).to_bytes(9, "little")
    path.write_bytes(torch_zip(b"K\x00K\x00" + huge + b"\x86K\x01K\x01\x86"))
    with pytest.raises(WeightsError, match="a side of 18446744073709551616"):
        read_weights(path)


def test_a_member_of_an_npz_that_is_no_array(tmp_path):
    path = tmp_path / "odd.npz"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("a.npy", b"not an array")
    with pytest.raises(WeightsError, match=r"'a\.npy' is no array|damaged"):
        read_weights(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_the_name_of_the_parameter(value):
    import paddle

    network = paddle.nn.Conv2D(2, 3, 1)
    before = network.weight.numpy()
    weight = np.zeros((3, 2, 1, 1), np.float32)
    weight[1, 0] = value
    with pytest.raises(WeightsError, match=r"1 of 6 numbers of 'weight' are NaN or infinite"):
        load_into(network, {"weight": weight, "bias": np.zeros(3, np.float32)})
    np.testing.assert_array_equal(network.weight.numpy(), before)
