import os
import runpy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mobileseg.instance.postprocess import instances_from_outputs

TOOL = Path(__file__).parents[2] / "tools" / "benchmark_postprocess.py"


@pytest.fixture(scope="module")
def tool() -> Iterator[dict]:
    before = dict(os.environ)
    yield runpy.run_path(str(TOOL))
    os.environ.clear()
    os.environ.update(before)


def test_predictions_have_the_shape_of_yolact_at_550(tool: dict) -> None:
    made = tool["predictions"]("mix")
    shapes = {name: value.shape for name, value in made["outputs"].items()}
    assert shapes == {"loc": (1, 19248, 4), "conf": (1, 19248, 81), "mask": (1, 19248, 32), "proto": (1, 32, 138, 138)}
    np.testing.assert_allclose(made["outputs"]["conf"].sum(-1), 1, atol=0.1)


def test_the_mix_fills_the_result_with_masks_of_all_sizes(tool: dict) -> None:
    made = tool["predictions"]("mix")
    result = instances_from_outputs(made["outputs"], made["anchors"], (480, 640))
    areas = (result.boxes[:, 2:] - result.boxes[:, :2]).prod(axis=1) / (480 * 640)
    assert len(result) == 100
    assert areas.min() < 0.01
    assert areas.max() > 0.5
    assert (result.masks.areas() > 0).mean() > 0.8


def test_a_row_of_the_table(tool: dict) -> None:
    row = tool["measure"]("small", "fast", (48, 64), 2)
    assert (row["boxes"], row["instances"]) == ("small", 100)
    assert 0 < row["all"]["min"] <= row["all"]["median"] <= row["all"]["p95"]
