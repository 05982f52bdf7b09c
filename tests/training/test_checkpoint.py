"""Checkpoint folders: whole or not there, verified when read, readable by Paddle."""

import errno
import json
import shutil

import numpy as np
import paddle
import pytest

from mobileseg.errors import TrainingError
from mobileseg.training import checkpoint as module
from mobileseg.training.checkpoint import (
    Checkpoint,
    link_checkpoint,
    read_checkpoint,
    read_state,
    recover,
    write_checkpoint,
)

pytestmark = pytest.mark.both


def example(value: float = 1.0) -> Checkpoint:
    weights = {"a.weight": np.full((2, 3), value, np.float32), "a.steps": np.array(7, np.int64)}
    arrays = {"optimizer": {"a.weight/velocity": np.full((2, 3), -value, np.float32)}}
    return Checkpoint(weights, arrays, {"iteration": int(value), "best": None})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_round_trip_and_files(tmp_path):
    write_checkpoint(tmp_path / "one", example())
    back = read_checkpoint(tmp_path / "one")
    assert names(tmp_path) == ["one"]
    assert names(tmp_path / "one") == ["model.pdparams", "optimizer.npz", "state.json"]
    for name, array in example().weights.items():
        np.testing.assert_array_equal(back.weights[name], array)
        assert back.weights[name].dtype == array.dtype
        assert back.weights[name].shape == array.shape
    np.testing.assert_array_equal(back.arrays["optimizer"]["a.weight/velocity"], -np.ones((2, 3)))
    assert back.state["iteration"] == 1
    np.testing.assert_array_equal(paddle.load(str(tmp_path / "one" / "model.pdparams"))["a.weight"], np.ones((2, 3)))


def test_replacing_keeps_one_whole_folder(tmp_path):
    for value in (1.0, 2.0):
        write_checkpoint(tmp_path / "last", example(value))
    assert names(tmp_path) == ["last"]
    assert read_state(tmp_path / "last")["iteration"] == 2


@pytest.mark.parametrize("linked", [True, False])
def test_link_does_not_depend_on_its_source(tmp_path, monkeypatch, linked):
    if not linked:

        def refuse(*args):
            raise OSError(errno.EPERM, "links are not supported here")

        monkeypatch.setattr(module.os, "link", refuse)
    write_checkpoint(tmp_path / "one", example())
    link_checkpoint(tmp_path / "one", tmp_path / "best")
    assert (tmp_path / "one" / "state.json").samefile(tmp_path / "best" / "state.json") is linked
    write_checkpoint(tmp_path / "one", example(2.0))
    shutil.rmtree(tmp_path / "one")
    assert read_checkpoint(tmp_path / "best").state["iteration"] == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "missing", "state", "hash"])
