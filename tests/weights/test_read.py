"""Formats are told by content; what is too large or not a weights file is refused."""

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import WeightsError
from mobileseg.weights import read
from mobileseg.weights.read import read_weights

pytestmark = pytest.mark.both

STATE = {"conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2), "conv.bias": np.float32([1, -1])}


def assert_same(state):
    assert set(state) == set(STATE)
    for name, array in STATE.items():
        np.testing.assert_array_equal(state[name], array)


def pack(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as bundle:
        for member, content in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(content)
            bundle.addfile(info, io.BytesIO(content))
    return path


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members:
            bundle.writestr(name, content)
    return path


PICKLED = pickle.dumps(STATE, protocol=4)


@pytest.mark.parametrize("ending", [".npz", ".pdparams", ".bin", ""])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_under_any_ending(tmp_path, ending, save):
    with (tmp_path / f"a{ending}").open("wb") as file:
        save(file, **STATE)
    assert_same(read_weights(tmp_path / f"a{ending}"))


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_an_archive_around_one_file(tmp_path, mode):
    path = pack(tmp_path / "a.tar.gz", [("model/readme.txt", b"x"), ("model/model.pdparams", PICKLED)], mode)
    assert_same(read_weights(str(path)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tar.gz"]


def test_an_archive_may_name_any_path_because_nothing_is_unpacked(tmp_path, monkeypatch):
    inside = tmp_path / "in" / "deep"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    path = pack(tmp_path / "a.tar.gz", [("../../escape.pdparams", PICKLED), ("/tmp/other.txt", b"x")])
    before = sorted(tmp_path.rglob("*"))
    assert_same(read_weights(path))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_around_one_file(tmp_path, monkeypatch):
    """As PaddleSeg publishes GhostNet and ShuffleNetV2; the path in the archive is only a name."""
    inside = tmp_path / "in" / "deep"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    path = zipped(tmp_path / "a.zip", [("../../model/", b""), ("../../model/model.pdparams", PICKLED), ("/x.txt", b"")])
    before = sorted(tmp_path.rglob("*"))
    assert_same(read_weights(path))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_around_npz(tmp_path):
    np.savez(tmp_path / "a.npz", **STATE)
    assert_same(read_weights(zipped(tmp_path / "a.zip", [("a.npz", (tmp_path / "a.npz").read_bytes())])))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a.pdparams", PICKLED), ("b.pdparams", PICKLED)], "exactly one"),
        ([("a.txt", b"x")], "neither NumPy's nor PyTorch's"),
        ([("a.pdparams", b"\x1f\x8b\x08")], "inside an archive"),
        ([("a.pdparams", b"text")], "not a weights file"),
        ([("a.pdparams", PICKLED), *((f"{n}.txt", b"") for n in range(1000))], "more than 1000"),
    ],
    ids=["two", "no weights", "nested", "text", "many"],
)
def test_a_zip_must_hold_one_weights_file(tmp_path, members, message):
    with pytest.raises(WeightsError, match=message):
        read_weights(zipped(tmp_path / "a.zip", members))


def test_a_zip_in_a_zip_is_not_followed(tmp_path):
    inner = zipped(tmp_path / "inner", [("a.pdparams", PICKLED)]).read_bytes()
    with pytest.raises(WeightsError, match="inside an archive"):
        read_weights(zipped(tmp_path / "a.zip", [("x.pdparams", inner)]))


def test_a_zip_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(read, "MAX_TOTAL_BYTES", 1 << 20)
    path = zipped(tmp_path / "a.zip", [("junk", bytes(3 << 20)), ("a.pdparams", PICKLED)])
    assert path.stat().st_size < 10_000
    with pytest.raises(WeightsError, match="would unpack"):
        read_weights(path)


def test_a_damaged_zip(tmp_path):
    whole = bytearray(zipped(tmp_path / "a.zip", [("a.pdparams", PICKLED)]).read_bytes())
    whole[60:80] = bytes(20)
    (tmp_path / "a.zip").write_bytes(whole)
    with pytest.raises(WeightsError, match="damaged"):
        read_weights(tmp_path / "a.zip")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_an_archive_are_refused(tmp_path, kind):
    link = tarfile.TarInfo("model.pdparams")
    link.type, link.linkname = kind, "/etc/passwd"
    with pytest.raises(WeightsError, match="link or a device"):
        read_weights(pack(tmp_path / "a.tar.gz", [(link, b"")]))


@pytest.mark.parametrize(
    "members",
    [[], [("a.txt", b"x")], [("a.pdparams", PICKLED), ("b.pdparams", PICKLED)]],
    ids=["empty", "no weights", "two"],
)
def test_an_archive_must_hold_one_weights_file(tmp_path, members):
    with pytest.raises(WeightsError, match="exactly one"):
        read_weights(pack(tmp_path / "a.tar.gz", members))


def test_an_archive_in_an_archive_is_not_followed(tmp_path):
    inner = pack(tmp_path / "inner", [("a.pdparams", PICKLED)])
    with pytest.raises(WeightsError, match="inside an archive"):
        read_weights(pack(tmp_path / "a.tar.gz", [("x.pdparams", inner.read_bytes())]))


def test_an_archive_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(read, "MAX_TOTAL_BYTES", 1 << 20)
    path = pack(tmp_path / "a.tar.gz", [("junk", bytes(3 << 20)), ("a.pdparams", PICKLED)])
    assert path.stat().st_size < 10_000
    with pytest.raises(WeightsError, match="unpack to more"):
        read_weights(path)


def test_an_npz_that_unpacks_to_too_much(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1 << 20, np.uint8))
    monkeypatch.setattr(read, "MAX_TOTAL_BYTES", 1 << 19)
    with pytest.raises(WeightsError, match="would unpack"):
        read_weights(tmp_path / "a.npz")


def test_an_npz_whose_header_lies_about_the_size(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as bundle:
        bundle.writestr("a.npy", buffer.getvalue() + b"12345678")
    with pytest.raises(WeightsError, match="damaged"):
        read_weights(tmp_path / "a.npz")


def test_python_objects_in_an_npz_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}, 1], dtype=object))
    with pytest.raises(WeightsError, match="Python objects"):
        read_weights(tmp_path / "a.npz")


def test_texts_are_not_weights(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array(["x"]))
    with pytest.raises(WeightsError, match="only numbers"):
        read_weights(tmp_path / "a.npz")


def test_values_arrive_in_native_order(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(3, dtype=">f4"))
    array = read_weights(tmp_path / "a.npz")["a"]
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [0, 1, 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"<html>404</html>", "not a weights file"),
        (b"PK\x03\x04 cut", "damaged"),
        (b"\x1f\x8b cut", "archive"),
    ],
)
def test_files_that_are_something_else(tmp_path, content, message):
    (tmp_path / "a.pdparams").write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        read_weights(tmp_path / "a.pdparams")
    assert "a.pdparams" in str(caught.value)
    assert caught.value.remedy


def test_a_cut_archive(tmp_path):
    whole = pack(tmp_path / "a.tar.gz", [("a.pdparams", pickle.dumps({"a": np.random.rand(5000)}))]).read_bytes()
    for part in (0.3, 0.6, 0.99):
        (tmp_path / "cut.tar.gz").write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(WeightsError):
            read_weights(tmp_path / "cut.tar.gz")


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(WeightsError, match="no weights file"):
        read_weights(tmp_path / "absent.npz")
    with pytest.raises(WeightsError, match="is a folder"):
        read_weights(Path(tmp_path))
