from dataclasses import replace

import pytest

from mobileseg.compress.precision.artefact import write_int8
from mobileseg.errors import CompressionError
from mobileseg.export.from_config import synthetic_images
from mobileseg.runtime.manifest import Manifest


def write(prepared, ranges, folder, **options):
    settings = {"agreement": 0.9, "targets": ["onnx"], **options}
    return write_int8(
        prepared, ranges, ranges.layers, folder, synthetic_images((40, 60), 5), "drawn scenes", **settings
    )


def test_a_folder_that_is_not_accepted_is_not_there(prepared, ranges, tmp_path):
    seen = []

    def refuse(stage):
        seen.append(Manifest.read(stage))
        raise CompressionError("too much is lost")

    with pytest.raises(CompressionError, match="too much is lost"):
        write(prepared, ranges, tmp_path / "int8", accept=refuse)
    assert list(tmp_path.iterdir()) == []
    assert seen[0].verification[0].status == "ok"
    assert "PaddleSlim (avg, 3 images)" in seen[0].notes["precision"]


def test_an_engine_that_disagrees_is_an_error_and_the_folder_is_kept_aside(prepared, ranges, tmp_path, monkeypatch):
    def other_ranges(graph, program, known, layers, out):
        small = {name: limit / 50 for name, limit in known.limits.items()}
        return original(graph, program, replace(known, limits=small, largest=small), layers, out)

    from mobileseg.compress.precision import artefact

    original = artefact.write_qdq
    monkeypatch.setattr(artefact, "write_qdq", other_ranges)
    with pytest.raises(CompressionError, match=r"onnx \(onnxruntime\): .* of the results are equal, at least 90"):
        write(prepared, ranges, tmp_path / "int8")
    assert [path.name for path in tmp_path.iterdir()] == ["int8.failed"]


def test_other_targets_are_refused(prepared, ranges, tmp_path):
    with pytest.raises(CompressionError, match="ncnn cannot be written in int8"):
        write(prepared, ranges, tmp_path / "int8", targets=["ncnn"])
