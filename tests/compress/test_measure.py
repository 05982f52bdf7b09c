"""What is measured of a network."""

import pytest

from mobileseg.benchmarking.benchmark import Case
from mobileseg.compress import measure as module
from mobileseg.compress.measure import cost_of, measure_engines, scores_of, targets_for
from mobileseg.compress.variants import Variant, Variants
from mobileseg.config.build import build_dataset, build_network
from mobileseg.errors import CompressionError
from tests.runtime.artefacts import artefact

SIZE = ("export.size.height=32", "export.size.width=32")


def test_cost_and_scores(toy_config):
    config = toy_config(*SIZE)
    network = build_network(config)
    cost = cost_of(network, config)
    assert cost.macs == (3 * 6 * 9 + 6 * 3 * 9) * 32 * 32
    scores = scores_of(network, config, build_dataset(config.to_dict()["val_dataset"]))
    assert list(scores) == ["mIoU", "accuracy"]
    assert all(0 <= value <= 1 for value in scores.values())


def test_targets_of_engines():
    assert targets_for(["onnxruntime", "paddle", "lite"]) == ["onnx", "paddle", "lite_x86"]
    with pytest.raises(CompressionError, match="there is no engine tensorflow"):
        targets_for(["tensorflow"])


def test_engines_fill_the_rows_and_their_twins(toy_config, tmp_path, monkeypatch):
    config = toy_config(*SIZE, "compress.measure.engines=[onnxruntime]", "compress.measure.runs=6")
    variants, folders = Variants(tmp_path / "out", "prune"), {}
    for name in ("dense", "pruned", "random"):
        variants.add(Variant(name, ""))
        if name != "random":
            folders[name] = tmp_path / name
            artefact(folders[name])
    asked = []

    def memory(cases, _image):
        asked.extend(cases)
        return {case: 50_000_000 + index * 1_000_000 for index, case in enumerate(cases)}

    monkeypatch.setattr(module, "measure_memory", memory)
    measure_engines(variants, folders, config, lambda _line: None, like={"random": "pruned"})
    rows = {row.name: row for row in variants.read()}
    assert asked == [Case(str(folder), "onnxruntime", 1) for folder in folders.values()]
    assert all(row.latency_ms["onnxruntime"] > 0 for row in rows.values())
    assert rows["random"].latency_ms == rows["pruned"].latency_ms
    assert [row.memory_mb for row in rows.values()] == [{"onnxruntime": mb} for mb in (50.0, 51.0, 51.0)]
    assert variants.facts["runs"] == 6
    assert [row["folder"] for row in variants.facts["benchmark"]] == ["dense", "pruned"]


def test_nothing_is_measured_without_engines(toy_config, tmp_path):
    variants = Variants(tmp_path / "out", "prune")
    variants.add(Variant("dense", ""))
    measure_engines(variants, {"dense": tmp_path}, toy_config(*SIZE, "compress.measure.engines=[]"), print)
    assert variants.facts == {}
    measure_engines(variants, {"dense": tmp_path}, toy_config(*SIZE), print, engines=())
    assert variants.facts == {}
