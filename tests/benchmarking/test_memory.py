"""Memory of fresh processes."""

import numpy as np
import pytest

from mobileseg.benchmarking.benchmark import Case, synthetic_image
from mobileseg.benchmarking.memory import measure_memory, peak_memory
from mobileseg.errors import RuntimeEngineError
from tests.runtime import artefacts


def test_the_peak_of_this_process_grows_and_stays():
    before = peak_memory()
    block = np.ones(40_000_000, np.uint8)
    block[:] = 2
    during = peak_memory()
    del block
    assert peak_memory() > during - 1_000_000  # the kernel counts in batches per thread
    assert during > 10_000_000
    assert during >= before


def test_a_process_per_case(tmp_path):
    artefacts.artefact(tmp_path / "model")
    synthetic_image(tmp_path / "a.jpg", (32, 48))
    case = Case(str(tmp_path / "model"), "onnxruntime", 1)
    found = measure_memory([case], tmp_path / "a.jpg", rounds=1)
    assert 20e6 < found[case] < 1e9


def test_a_folder_that_cannot_run_is_an_error(tmp_path):
    synthetic_image(tmp_path / "a.jpg", (32, 48))
    with pytest.raises(RuntimeEngineError, match="its memory cannot be measured"):
        measure_memory([Case(str(tmp_path), "onnxruntime", 1)], tmp_path / "a.jpg", rounds=1)
