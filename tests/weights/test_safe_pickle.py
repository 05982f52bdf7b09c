"""Pickles from outside: arrays come back, everything else is refused before it can act."""

import collections
import io
import os
import pickle
import struct

import numpy as np
import pytest

from mobileseg.errors import WeightsError
from mobileseg.weights import safe_pickle

pytestmark = pytest.mark.both


def load(data):
    return safe_pickle.read_pickle(io.BytesIO(data), "file")


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.reduction = (function, arguments)

    def __reduce__(self):
        return self.reduction


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["f2", "<f4", ">f4", "f8", "i1", "u1", "<i2", ">i8", "?"])
def test_arrays_of_every_number_type_come_back(protocol, dtype):
    array = np.arange(-6, 6).reshape(3, 4).astype(dtype)
    for variant in (array, np.asfortranarray(array), array[:, ::2], array[:0], np.array(1, array.dtype)):
        result = load(pickle.dumps({"a": variant}, protocol=protocol))["a"]
        np.testing.assert_array_equal(result, variant)
        assert result.dtype == variant.dtype


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_containers_and_scalars_come_back(protocol):
    content = collections.OrderedDict(a=[1, 2.5, None, True, "x", b"\xff\x00", (), {}], b=np.float32(0.5), c=10**30)
    content.note = "attributes are dropped"
    result = load(pickle.dumps(content, protocol=protocol))
    assert result == {"a": [1, 2.5, None, True, "x", b"\xff\x00", (), {}], "b": 0.5, "c": 10**30}
    assert type(result) is dict


def test_shared_parts_stay_shared():
    array = np.zeros(3)
    result = load(pickle.dumps([array, array]))
    assert result[0] is result[1]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Call(os.system, "true"), "posix.system"),
        (Call(eval, "1"), "builtins.eval"),
        (Call(exec, "pass"), "builtins.exec"),
        (Call(getattr, "a", "upper"), "builtins.getattr"),
        (Call(np.load, "x"), "numpy.load"),
        (Call(open, "x"), "io.open"),
        (np.fromfile, "numpy.fromfile"),
        (collections.Counter("ab"), "collections.Counter"),
        (safe_pickle.Callee("x", print), "mobileseg.weights.safe_pickle.Callee"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_every_other_name_is_refused_by_name(value, named, protocol):
    with pytest.raises(WeightsError) as caught:
        load(pickle.dumps({"weight": np.zeros(2), "x": value}, protocol=protocol))
    assert named.rsplit(".", 1)[-1] in str(caught.value)
    assert "refused" in str(caught.value)


def test_nothing_runs_on_the_way_to_the_refusal(tmp_path):
    mark = tmp_path / "mark"
    with pytest.raises(WeightsError, match="refused"):
        load(pickle.dumps([Call(os.mkdir, str(mark)), 1]))
    assert not mark.exists()


def test_dotted_names_do_not_lead_out_of_the_list():
    data = b"\x80\x04\x8c\x08builtins\x8c\x0fdict.fromkeys.x\x93."
    with pytest.raises(WeightsError, match=r"refused|damaged"):
        load(data)


@pytest.mark.parametrize("name", [b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"ccollections\nOrderedDict\n"])
def test_the_stand_ins_cannot_be_changed(name):
    """BUILD on a callable would overwrite its attributes, for all files to come."""
    with pytest.raises(WeightsError, match=r"change|damaged"):
        load(b"\x80\x02" + name + b"}X\x01\x00\x00\x00aK\x01sb.")
    with pytest.raises(WeightsError, match=r"change|damaged"):
        load(b"\x80\x02" + name + b"N}X\x05\x00\x00\x00_nameK\x01s\x86b.")
    assert load(pickle.dumps(np.ones(2))).sum() == 2


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}, None], dtype=object),
        np.zeros(2, [("a", "f4")]),
        np.array(["text"]),
        np.zeros(2, "M8[s]"),
        np.zeros(2, "c8"),
    ],
)
def test_only_numbers_are_read(array):
    with pytest.raises(WeightsError, match="only numbers"):
        load(pickle.dumps(array))


def test_raw_bytes_must_match_the_shape():
    data = pickle.dumps(np.zeros((3, 4), np.float32), protocol=2)
    damaged = data.replace(b"K\x03K\x04\x86", b"K\x03K\x05\x86")
    assert damaged != data
    with pytest.raises(WeightsError, match=r"\[3, 5\] with 48 bytes"):
        load(damaged)


def test_an_array_is_filled_once():
    body = pickle.dumps(np.zeros(2, np.float32), protocol=2)
    again = body[:-1] + b"(K\x01K\x02\x85NI00\n" + b"tb."
    with pytest.raises(WeightsError):
        load(again)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04",
        b"not a pickle at all",
        pickle.dumps({"a": np.arange(100)})[:-30],
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"abc.",
        b"\x80\x02K\x01r" + struct.pack("<I", 0x7FFFFFF0) + b".",
        b"\x80\x05\x96" + struct.pack("<Q", 3) + b"abc.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02X\x01\x00\x00\x00aQ.",
    ],
    ids=["empty", "header", "text", "cut", "length", "memo", "bytearray", "extension", "persistent"],
)
def test_damaged_and_hostile_streams_end_in_one_error(data):
    with pytest.raises(WeightsError):
        load(data)


def test_nesting_that_doubles_at_every_level_stays_cheap():
    value = []
    for _ in range(40):
        value = [value, value]
    assert len(load(pickle.dumps(value))) == 2


def test_endless_nesting_is_refused():
    value = []
    for _ in range(200):
        value = [value]
    with pytest.raises(WeightsError, match="deep"):
        load(pickle.dumps(value))
    endless = []
    endless.append(endless)
    with pytest.raises(WeightsError, match="deep"):
        load(pickle.dumps(endless))


def test_the_stream_stands_behind_the_object():
    stream = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps("b", 2) + b"tail")
    assert [safe_pickle.read_pickle(stream, "f"), safe_pickle.read_pickle(stream, "f")] == [1, "b"]
    assert stream.read() == b"tail"
