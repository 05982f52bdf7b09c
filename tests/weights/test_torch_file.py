"""PyTorch files, read without PyTorch.

The files in ``data/`` were written once by PyTorch 2.13.0 from one state_dict: a small network (convolution, batch
norm, linear layer, values ``RandomState(10 + i).uniform(-1, 1)``), views of a 4x6 tensor (transposed, a
part, every second column, one number expanded), a tensor of each number type, an empty one and a scalar. It was
saved with and without ``_use_new_zipfile_serialization``, alone (torch_zip, torch_legacy) and under
``state_dict`` of a training checkpoint (torch_ckpt_*); ``torch_module_zip.pth`` is a whole pickled module,
``torch_parameter.pth`` an ``nn.Parameter``. ``torch_expected.npz`` holds ``tensor.numpy()`` of each entry.
"""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import WeightsError
from mobileseg.weights.read import read_weights
from mobileseg.weights.torch_file import read_torch_legacy, read_torch_zip

pytestmark = pytest.mark.both

DATA = Path(__file__).parent / "data"
LIMIT = 1 << 20


@pytest.fixture(scope="module")
def expected():
    return dict(np.load(DATA / "torch_expected.npz"))


@pytest.mark.parametrize("name", ["torch_zip", "torch_legacy", "torch_ckpt_zip", "torch_ckpt_legacy"])
def test_both_layouts_with_offsets_and_strides(name, expected):
    state = read_weights(DATA / f"{name}.pth")
    assert set(state) == set(expected)
    for entry, array in expected.items():
        np.testing.assert_array_equal(state[entry], array, err_msg=entry)
        assert (state[entry].dtype, state[entry].shape) == (array.dtype, array.shape), entry


def test_a_parameter_is_its_tensor():
    state = read_weights(DATA / "torch_parameter.pth")
    np.testing.assert_array_equal(state["w"], np.random.RandomState(4).uniform(-1, 1, (2, 2)).astype(np.float32))


def test_a_whole_module_is_refused_by_name():
    with pytest.raises(WeightsError, match=r"torch\.nn\.modules\.container\.Sequential.*refused"):
        read_weights(DATA / "torch_module_zip.pth")


@pytest.mark.parametrize("name", ["torch_zip", "torch_legacy"])
def test_a_file_cut_anywhere_is_one_error(name, tmp_path):
    data = (DATA / f"{name}.pth").read_bytes()
    cut = tmp_path / "cut.pth"
    for size in range(0, len(data) - 1, max(1, len(data) // 60)):
        cut.write_bytes(data[:size])
        with pytest.raises(WeightsError):
            read_weights(cut)


def zip_of(pickled, storages=(), compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as bundle:
        bundle.writestr("archive/data.pkl", pickled)
        for key, raw in storages:
            bundle.writestr(f"archive/data/{key}", raw)
    buffer.seek(0)
    return buffer


def tensor_pickle(offset, size, stride, numel=4):
    """{'w': tensor}, written by hand: protocol 2 as PyTorch writes it."""

    def number(value):
        return b"J" + int(value).to_bytes(4, "little", signed=True)

    def numbers(values):
        return b"(" + b"".join(map(number, values)) + b"t"

    def text(value):
        return b"X" + len(value).to_bytes(4, "little") + value

    pid = b"(" + text(b"storage") + b"ctorch\nFloatStorage\n" + text(b"0") + text(b"cpu") + number(numel) + b"tQ"
    arguments = b"(" + pid + number(offset) + numbers(size) + numbers(stride) + b"\x89}t"
    return b"\x80\x02}" + text(b"w") + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs."


FOUR = np.arange(4, dtype="<f4").tobytes()


def test_the_hand_written_file_is_valid():
    state = read_torch_zip(zip_of(tensor_pickle(1, (3,), (1,)), [("0", FOUR)]), "file", LIMIT)
    np.testing.assert_array_equal(state["w"], [1, 2, 3])


@pytest.mark.parametrize(
    ("offset", "size", "stride", "numel"),
    [
        (0, (5,), (1,), 4),
        (1, (4,), (1,), 4),
        (0, (2, 2), (1, 3), 4),
        (-1, (2,), (1,), 4),
        (3, (2,), (-1,), 4),
        (0, (-2,), (1,), 4),
        (0, (2, 2), (1,), 4),
        (0, (2,), (1,), 400),
        (0, (1 << 20, 1 << 20), (0, 0), 4),
        (100, (1,), (1,), 4),
    ],
)
def test_tensors_that_leave_their_storage_are_refused(offset, size, stride, numel):
    with pytest.raises(WeightsError):
        read_torch_zip(zip_of(tensor_pickle(offset, size, stride, numel), [("0", FOUR)]), "file", LIMIT)


def test_a_missing_storage():
    with pytest.raises(WeightsError, match="not there"):
        read_torch_zip(zip_of(tensor_pickle(0, (4,), (1,))), "file", LIMIT)


def test_compressed_entries_are_refused():
    """Stored entries cannot be larger than the file; compressed ones could be a bomb."""
    bomb = zip_of(tensor_pickle(0, (4,), (1,)), [("0", bytes(1 << 20))], zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="compressed"):
        read_torch_zip(bomb, "file", LIMIT)


def test_a_zip_of_something_else():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr("readme.txt", "hello")
    buffer.seek(0)
    with pytest.raises(WeightsError, match="neither"):
        read_torch_zip(buffer, "file", LIMIT)


def test_other_versions_of_the_stream_are_refused():
    stream = io.BytesIO(b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1002, {})))
    with pytest.raises(WeightsError, match="version"):
        read_torch_legacy(stream, "file", LIMIT)


def test_a_file_without_tensors():
    with pytest.raises(WeightsError, match="state_dict"):
        read_torch_zip(zip_of(pickle.dumps({"epoch": 1}, 2)), "file", LIMIT)