def test_damage_is_found(tmp_path, damage):
    folder = tmp_path / "one"
    write_checkpoint(folder, example())
    weights = folder / "model.pdparams"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-10])
    elif damage == "flip":
        content = bytearray(weights.read_bytes())
        content[len(content) // 2] ^= 1
        weights.write_bytes(bytes(content))
    elif damage == "missing":
        (folder / "optimizer.npz").unlink()
    elif damage == "state":
        (folder / "state.json").write_text('{"iteration": 1, "files"')
    elif damage == "hash":
        state = json.loads((folder / "state.json").read_text())
        del state["files"]
        (folder / "state.json").write_text(json.dumps(state))
    with pytest.raises(TrainingError, match="is damaged"):
        read_checkpoint(folder)


def test_pickle_that_would_execute_is_refused(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    folder = tmp_path / "one"
    write_checkpoint(folder, example())
    (folder / "model.pdparams").write_bytes(pickle.dumps({"a": Evil()}))
    state = json.loads((folder / "state.json").read_text())
    state["files"]["model.pdparams"] = module.sha256_of(folder / "model.pdparams")
    (folder / "state.json").write_text(json.dumps(state))
    with pytest.raises(TrainingError, match="is damaged"):
        read_checkpoint(folder)


def test_folders_that_are_no_checkpoints(tmp_path):
    with pytest.raises(TrainingError, match=r"has no state\.json"):
        read_state(tmp_path)
    (tmp_path / "model.pdopt").touch()
    with pytest.raises(TrainingError, match="a checkpoint of PaddleSeg"):
        read_state(tmp_path)


def test_another_format(tmp_path):
    write_checkpoint(tmp_path / "one", example())
    path = tmp_path / "one" / "state.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 9'))
    with pytest.raises(TrainingError, match="format 9"):
        read_state(tmp_path / "one")


@pytest.mark.parametrize("where", ["save_pdparams", "write_array", "flush", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_failure_to_write_keeps_what_was_there(tmp_path, monkeypatch, where, code):
    write_checkpoint(tmp_path / "last", example(1.0))

    def fail(*args, **kwargs):
        raise OSError(code, "No space left on device" if code == errno.ENOSPC else "Read-only file system")

    with monkeypatch.context() as patched:
        if where == "write_array":
            patched.setattr(module.np.lib.format, "write_array", fail)
        elif where == "rename":
            patched.setattr(module.Path, "rename", fail)
        else:
            patched.setattr(module, where, fail)
        with pytest.raises(TrainingError, match=r"cannot save the checkpoint.*(No space|Read-only)") as caught:
            write_checkpoint(tmp_path / "last", example(2.0))
    assert "intact" in caught.value.remedy
    assert names(tmp_path) == ["last"]
    assert read_checkpoint(tmp_path / "last").state["iteration"] == 1


def test_recovery_after_a_kill(tmp_path):
    for name in ("last", "best"):
        write_checkpoint(tmp_path / name, example())
    (tmp_path / "last").rename(tmp_path / ".old-last")  # killed between the two renames
    shutil.copytree(tmp_path / "best", tmp_path / ".old-best")  # killed before the old one was dropped
    (tmp_path / ".tmp-last-123").mkdir()  # killed while writing
    recover(tmp_path)
    assert names(tmp_path) == ["best", "last"]
    assert read_state(tmp_path / "last")["iteration"] == 1
    recover(tmp_path / "not there")


def changed(folder, **values):
    path = folder / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    "values", [{"iteration": 2}, {"format": 1}, {"files": {}}, {"state_sha256": "0" * 64}, {"more": 1}]
)
def test_a_state_that_was_edited_is_noticed(tmp_path, values):
    write_checkpoint(tmp_path / "one", example())
    changed(tmp_path / "one", **values)
    with pytest.raises(TrainingError, match="damaged"):
        read_state(tmp_path / "one")


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ({"iteration": "12"}, "iteration"),
        ({"iteration": -1}, "iteration"),
        ({"iteration": True}, "iteration"),
        ({"sampler": {"epoch": 0, "samples": 0, "batch": 0, "seed": 1}}, "sampler.batch"),
        ({"scaler": {"scale": float("nan"), "good_steps": 0, "skipped": 0}}, "scaler.scale"),
        ({"best": {"metric": "mIoU", "score": float("inf"), "iteration": 1}}, "best.score"),
        ({"evaluated": "ema"}, r"no file ema\.npz"),
        ({"config": [1]}, "config"),
    ],
)
def test_a_state_of_the_wrong_kind_is_said_even_if_its_hash_fits(tmp_path, values, seen):
    checkpoint = example()
    checkpoint.state |= values
    checkpoint.arrays.pop("ema", None)
    write_checkpoint(tmp_path / "one", checkpoint)
    with pytest.raises(TrainingError, match=seen):
        read_state(tmp_path / "one")


def test_files_outside_the_folder_and_a_deep_state(tmp_path):
    write_checkpoint(tmp_path / "one", example())
    path = tmp_path / "one" / "state.json"
    state = json.loads(path.read_text()) | {"format": 1, "files": {"../../secret": "0" * 64}}
    state.pop("state_sha256")
    path.write_text(json.dumps(state))
    with pytest.raises(TrainingError, match="files"):
        read_state(tmp_path / "one")
    path.write_text("[" * 100_000)
    with pytest.raises(TrainingError, match="cannot be read"):
        read_state(tmp_path / "one")
