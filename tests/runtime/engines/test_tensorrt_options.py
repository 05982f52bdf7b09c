from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.predictors import Part
from mobileseg.runtime.engines.tensorrt_options import (
    Machine,
    TensorRTOptions,
    cache_key,
    cache_root,
    calibration_digest,
)

MACHINE = Machine("Tesla T4", "7.5", "8.5.3", "2.6.2 8ce0de58", "11.8")


def part(folder: Path, **contents: str) -> Part:
    folder.mkdir(exist_ok=True)
    paths = {name: folder / name for name in ("model", "params", "shapes")}
    for name, path in paths.items():
        path.write_text(contents.get(name, name))
    return Part("graph", paths["model"], paths["params"], paths["shapes"], ("x",), ("y",))


def test_the_key_changes_with_every_ingredient(tmp_path: Path) -> None:
    options = TensorRTOptions()
    same = part(tmp_path / "a")
    keys = [cache_key(MACHINE, same, "fp16", options)]
    for field in ("gpu", "capability", "tensorrt", "paddle", "cuda"):
        keys.append(cache_key(replace(MACHINE, **{field: "other"}), same, "fp16", options))
    for name in ("model", "params", "shapes"):
        keys.append(cache_key(MACHINE, part(tmp_path / name, **{name: "other"}), "fp16", options))
    keys.append(cache_key(MACHINE, same, "fp32", options))
    keys.append(cache_key(MACHINE, same, "fp16", options, "digest"))
    for change in ({"workspace_mb": 2}, {"min_subgraph_size": 9}, {"keep_in_paddle": ["arg_max"]}):
        keys.append(cache_key(MACHINE, same, "fp16", replace(options, **change)))
    assert len(set(keys)) == len(keys)


def test_the_key_does_not_change_with_the_place_of_the_files(tmp_path: Path) -> None:
    options = TensorRTOptions()
    one, other = part(tmp_path / "a"), part(tmp_path / "b")
    assert cache_key(MACHINE, one, "fp16", options) == cache_key(MACHINE, other, "fp16", options)
    assert cache_key(MACHINE, one, "fp16", replace(options, warmup=9, cache=tmp_path)) == cache_key(
        MACHINE, one, "fp16", options
    )


def test_the_cache_lies_where_the_suite_keeps_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILESEG_CACHE", str(tmp_path))
    assert cache_root(TensorRTOptions()) == tmp_path / "tensorrt"
    assert cache_root(TensorRTOptions(cache=tmp_path / "mine")) == tmp_path / "mine"


def test_images_have_a_digest_by_content_and_order() -> None:
    one, other = np.zeros((1, 3, 4, 6), np.float32), np.ones((1, 3, 4, 6), np.float32)
    digests = [calibration_digest(inputs) for inputs in ([one], [other], [one, other], [other, one])]
    digests.append(calibration_digest([one.reshape(1, 3, 6, 4)]))
    assert len(set(digests)) == 5
    assert calibration_digest([]) == ""


def test_precision_per_part() -> None:
    assert TensorRTOptions("fp16").precision_of(["graph"]) == {"graph": "fp16"}
    table = TensorRTOptions({"head": "int8"})
    assert table.by_component
    assert table.precision_of(["backbone", "head"]) == {"backbone": "fp32", "head": "int8"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "half"}, "'half', expected fp32, fp16, int8"),
        ({"precision": {"head": "bf16"}}, "'bf16', expected"),
        ({"precision": {}}, "precision is empty"),
        ({"device": -1}, "device is -1"),
        ({"workspace_mb": 0}, "workspace_mb is 0"),
        ({"min_subgraph_size": 0}, "min_subgraph_size is 0"),
        ({"warmup": -1}, "warmup is -1"),
        ({"precision": {"head": "fp16"}, "shape_file": __file__}, "belongs to one graph"),
    ],
)
def test_values_that_cannot_be_used(options: dict, message: str) -> None:
    with pytest.raises(RuntimeEngineError, match=message):
        TensorRTOptions(**options)
